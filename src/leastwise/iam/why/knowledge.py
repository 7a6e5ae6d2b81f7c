"""Which condition keys nobody knows, when a request is made up or is read back from its record.

A key that is absent is part of the answer; a key that nobody mentioned must keep it open. So every key counts as
unknown unless there is a reason here why the request cannot have it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from leastwise.iam.interface import ContextValue, Principal, PrincipalKind
from leastwise.iam.policy.globalkeys import GLOBAL_KEYS, Presence
from leastwise.iam.why.certainty import Unknown

PRINCIPAL_TAG: Final = "aws:principaltag"
RESOURCE_TAGS: Final = frozenset({"aws:resourcetag", "iam:resourcetag"})

_NOWHERE: Final = frozenset(family for family, key in GLOBAL_KEYS.items() if key.presence is Presence.NEVER)
_OF_THE_PLACE: Final = frozenset(
    {
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:resourceorgid",
        "aws:resourceorgpaths",
        "aws:sourceorgid",
        "aws:sourceorgpaths",
        "aws:resourceaccount",
        "aws:requestedregion",
        "leastwise:timezone",
        "leastwise:timeofday",
        "leastwise:dayofweek",
    }
)
"""Known by who and where: the gate supplies them, or there is nothing to supply."""

_OF_SERVICES: Final = frozenset(
    {"aws:principalservicename", "aws:principalservicenameslist", "aws:sourcearn", "aws:sourceaccount"}
)
_OF_FORWARDED_CALLS: Final = frozenset({"aws:calledvia", "aws:calledviafirst", "aws:calledvialast"})
_OF_SESSIONS: Final = frozenset(
    {
        "aws:multifactorauthpresent",
        "aws:multifactorauthage",
        "aws:tokenissuetime",
        "aws:sourceidentity",
        "aws:federatedprovider",
        "lambda:sourcefunctionarn",
        "leastwise:mfamethod",
        "leastwise:authenticationmethod",
    }
)
_OF_PEOPLE: Final = frozenset(
    {"aws:username", "aws:principalarn", "aws:principaltype", "aws:principalaccount", "aws:userid"}
)


def _family(key: str) -> str:
    return key.partition("/")[0]


def of_made_up_request(
    principal: Principal, context: Mapping[str, ContextValue], *, resource_known: bool, principal_known: bool = True
) -> Unknown:
    """For a request that somebody asks about: everything it does not say is unknown, but what cannot be.

    Args:
        principal: who would call. The keys that follow from it are in the context already.
        context: what is known.
        resource_known: the resource was looked up, so that tags it lacks are absent.
        principal_known: the same of the principal, and its tags.
    """
    absent = _NOWHERE | _OF_THE_PLACE
    if not principal_known:
        return lambda key: key not in context and _family(key) not in absent
    absent |= _OF_PEOPLE
    if principal.kind is PrincipalKind.SERVICE:
        absent |= _OF_SESSIONS | {PRINCIPAL_TAG, "aws:sourceip"}
    else:
        absent |= _OF_SERVICES | _OF_FORWARDED_CALLS
    if principal.kind in {PrincipalKind.USER, PrincipalKind.ROOT}:
        # Sessions of users carry no tags of their own; those of roles may.
        absent |= {PRINCIPAL_TAG, "aws:federatedprovider"}
    if resource_known:
        absent |= RESOURCE_TAGS
    return lambda key: key not in context and _family(key) not in absent


def of_recorded_request(
    principal: Principal, context: Mapping[str, ContextValue], *, request_known: bool, resource_known: bool
) -> Unknown:
    """For a call that is on record: what the record does not hold is unknown, the rest was measured.

    Args:
        principal: who called.
        context: what is known.
        request_known: the keys that the operation's input supplied could be made again from the recorded input.
        resource_known: the resource was looked up, so that tags it lacks are absent.
    """
    unknown: set[str] = set()
    if principal.kind in {PrincipalKind.ROLE_SESSION, PrincipalKind.FEDERATED_USER}:
        unknown |= {PRINCIPAL_TAG, "aws:federatedprovider", "lambda:sourcefunctionarn"}
    if principal.session_issued_at_ms is not None:
        unknown.add("leastwise:authenticationmethod")
    if principal.mfa_authenticated_at_ms is not None:
        unknown |= {"aws:multifactorauthage", "leastwise:mfamethod"}
    if principal.kind is PrincipalKind.SERVICE:
        unknown.add("aws:sourcearn")
    if not resource_known:
        unknown |= RESOURCE_TAGS

    def is_unknown(key: str) -> bool:
        family = _family(key)
        if key in context:
            return False
        if family in unknown:
            return True
        of_the_request = family not in GLOBAL_KEYS or family in {"aws:requesttag", "aws:tagkeys"}
        return of_the_request and not request_known and family not in RESOURCE_TAGS

    return is_unknown
