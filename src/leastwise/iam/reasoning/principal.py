"""The caller of a request as variables, and when a Principal or NotPrincipal element names it.

Roles are seen through their sessions: an account contains its users, its roles and every session of them, as the engine
and AWS say.
"""

from __future__ import annotations

from typing import Final

from leastwise.iam.interface import Issuer, PolicyKind, Principal, PrincipalKind
from leastwise.iam.policy.document import Statement
from leastwise.iam.policy.principals import PrincipalElement
from leastwise.iam.reasoning import terms
from leastwise.iam.reasoning.context import ContextTerms
from leastwise.iam.reasoning.readings import Model
from leastwise.iam.reasoning.script import Script
from leastwise.iam.reasoning.terms import quoted

KINDS: Final = (
    PrincipalKind.USER,
    PrincipalKind.ROLE_SESSION,
    PrincipalKind.ROOT,
    PrincipalKind.FEDERATED_USER,
    PrincipalKind.SERVICE,
    PrincipalKind.ANONYMOUS,
)
_PEOPLE: Final = frozenset({PrincipalKind.USER, PrincipalKind.ROLE_SESSION, PrincipalKind.FEDERATED_USER})
_CALLERS: Final = {
    PolicyKind.RESOURCE: frozenset(KINDS),
    PolicyKind.TRUST: _PEOPLE | {PrincipalKind.SERVICE},
}
"""Whom a policy of a kind can be asked about; `_PEOPLE` for all others. Root is not bound by identity policies."""
_TYPES: Final = {
    PrincipalKind.USER: "User",
    PrincipalKind.ROLE_SESSION: "AssumedRole",
    PrincipalKind.ROOT: "Account",
    PrincipalKind.FEDERATED_USER: "FederatedUser",
    PrincipalKind.ANONYMOUS: "Anonymous",
}
LINKED: Final = frozenset(
    {
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalisawsservice",
        "aws:principalservicename",
        "aws:principaltype",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:userid",
        "aws:username",
    }
)
"""Keys whose value follows from who calls."""
ACCOUNT: Final = '((_ re.loop 12 12) (re.range "0" "9"))'
_NAME: Final = (
    '(re.+ (re.union (re.range "0" "9") (re.range "A" "Z") (re.range "a" "z") (str.to_re "_") (str.to_re "+")'
    ' (str.to_re "=") (str.to_re ",") (str.to_re ".") (str.to_re "@") (str.to_re "-")))'
)
_PRINTABLE: Final = '(re.+ (re.range "!" "~"))'
_UNIQUE_ID: Final = '((_ re.loop 16 32) (re.union (re.range "0" "9") (re.range "A" "Z")))'
_SERVICE: Final = '(re.+ (re.union (re.range "0" "9") (re.range "a" "z") (str.to_re ".") (str.to_re "-")))'


def is_(*kinds: PrincipalKind) -> str:
    """The term: the caller is of one of these kinds."""
    return terms.any_of(f"(= pkind {KINDS.index(kind)})" for kind in kinds)


class PrincipalTerms:
    """Args:
    script: the question.
    context: of the same question; must not have made a key yet.
    kind: of the policies.
    """

    def __init__(self, script: Script, context: ContextTerms, kind: PolicyKind) -> None:
        self._script = script
        callers = _CALLERS.get(kind, _PEOPLE)
        script.declare("pkind", "Int")
        script.fact(is_(*sorted(callers)))
        for name, expression in (
            ("paccount", ACCOUNT),
            ("ppath", _PRINTABLE),
            ("pname", _NAME),
            ("psession", _NAME),
            ("pid", _UNIQUE_ID),
            ("pservice", _SERVICE),
        ):
            script.declare(name, "String")
            script.fact(terms.within(name, expression))
        script.fact('(or (= ppath pname) (str.suffixof (str.++ "/" pname) ppath))')
        script.declare("pbound", "Bool")
        self._link(context)

    def _link(self, context: ContextTerms) -> None:
        """Context keys that say who calls."""
        values = {
            "aws:principalaccount": {
                PrincipalKind.ANONYMOUS: '"anonymous"',
                **dict.fromkeys(_PEOPLE | {PrincipalKind.ROOT}, "paccount"),
            },
            "aws:principalarn": {
                PrincipalKind.USER: '(str.++ "arn:aws:iam::" paccount ":user/" ppath)',
                PrincipalKind.ROLE_SESSION: '(str.++ "arn:aws:iam::" paccount ":role/" ppath)',
                PrincipalKind.ROOT: '(str.++ "arn:aws:iam::" paccount ":root")',
                PrincipalKind.FEDERATED_USER: '(str.++ "arn:aws:sts::" paccount ":federated-user/" psession)',
            },
            "aws:principaltype": {kind: quoted(text) for kind, text in _TYPES.items()},
            "aws:username": {PrincipalKind.USER: "pname"},
            "aws:principalservicename": {PrincipalKind.SERVICE: "pservice"},
            "aws:sourceaccount": {PrincipalKind.SERVICE: "paccount"},
            "aws:userid": {
                PrincipalKind.USER: "pid",
                PrincipalKind.ROLE_SESSION: '(str.++ pid ":" psession)',
                PrincipalKind.ROOT: "paccount",
                PrincipalKind.FEDERATED_USER: '(str.++ paccount ":" psession)',
                PrincipalKind.SERVICE: "pservice",
                PrincipalKind.ANONYMOUS: '"anonymous"',
            },
            "aws:principalisawsservice": {
                kind: '"true"' if kind is PrincipalKind.SERVICE else '"false"' for kind in KINDS
            },
        }
        for name in sorted(LINKED & context.names()):
            key = context.as_text(name)
            if name == "aws:sourcearn":
                self._script.fact(terms.implies(key.present, is_(PrincipalKind.SERVICE)))
                continue
            self._script.fact(terms.equal(key.present, is_(*values[name])))
            for kind, value in values[name].items():
                self._script.fact(terms.implies(is_(kind), terms.equal(key.slots[0].text, value)))

    def named(self, statement: Statement) -> str:
        """The statement's Principal or NotPrincipal names the caller (`CompiledStatement.grade`, in any grade)."""
        element = statement.principal
        if element is None:
            return terms.TRUE
        if not statement.not_principal:
            return _grants(element)
        return terms.negation(_grants(element)) if statement.allow else terms.negation(_exempts(element))

    @staticmethod
    def shown(model: Model) -> Principal:
        """The caller that the solver chose."""
        account, path, name, session, pid, service = (
            str(model[part]) for part in ("paccount", "ppath", "pname", "psession", "pid", "pservice")
        )
        kind = KINDS[int(model["pkind"])]
        if kind is PrincipalKind.USER:
            return user(account, path, unique_id=pid)
        if kind is PrincipalKind.ROLE_SESSION:
            return Principal(
                kind=kind,
                account_id=account,
                arn=f"arn:aws:sts::{account}:assumed-role/{name}/{session}",
                role_arn=f"arn:aws:iam::{account}:role/{path}",
                unique_id=f"{pid}:{session}",
                name=name,
                session_name=session,
            )
        if kind is PrincipalKind.ROOT:
            return Principal(kind=kind, account_id=account, arn=f"arn:aws:iam::{account}:root", unique_id=account)
        if kind is PrincipalKind.FEDERATED_USER:
            return Principal(
                kind=kind,
                account_id=account,
                arn=f"arn:aws:sts::{account}:federated-user/{session}",
                unique_id=f"{account}:{session}",
                name=session,
                federated_by=Issuer(arn=f"arn:aws:iam::{account}:user/{path}", unique_id=pid, name=name),
            )
        if kind is PrincipalKind.SERVICE:
            return Principal(kind=kind, account_id=account, arn=service, unique_id=service, name=service)
        return Principal(kind=kind, account_id="anonymous", arn="anonymous", unique_id="anonymous")


def user(account: str, path: str, *, unique_id: str = "AIDAEXAMPLEEXAMPLEEX") -> Principal:
    """A user for a request. Args: path: with the name at its end, without a leading slash."""
    return Principal(
        kind=PrincipalKind.USER,
        account_id=account,
        arn=f"arn:aws:iam::{account}:user/{path}",
        unique_id=unique_id,
        name=path.rpartition("/")[2],
    )


def _grants(element: PrincipalElement) -> str:
    """See `PrincipalElement.grade`."""
    if element.everyone:
        return terms.TRUE
    named = [_in_account(element), *(_is_named(arn) for arn in sorted(element.arns))]
    if element.unique_ids:
        with_id = is_(*sorted(_PEOPLE))
        named.append(terms.all_of((with_id, _one_of("pid", element.unique_ids))))
    service = terms.all_of((is_(PrincipalKind.SERVICE), _one_of("pservice", element.services)))
    person = terms.all_of((terms.negation(is_(PrincipalKind.SERVICE, PrincipalKind.ANONYMOUS)), terms.any_of(named)))
    return terms.any_of((service, person))


def _exempts(element: PrincipalElement) -> str:
    """See `PrincipalElement.exempts`."""
    if element.everyone:
        return "(not pbound)"
    service = terms.all_of((is_(PrincipalKind.SERVICE), _one_of("pservice", element.services)))
    itself = terms.any_of(
        [
            terms.all_of((is_(PrincipalKind.USER), _one_of("pid", element.unique_ids))),
            *(_is_named(arn, itself=True) for arn in sorted(element.arns)),
        ]
    )
    mates, mine = [], []
    for arn in sorted(element.arns):
        parts = _session_parts(arn)
        if parts is not None:
            account, named, own = parts
            mates.append(terms.all_of((_one_of("paccount", {account}), _one_of("pname", {named}))))
            mine.append(terms.all_of((mates[-1], _one_of("psession", {own}))))
    role = terms.any_of(
        [
            _one_of("pid", element.unique_ids),
            *(_is_role(arn) for arn in sorted(element.arns)),
        ]
    )
    session = terms.all_of(
        (is_(PrincipalKind.ROLE_SESSION), role, terms.implies(terms.any_of(mates), terms.any_of(mine)))
    )
    person = terms.all_of(
        (
            terms.negation(is_(PrincipalKind.SERVICE, PrincipalKind.ANONYMOUS)),
            _one_of("paccount", element.accounts),
            terms.any_of((is_(PrincipalKind.ROOT), itself, session)),
        )
    )
    return terms.all_of(("(not pbound)", terms.any_of((service, person))))


def _in_account(element: PrincipalElement) -> str:
    return _one_of("paccount", element.accounts)


def _one_of(term: str, values: frozenset[str] | set[str]) -> str:
    return terms.any_of(terms.equal(term, quoted(value)) for value in sorted(values))


def _session_parts(arn: str) -> tuple[str, str, str] | None:
    account, _, rest = arn.removeprefix("arn:aws:sts::").partition(":")
    # A session's name has no slash; what has one names nobody, and still says that sessions of the role are listed.
    match rest.split("/", 2):
        case ["assumed-role", role, session] if arn.startswith("arn:aws:sts::"):
            return account, role, session
    return None


def _is_role(arn: str) -> str:
    account, _, path = arn.removeprefix("arn:aws:iam::").partition(":role/")
    if not arn.startswith("arn:aws:iam::") or not path:
        return terms.FALSE
    return terms.all_of((_one_of("paccount", {account}), _one_of("ppath", {path})))


def _is_named(arn: str, *, itself: bool = False) -> str:
    """The caller has this ARN, or (unless `itself`) is a session of the role or user that has it."""
    service, _, rest = arn.removeprefix("arn:aws:").partition("::")
    account, _, resource = rest.partition(":")
    kind, _, path = resource.partition("/")
    here = _one_of("paccount", {account})
    match service, kind:
        case "iam", "user":
            callers = [PrincipalKind.USER] if itself else [PrincipalKind.USER, PrincipalKind.FEDERATED_USER]
            return terms.all_of((is_(*callers), here, _one_of("ppath", {path})))
        case "iam", "role":
            return terms.FALSE if itself else terms.all_of((is_(PrincipalKind.ROLE_SESSION), _is_role(arn)))
        case "sts", "assumed-role":
            parts = _session_parts(arn)
            if itself or parts is None:
                # An own ARN counts for sessions in the test of sessions, not here.
                return terms.FALSE
            named = (_one_of("pname", {parts[1]}), _one_of("psession", {parts[2]}))
            return terms.all_of((is_(PrincipalKind.ROLE_SESSION), here, *named))
        case "sts", "federated-user":
            return terms.all_of((is_(PrincipalKind.FEDERATED_USER), here, _one_of("psession", {path})))
    return terms.FALSE
