"""Who is meant by "public": somebody of whom the policy names nothing that only its owner could give.

An outsider is anybody (a user, role session or root of an account that the policy does not mention, or nobody in
particular), from anywhere but the narrow networks that the policy names, in any organization and any private network
that the policy does not name. What outsiders choose themselves (names, tags, external ids, times, the user agent) they may choose freely. A policy
is public when an outsider is allowed anything.

So these conditions make a grant to everyone private when they compare with a value of one's own (a wildcard that an
outsider can also match does not count): aws:PrincipalAccount, aws:PrincipalArn, aws:PrincipalOrgID,
aws:PrincipalOrgPaths, aws:userid, aws:SourceAccount, aws:SourceArn, aws:SourceOrgID, aws:SourceOrgPaths, aws:SourceVpc,
aws:SourceVpce, kms:CallerAccount, and aws:SourceIp and aws:VpcSourceIp with networks that together have no block wider
than /8 (IPv6: /32).

Source: Amazon S3 User Guide, "Blocking public access", "The meaning of 'public'"; IAM User Guide, "Access Analyzer
custom policy checks", public access; IAM User Guide, "The confused deputy problem".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final

from leastwise.iam.interface import PrincipalKind
from leastwise.iam.policy.document import ConditionEntry
from leastwise.iam.policy.operators import Family, parse_network
from leastwise.iam.reasoning import terms
from leastwise.iam.reasoning.encode import RequestTerms
from leastwise.iam.reasoning.holding import any_case
from leastwise.iam.reasoning.principal import ACCOUNT, is_
from leastwise.iam.reasoning.readings import Reading

_ACCOUNT: Final = re.compile(r"(?<![0-9])[0-9]{12}(?![0-9])")
_UNIQUE_ID: Final = re.compile(r"A(?:IDA|ROA)[A-Z0-9]{12,28}")
_WORD: Final = '(re.union (re.range "0" "9") (re.range "a" "z"))'
_HEX: Final = '(re.union (re.range "0" "9") (re.range "a" "f"))'
_ORGANIZATION: Final = f'(re.++ (str.to_re "o-") ((_ re.loop 10 32) {_WORD}))'
_ORG_PATH: Final = (
    f'(re.++ {_ORGANIZATION} (str.to_re "/r-") ((_ re.loop 4 32) {_WORD}) (str.to_re "/") (re.* (re.++ (str.to_re "ou-")'
    f' ((_ re.loop 4 32) {_WORD}) (str.to_re "-") ((_ re.loop 8 32) {_WORD}) (str.to_re "/"))))'
)
_PATHS: Final = frozenset({"aws:principalorgpaths", "aws:sourceorgpaths"})
_OWN: Final = {
    "aws:principalorgid": _ORGANIZATION,
    "aws:sourceorgid": _ORGANIZATION,
    **dict.fromkeys(_PATHS, _ORG_PATH),
    "aws:sourcevpc": f'(re.++ (str.to_re "vpc-") ((_ re.loop 8 17) {_HEX}))',
    "aws:sourcevpce": f'(re.++ (str.to_re "vpce-") ((_ re.loop 8 17) {_HEX}))',
}
"""The form of what an outsider has in the place of the owner's, if anything.

SECURITY: a form, no example: whoever knew the example could write a policy that is open to all but the example.
Source: Organizations API Reference, Organization, Root and OrganizationalUnit, patterns of Id; EC2 API Reference, ids of
resources (eight or seventeen hexadecimal digits).
"""
_V4: Final = 4
_V6: Final = 6
_NARROW: Final = {_V4: 8, _V6: 32}
"""Source: Amazon S3 User Guide, "The meaning of 'public'": IP ranges broader than /8 (IPv4) and /32 (IPv6)."""
_MOST_WIDEST: Final = 4
"""As much as so many of the widest networks, in all: room for the private networks of RFC 1918, not for the Internet."""
_NETWORK_KEYS: Final = ("aws:sourceip", "aws:vpcsourceip")
_BITS: Final = {_V4: 32, _V6: 128}


def outsider(request: RequestTerms, policy: str, *, services_act_for_anybody: bool) -> list[str]:
    """Terms: the caller is an outsider to the policy.

    Args:
        request: of the question.
        policy: JSON text; every account and unique id in it is known to its owner.
        services_act_for_anybody: the caller may be a service on an outsider's behalf.
    """
    goals = [terms.negation(f'(= paccount "{account}")') for account in sorted(set(_ACCOUNT.findall(policy)))]
    goals += [terms.negation(f'(= pid "{unique_id}")') for unique_id in sorted(set(_UNIQUE_ID.findall(policy)))]
    if not services_act_for_anybody:
        goals.append(terms.negation(is_(PrincipalKind.SERVICE)))
    context = request.context
    for name, key in list(context.keys.items()):
        slot = key.slots[0]
        as_text = Reading.TEXT in slot.uses.readings
        if name in _OWN and as_text:
            ours = context.named(name)
            goals += [
                terms.implies(used, _foreign(s.text, name, ours)) for used, s in zip(key.used, key.slots, strict=True)
            ]
        elif name == "kms:calleraccount" and as_text:
            goals.append(terms.implies(key.present, terms.equal(slot.text, "paccount")))
        elif name == "aws:sourcearn" and as_text:
            goals.append(terms.implies(key.present, _foreign_arn(slot.text, slot.uses.texts, policy)))
        elif name in _NETWORK_KEYS and Reading.ADDRESS in slot.uses.readings:
            goals += [terms.negation(near) for near in _narrow_networks(request, name, slot.name("a"), slot.name("av"))]
    return goals


def _foreign_arn(text: str, literals: set[str], policy: str) -> str:
    form = (
        '(re.++ (str.to_re "arn:aws:") (re.+ (re.union (re.range "a" "z") (re.range "0" "9") (str.to_re "-")))'
        ' (str.to_re ":") (re.* (re.union (re.range "a" "z") (re.range "0" "9") (str.to_re "-"))) (str.to_re ":")'
        f' (re.opt {ACCOUNT}) (str.to_re ":") (re.+ (re.range "!" "~")))'
    )
    known = [terms.equal(text, terms.quoted(literal)) for literal in sorted(literals) if not set(literal) & set("*?$")]
    ours = [f'(str.contains {text} ":{account}:")' for account in sorted(set(_ACCOUNT.findall(policy)))]
    return terms.all_of([terms.within(text, form), *map(terms.negation, [*known, *ours])])


def _foreign(text: str, name: str, entries: Iterable[ConditionEntry]) -> str:
    """The value has its key's form, and is nothing that the policy names without a wildcard.

    Of a path it is enough that the policy names its organization.
    """
    ours = set()
    for entry in entries:
        for value in entry.values if entry.operator.family is not Family.NULL else ():
            organization, slash, _ = value.partition("/")
            named = organization + slash if name in _PATHS else value
            if not named.isascii() or set(named) & set("*?$"):
                continue
            if entry.operator.family is Family.STRING_IGNORE_CASE:
                ours.add(terms.within(text, any_case(value.lower())))
            elif name in _PATHS and slash:
                ours.add(f"(str.prefixof {terms.quoted(named)} {text})")
            else:
                ours.add(terms.equal(text, terms.quoted(value)))
    return terms.all_of([terms.within(text, _OWN[name]), *map(terms.negation, sorted(ours))])


def _narrow_networks(request: RequestTerms, name: str, value: str, version: str) -> list[str]:
    """Terms: the address is in what the policy names, of IPv4 and of IPv6, where that is narrow.

    SECURITY: a policy for everybody, cut into networks that are each narrow. They are judged together: no merged block
    may be wide, nor all of them many.
    """
    named = {text for entry in request.context.named(name) for text in entry.values}
    networks = [network for network in map(parse_network, sorted(named)) if network is not None]
    found = []
    fours = ipaddress.collapse_addresses(
        ipaddress.IPv4Network((one.prefix, one.mask.bit_count())) for one in networks if one.version == _V4
    )
    sixes = ipaddress.collapse_addresses(
        ipaddress.IPv6Network((one.prefix, one.mask.bit_count())) for one in networks if one.version == _V6
    )
    for number, merged in ((_V4, [*fours]), (_V6, [*sixes])):
        widest = 1 << (_BITS[number] - _NARROW[number])
        if any(block.num_addresses > widest for block in merged):
            continue
        if sum(block.num_addresses for block in merged) > _MOST_WIDEST * widest:
            continue
        found += [f"(and (= {version} {number}) (<= {int(block[0])} {value} {int(block[-1])}))" for block in merged]
    return found
