"""Lint: condition operators, values and variables that do not exist, do not fit, or do not do what they seem to."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Final

from leastwise.iam.interface import MalformedPolicy
from leastwise.iam.lint.draft import Draft, DraftCondition, DraftStatement, Word
from leastwise.iam.lint.findings import LintFinding, Severity, did_you_mean
from leastwise.iam.lint.keys import each_condition
from leastwise.iam.lint.shape import Rule
from leastwise.iam.policy import grammar, vocabulary
from leastwise.iam.policy.globalkeys import GLOBAL_KEYS, ValueType
from leastwise.iam.policy.matching import has_variables
from leastwise.iam.policy.operators import OPERATORS, Family, Order
from leastwise.iam.policy.variables import keys_of, parse_pattern

# SOURCE: RFC 1918 (private), RFC 1122 section 3.2.1.3 (loopback), RFC 3927 (link-local), RFC 6598 (shared by carriers),
# RFC 4193 (unique local), RFC 4291 sections 2.5.3 and 2.5.6. Python's `is_private` also says so of addresses that are
# for documentation (RFC 5737, RFC 3849), which no client has anywhere.
_PRIVATE_V4: Final = tuple(
    ipaddress.IPv4Network(block)
    for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10")
)
_PRIVATE_V6: Final = tuple(ipaddress.IPv6Network(block) for block in ("::1/128", "fe80::/10", "fc00::/7"))
_MISMATCH: Final = {
    Family.NUMERIC: "NUMBER",
    Family.DATE: "DATE",
    Family.BOOL: "BOOLEAN",
    Family.NULL: "BOOLEAN",
    Family.IP: "IP_RANGE",
    Family.ARN: "ARN",
    Family.BINARY: "BINARY",
}
_FAMILIES: Final = {
    ValueType.STRING: (Family.STRING, Family.STRING_IGNORE_CASE, Family.STRING_LIKE),
    ValueType.ARN: (Family.ARN, Family.STRING, Family.STRING_IGNORE_CASE, Family.STRING_LIKE),
    ValueType.BOOL: (Family.BOOL, Family.STRING, Family.STRING_IGNORE_CASE, Family.STRING_LIKE),
    ValueType.NUMERIC: (Family.NUMERIC, Family.STRING, Family.STRING_LIKE),
    ValueType.DATE: (Family.DATE, Family.NUMERIC, Family.STRING_LIKE),
    ValueType.IP: (Family.IP, Family.STRING, Family.STRING_LIKE),
}
"""Operators that can hold for values of a type; the first is the one that is meant for it."""
_AS_TEXT: Final = frozenset({Family.STRING, Family.STRING_IGNORE_CASE, Family.STRING_LIKE})
_HAVE_FORMS: Final = frozenset({ValueType.BOOL, ValueType.NUMERIC, ValueType.DATE, ValueType.IP})
"""Types whose values can be written in several ways, so that comparing the text misses some."""
_TEXTS_THAT_MAY_BE: Final = {
    Family.ARN: ("arn",),
    Family.NUMERIC: ("timeofday", "age", "days", "size", "count", "max-keys", "number", "seconds"),
}
"""Keys that are documented as String and carry ARNs or numbers all the same."""


def operators(draft: Draft) -> Iterator[LintFinding]:
    """Operators that do not exist, and what Null cannot be combined with."""
    for statement in draft.statements:
        block = statement.raw.get("Condition")
        known = {condition.operator_name for condition in statement.conditions if condition.operator}
        for name, tested in block.items() if isinstance(block, Mapping) else ():
            if name in known or not tested:
                continue
            path = (*statement.path, "Condition", name)
            plain = name.rpartition(":")[2]
            code, message = "INVALID_CONDITION_OPERATOR", f"{name} is not a condition operator."
            if plain == "NullIfExists":
                code, message = "NULL_WITH_IF_EXISTS", "Null asks for presence itself; IfExists contradicts it."
            elif plain == "Null":
                code, message = "NULL_WITH_QUALIFIER", f"Null asks for presence and takes no {name.partition(':')[0]}."
            else:
                message += did_you_mean(plain, [*OPERATORS, *(f"{operator}IfExists" for operator in OPERATORS)])
            yield LintFinding(
                severity=Severity.ERROR, code=code, message=message, path=path, remedy="Correct the operator."
            )


def operator_and_type(draft: Draft) -> Iterator[LintFinding]:
    """Operators that cannot hold for any value of their key."""
    for _, condition in each_condition(draft):
        known = vocabulary.key_named(condition.key)
        if known is None or condition.operator is None or condition.operator.family is Family.NULL:
            continue
        family = condition.operator.family
        fitting = _FAMILIES[known.value_type]
        name = known.name.lower()
        if known.value_type is ValueType.STRING and any(part in name for part in _TEXTS_THAT_MAY_BE.get(family, ())):
            continue
        if known.value_type is ValueType.STRING and ("/" in known.name or not name.startswith(("aws:", "leastwise:"))):
            continue  # Tags and the keys of services may hold what they want.
        if family not in fitting:
            yield LintFinding(
                severity=Severity.WARNING,
                code="TYPE_MISMATCH",
                message=f"{condition.key} is of type {known.value_type.value}; {condition.operator_name} never fits it.",
                path=condition.path,
                remedy=f"Use an operator for the type {fitting[0].value}.",
            )
        elif family in _AS_TEXT and known.value_type in _HAVE_FORMS:
            yield LintFinding(
                severity=Severity.WARNING,
                code="TYPE_MISMATCH",
                message=f"{condition.key} is of type {known.value_type.value}; {condition.operator_name} compares it as "
                "text: neither ranges nor other ways to write a value fit.",
                path=condition.path,
                remedy=f"Use an operator for the type {fitting[0].value}.",
            )


def values(draft: Draft) -> Iterator[LintFinding]:
    """Values that are not of their operator's kind."""
    for _, condition in each_condition(draft):
        if condition.operator is None:
            continue
        family = condition.operator.family
        for word in condition.values:
            try:
                grammar.check_condition_value(
                    condition.operator, condition.key, word.text, "here", variables=draft.variables
                )
            except MalformedPolicy:
                code = f"TYPE_MISMATCH_{_MISMATCH.get(family, 'STRING')}"
                if draft.variables and has_variables(parse_pattern(word.text, variables=True, wildcards=False)):
                    code = "INVALID_VARIABLE_FOR_OPERATOR"
                elif family is Family.IP and _is_address(word.text.partition("/")[0]):
                    code = "INVALID_IP_RANGE"
                yield LintFinding(
                    severity=Severity.ERROR,
                    code=code,
                    message=f"{word.text} cannot be compared by {condition.operator_name}.",
                    path=word.path,
                    remedy=f"Write a value of the type {family.value}.",
                )
        if family in {Family.BOOL, Family.NULL} and len({word.text.lower() for word in condition.values}) > 1:
            yield LintFinding(
                severity=Severity.ERROR,
                code="INVALID_CONDITION_MULTIPLE_BOOLEAN",
                message=f"{condition.key} is compared with both true and false, which decides nothing.",
                path=condition.path,
                remedy="Keep one of them.",
            )
        ordered = condition.operator.order is not Order.EQUALS
        if ordered and len(condition.values) > 1:
            yield LintFinding(
                severity=Severity.SUGGESTION,
                code="REDUNDANT_CONDITION_VALUE_NUM",
                message=f"Of several values of {condition.operator_name} only the widest counts.",
                path=condition.path,
                remedy="Keep that one.",
            )


def wildcards_without_like(draft: Draft) -> Iterator[LintFinding]:
    """`StringEquals: a*` compares with a star."""
    for _, condition in each_condition(draft):
        if condition.operator is None or condition.operator.family not in {Family.STRING, Family.STRING_IGNORE_CASE}:
            continue
        for word in condition.values:
            plain = parse_pattern(word.text, variables=draft.variables, wildcards=False)
            written = "".join(token for token in plain if isinstance(token, str))
            meant = written.replace("${*}", "").replace("${?}", "")
            if any(mark in meant for mark in "*?") and "${*}" not in word.text and "${?}" not in word.text:
                like = "StringNotLike" if condition.operator.negated else "StringLike"
                yield LintFinding(
                    severity=Severity.WARNING,
                    code="WILDCARD_WITHOUT_LIKE_OPERATOR",
                    message=f"{condition.operator_name} knows no wildcards: {word.text} only equals itself.",
                    path=word.path,
                    remedy=f"Use {like}, or write ${{*}} for a star that is meant.",
                )


def addresses(draft: Draft) -> Iterator[LintFinding]:
    """IP ranges that are not written as ranges, are everything, or are private."""
    for statement, condition in each_condition(draft):
        if condition.operator is None or condition.operator.family is not Family.IP:
            continue
        for word in condition.values:
            try:
                network = ipaddress.ip_network(word.text, strict=False)
            except ValueError:
                continue
            yield from _address(statement, condition, word, network)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_private(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    if isinstance(network, ipaddress.IPv4Network):
        return any(network.subnet_of(private) for private in _PRIVATE_V4)
    return any(network.subnet_of(private) for private in _PRIVATE_V6)


def _address(
    statement: DraftStatement,
    condition: DraftCondition,
    word: Word,
    network: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> Iterator[LintFinding]:
    written = word.text.partition("/")[0]
    if ipaddress.ip_address(written) != network.network_address:
        yield LintFinding(
            severity=Severity.SUGGESTION,
            code="IMPROVE_IP_RANGE",
            message=f"{word.text} is not the first address of its range.",
            path=word.path,
            remedy=f"Write {network}.",
        )
    if network.prefixlen == 0:
        holds = "holds for no" if condition.operator and condition.operator.negated else "holds for every"
        yield LintFinding(
            severity=Severity.SECURITY_WARNING if statement.allow else Severity.WARNING,
            code="IP_RANGE_OF_EVERYTHING",
            message=f"{word.text} {holds} IPv{network.version} address.",
            path=word.path,
            remedy="Name the ranges that are meant, or remove the condition.",
        )
    elif _is_private(network) and condition.key.lower() == "aws:sourceip":
        negated = condition.operator is not None and condition.operator.negated
        yield LintFinding(
            severity=Severity.SUGGESTION,
            code="PRIVATE_NOTIPADDRESS" if negated else "PRIVATE_IP_ADDRESS",
            message=f"{word.text} is private: it fits clients on the platform's own network only, and nobody on AWS.",
            path=word.path,
            remedy="Nothing, if clients reach the platform without address translation.",
        )


def variables(draft: Draft) -> Iterator[LintFinding]:
    """`${...}` that is no variable, names no key, or a key with several values."""
    for statement in draft.statements:
        words = [*statement.resources, *(word for item in statement.conditions for word in item.values)]
        for word in words:
            if "${" not in word.text:
                continue
            if not draft.variables:
                yield _variable(
                    word,
                    "VARIABLE_UNSUPPORTED_IN_VERSION",
                    "Without Version 2012-10-17 this is literal text.",
                    "Add it.",
                )
                continue
            tokens = parse_pattern(word.text, variables=True, wildcards=False)
            rest = "".join(token for token in tokens if isinstance(token, str))
            if "${" in rest:
                what = "A variable that begins with ${ is not closed, or holds what no variable can hold."
                yield _variable(
                    word, "MISSING_BRACE_IN_VARIABLE", what, "Close it with }, or write ${$}{ for the text."
                )
            for key in sorted(keys_of(tokens)):
                known = vocabulary.key_named(key)
                if known is not None and known.multivalued:
                    what = f"{known.name} may have several values and cannot be a variable: nothing matches."
                    yield _variable(word, "VARIABLE_OF_MULTIVALUED_KEY", what, "Use another key.")
                elif known is None and key.partition(":")[0] in {"aws", "leastwise"}:
                    names = [item.name.partition("/")[0] for item in GLOBAL_KEYS.values()]
                    what = f"There is no key {key}: nothing matches.{did_you_mean(key, names)}"
                    yield _variable(word, "VARIABLE_OF_UNKNOWN_KEY", what, "Correct the key.")


def _variable(word: Word, code: str, what: str, remedy: str) -> LintFinding:
    return LintFinding(
        severity=Severity.ERROR, code=code, message=f"{word.text}: {what}", path=word.path, remedy=remedy
    )


RULES: Final[tuple[Rule, ...]] = (
    operators,
    operator_and_type,
    values,
    wildcards_without_like,
    addresses,
    variables,
)
