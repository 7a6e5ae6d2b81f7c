"""The policy language once more: slow, obvious, and written from the documentation without looking at the engine.

Policies are plain documents, layers a plain dict: identity, session, service_control, resource_control as lists,
boundary and resource as one document or None. `decide` gives (allowed, kind of layer, explicit).
"""

import base64
import ipaddress
import re
from datetime import UTC, datetime
from fractions import Fraction

ANY, ONE = object(), object()


def listed(value):
    return value if isinstance(value, (list, tuple)) else [value]


def statements(policy, action, effect):
    for statement in listed(policy["Statement"]):
        named = any(fits(cells(a.lower()), action.lower()) for a in listed(statement.get("Action", [])))
        if "NotAction" in statement:
            named = not any(fits(cells(a.lower()), action.lower()) for a in listed(statement["NotAction"]))
        if named and statement["Effect"] == effect:
            yield statement, policy.get("Version") == "2012-10-17"


def applies(statement, variables, request):
    return resource_holds(statement, variables, request) and all(
        condition_holds(operator, key.lower(), values, variables, statement["Effect"], request["context"])
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    )


def resource_holds(statement, variables, request):
    if "Resource" not in statement and "NotResource" not in statement:
        return True
    patterns = listed(statement.get("Resource", statement.get("NotResource")))
    read = [cells(p, request["context"], variables=variables) for p in patterns]
    matched = any(p is not None and resource_fits(p, request["resource"]) for p in read)
    if "Resource" in statement:
        return matched
    return not matched and not (None in read and statement["Effect"] == "Allow")


def grade(statement, request, boundary):
    """3: by name or everyone, 2: by the role or user behind a session, 1: by account, 0: not."""
    who = request["principal"]
    inverted = "NotPrincipal" in statement
    element = statement.get("NotPrincipal", statement.get("Principal"))
    names = ["*"] if element == "*" else [n for kind in element.values() for n in listed(kind)]
    account = {who["account"], f"arn:aws:iam::{who['account']}:root"} & set(names)
    behind = {who.get("role"), who.get("user")} & set(names)
    best = 3 if "*" in names or who["arn"] in names else 2 if behind else 1 if account else 0
    if not inverted:
        return best
    if statement["Effect"] == "Allow":
        return 2 if best == 0 else 0
    session_mates = [n for n in names if n.startswith(who["arn"].rpartition("/")[0] + "/")] if "role" in who else []
    exempt = account and (who.get("role", who["arn"]) in names) and (not session_mates or who["arn"] in names)
    return 0 if not boundary and ("*" in names or exempt) else 3


def decide(request, layers):
    action, boundary, resource = request["action"], layers["boundary"], layers["resource"]
    same = request["principal"]["account"] == request["account"]
    sides = [
        ("resource-based", [resource] if resource else []),
        ("resource control", [p for level in layers["resource_control"] for p in level]),
        ("service control", [p for level in layers["service_control"] for p in level]),
        ("identity-based", layers["identity"]),
        ("permissions boundary", [boundary] if boundary else []),
        ("session", layers["session"] or []),
    ]
    for kind, policies in sides:
        for policy in policies:
            for statement, variables in statements(policy, action, "Deny"):
                named = kind != "resource-based" or grade(statement, request, boundary)
                if named and applies(statement, variables, request):
                    return False, kind, True

    def allows(policies):
        return any(applies(s, v, request) for p in policies for s, v in statements(p, action, "Allow"))

    granted = max(
        (
            grade(s, request, boundary)
            for s, v in (statements(resource, action, "Allow") if resource else ())
            if applies(s, v, request)
        ),
        default=0,
    )
    limits = {
        "resource control": all(allows(level) for level in layers["resource_control"]),
        "service control": all(allows(level) for level in layers["service_control"]),
        "identity-based": allows(layers["identity"]),
        "permissions boundary": not boundary or allows([boundary]),
        "session": layers["session"] is None or allows(layers["session"]),
        "resource-based": granted > 0,
    }
    if request["principal"].get("anonymous"):
        order = ["resource control", "resource-based"]
    elif same:
        order = ["resource control", "service control"]
        order += [] if granted == 3 else ["permissions boundary", "session"]
        order[2:2] = [] if granted >= 2 else ["identity-based"]
    else:
        order = ["service control", "identity-based", "permissions boundary", "session"]
        order += ["resource control", "resource-based"]
    for kind in order:
        if not limits[kind]:
            return False, kind, False
    return True, "identity-based" if same and granted < 2 else "resource-based", False


# Patterns: lists of characters, ANY and ONE.


def cells(text, context=None, *, variables=False, wildcards=True):
    """None when a variable has no value."""
    out = []
    while text:
        special = re.match(r"\$\{([*?$])\}", text) if variables else None
        variable = re.match(r"\$\{([^,{}']+)(?:,\s*'([^']*)'\s*)?\}", text) if variables and not special else None
        if special:
            out.append(special[1])
        elif variable:
            value = context.get(variable[1].strip().lower(), variable[2])
            if not isinstance(value, str):
                return None
            out.extend(value)
        else:
            out.append({"*": ANY, "?": ONE}.get(text[0], text[0]) if wildcards else text[0])
        text = text[(special or variable).end() if special or variable else 1 :]
    return out


def fits(pattern, text):
    """Every prefix of the pattern against every prefix of the text."""
    reach = [True] + [False] * len(text)
    for cell in pattern:
        if cell is ANY:
            reach = [any(reach[: i + 1]) for i in range(len(reach))]
        else:
            reach = [False] + [reach[i] and (cell is ONE or cell == c) for i, c in enumerate(text)]
    return reach[-1]


def resource_fits(pattern, text):
    return all(cell is ANY for cell in pattern) or arn_fits(pattern, text)


def arn_fits(pattern, text):
    parts = [[]]
    for cell in pattern:
        if cell == ":" and len(parts) < 6:
            parts.append([])
        else:
            parts[-1].append(cell)
    segments = text.split(":", 5)
    parts += [[ANY]] * (6 - len(parts))
    return len(segments) == 6 and all(map(fits, parts, segments))


# Conditions.


def condition_holds(operator, key, values, variables, effect, context):
    quantifier, _, name = operator.rpartition(":")
    if_exists, name = name.endswith("IfExists"), name.removesuffix("IfExists")
    present = key in context and context[key] not in ([], ())
    if name == "Null":
        return any((not present) == (str(v).lower() == "true") for v in listed(values))
    negated = "Not" in name
    if not present:
        return {"ForAllValues": True, "ForAnyValue": if_exists}.get(quantifier, negated or if_exists)
    results = [matches(name.replace("Not", ""), v, listed(values), variables, context) for v in listed(context[key])]
    results = [r is not None and r != negated for r in results]
    if quantifier:
        return all(results) if quantifier == "ForAllValues" else any(results)
    return all(results) if effect == "Allow" else any(results)


def matches(name, value, wanted, variables, context):
    """Does one value of the request match one of the policy's? None: not comparable."""
    wanted = [str(w).lower() if isinstance(w, bool) else str(w) for w in wanted]
    if name.startswith(("String", "Arn", "Bool")):
        wild = name in {"StringLike", "ArnLike", "ArnEquals"}
        fold = str.lower if name in {"StringEqualsIgnoreCase", "Bool"} else str
        read = [cells(w, context, variables=variables, wildcards=wild) for w in wanted]
        read = [[c if c in (ANY, ONE) else fold(c) for c in r] for r in read if r is not None]
        if name == "Bool":
            return value.lower() in {"true", "false"} and any(fits(r, value.lower()) for r in read)
        return any((arn_fits if name.startswith("Arn") else fits)(r, fold(value)) for r in read)
    if name == "BinaryEquals":
        return any(base64.b64decode(w) == base64.b64decode(value) for w in wanted)
    if "IpAddress" in name:
        return any(ipaddress.ip_address(value) in ipaddress.ip_network(w, strict=False) for w in wanted)
    read = number if name.startswith("Numeric") else instant
    if read(value) is None:
        return None
    compare = {
        "Equals": lambda a, b: a == b,
        "LessThan": lambda a, b: a < b,
        "LessThanEquals": lambda a, b: a <= b,
        "GreaterThan": lambda a, b: a > b,
        "GreaterThanEquals": lambda a, b: a >= b,
    }[name.removeprefix("Numeric").removeprefix("Date")]
    return any(compare(read(value), read(w)) for w in wanted)


def number(text):
    return Fraction(text) if re.fullmatch(r"[+-]?\d+(\.\d+)?", text) else None


def instant(text):
    if re.fullmatch(r"-?\d+", text):
        return float(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
