"""Wishes about a counterexample, so that people recognise it: real actions, short names, one value a key."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from leastwise.iam.interface import PrincipalKind
from leastwise.iam.reasoning import terms
from leastwise.iam.reasoning.encode import RequestTerms
from leastwise.iam.reasoning.principal import is_
from leastwise.iam.reasoning.readings import Reading

_LETTERS: Final = '(re.union (re.range "0" "9") (re.range "a" "z") (re.range "A" "Z") (str.to_re "-") (str.to_re "_"))'
_PATH: Final = f'(re.++ {_LETTERS} ((_ re.loop 0 60) (re.union {_LETTERS} (str.to_re "/") (str.to_re ":"))))'
_VALUE: Final = f'((_ re.loop 1 80) (re.union {_LETTERS} (str.to_re "/") (str.to_re ":") (str.to_re ".")))'
_TYPICAL: Final = (
    ("iam", "role/example"),
    ("iam", "role/"),
    ("iam", "user/"),
    ("iam", "policy/"),
    ("iam", "group/"),
    ("sts", "assumed-role/example/"),
    ("lambda", "function:example"),
    ("lambda", "function:"),
    ("logs", "log-group:"),
    ("s3", "example/key"),
)


def preferences(request: RequestTerms, actions: Collection[str]) -> list[str]:
    """Terms, the most important first; each is taken when it does not contradict those before.

    Args:
        request: what is asked about.
        actions: that exist, in lower case.
    """
    wishes = []
    pairs = [action.partition(":") for action in actions]
    if pairs:
        known = terms.any_of(
            terms.all_of((terms.equal("aservice", terms.quoted(s)), terms.equal("aname", terms.quoted(n))))
            for s, _, n in pairs
        )
        wishes.append(known)
    wishes += [
        "(and (not rstar) (= rservice aservice))",
        terms.any_of(f'(and (= rservice "{service}") (str.prefixof "{kind}" rpath))' for service, kind in _TYPICAL),
        terms.within("rpath", _PATH),
        '(= raccount (ite (= rservice "s3") "" "111122223333"))',
        '(= rregion (ite (or (= rservice "s3") (= rservice "iam") (= rservice "sts")) "" "us-east-1"))',
    ]
    if request.principal is not None:
        wishes += [
            f"(and {is_(PrincipalKind.USER)} (not pbound))",
            '(= paccount "999988887777")',
            '(and (= pname "anybody") (= ppath pname))',
            '(and (= psession "session") (= pid "AIDAEXAMPLEEXAMPLEEX"))',
        ]
    keys = list(request.context.keys.values())
    wishes += [terms.negation(key.several) for key in keys if key.several != terms.FALSE]
    wishes += [
        terms.within(slot.text, _VALUE) for key in keys for slot in key.slots[:1] if Reading.TEXT in slot.uses.readings
    ]
    return [wish for wish in wishes if wish != terms.TRUE]
