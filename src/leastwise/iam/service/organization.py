"""The account tree: founding it, its accounts and units, and where they stand."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from leastwise.iam import account_tree, names
from leastwise.iam import organization_refusals as refuse
from leastwise.iam.account_tree import AccountTree
from leastwise.iam.directory import Account, Directory, IdentityKind, IdentityRef, Tag
from leastwise.iam.organization import (
    Attachment,
    Creation,
    GuardrailType,
    Member,
    Organization,
    OrganizationStore,
    Standing,
    Unit,
)
from leastwise.iam.seed import ADMINISTRATOR_ACCESS
from leastwise.iam.service.grants import Grants
from leastwise.iam.service.roles import Roles
from leastwise.kernel import errors, ids

ACCESS_ROLE: Final = "OrganizationAccountAccessRole"
"""Source: Organizations API Reference, CreateAccount, RoleName."""
EMAIL_TAKEN: Final = "EMAIL_ALREADY_EXISTS"
_ROLE_SESSION_S: Final = 3600
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz0123456789"


def short_id(length: int) -> str:
    """Random lower-case letters and digits, as in the ids of organizations."""
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """What is asked for.

    Args:
        name: of the account.
        email: unique in the organization.
        role_name: of the role through which the management account gets in.
        tags: of the account.
    """

    name: str
    email: str
    role_name: str
    tags: tuple[Tag, ...]


async def read_tree(store: OrganizationStore) -> AccountTree:
    """The tree as the present transaction sees it. Raises: OrganizationNotInUse."""
    chart = await store.chart()
    if chart is None:
        raise refuse.not_in_use()
    return AccountTree(chart)


class Organizations:
    """The verbs of accounts and units. Writes join the caller's transaction.

    Whether the caller may is decided before: only the management account's principals come this far (`flows`).

    Args:
        store: where the organization is kept.
        directory: where accounts are kept.
        roles: for the way into a new account.
        grants: for what that way allows.
        changed: called by every write, so that caches forget once it is committed.
        after_commit: runs something once the present transaction is committed.
    """

    def __init__(
        self,
        *,
        store: OrganizationStore,
        directory: Directory,
        roles: Roles,
        grants: Grants,
        changed: Callable[[], None],
        after_commit: Callable[[Callable[[], None]], None],
    ) -> None:
        self._store = store
        self._directory = directory
        self._roles = roles
        self._grants = grants
        self._changed = changed
        self._after_commit = after_commit
        self._on_close: list[Callable[[str], None]] = []

    def on_close(self, callback: Callable[[str], None]) -> None:
        """Called with the id of an account once it is closed for good, so that nothing of it goes on running."""
        self._on_close.append(callback)

    async def tree(self) -> AccountTree:
        """Raises: OrganizationNotInUse."""
        return await read_tree(self._store)

    async def found(self, account_id: str, *, now_ms: int) -> None:
        """Makes the organization with one account, if there is none yet. Service control policies have an effect
        from the start, as after CreateOrganization with all features.
        """
        if await self._store.chart() is not None:
            return
        root_id = f"r-{short_id(4)}"
        await self._store.put_organization(
            Organization(
                organization_id=f"o-{short_id(10)}",
                root_id=root_id,
                management_account_id=account_id,
                created_at_ms=now_ms,
                enabled=frozenset({GuardrailType.SERVICE_CONTROL}),
            )
        )
        member = Member(
            account_id=account_id,
            name="management",
            # SOURCE: RFC 2606: `.invalid` belongs to nobody. The first account has no address of its own.
            email=f"{account_id}@leastwise.invalid",
            parent_id=root_id,
            invited=True,
            joined_at_ms=now_ms,
        )
        await self._store.put_member(member)
        for target_id in (root_id, account_id):
            await self._give_full_access(target_id, frozenset({GuardrailType.SERVICE_CONTROL}))
        self._changed()

    # --- accounts ----------------------------------------------------------------------------------------------------

    async def create_account(self, wanted: NewAccount, *, now_ms: int) -> Creation:
        """Makes an account with a role that the management account's principals can assume.

        Like AWS, what only the finished work can tell is told by the status: an email that is taken.

        Raises:
            ConstraintViolation: too many accounts.
            InvalidOrganizationInput: a role name that IAM does not take.
        """
        tree = await self.tree()
        if len(tree.members) >= account_tree.MOST_ACCOUNTS:
            raise refuse.too_many_accounts()
        tags = self._tags({}, wanted.tags)
        request_id = f"car-{short_id(32)}"
        if tree.with_email(wanted.email) is not None:
            failed = Creation(
                request_id=request_id, name=wanted.name, at_ms=now_ms, account_id=None, failure=EMAIL_TAKEN
            )
            await self._store.add_creation(failed)
            return failed
        account_id = ids.account_id()
        root_id = tree.organization.root_id
        await self._directory.add_account(Account(account_id=account_id, created_at_ms=now_ms))
        await self._store.put_member(
            Member(
                account_id=account_id,
                name=wanted.name,
                email=wanted.email,
                parent_id=root_id,
                joined_at_ms=now_ms,
            )
        )
        await self._store.set_tags(account_id, tags)
        await self._give_full_access(account_id, tree.organization.enabled)
        await self._open_way_in(account_id, wanted.role_name, tree.organization.management_account_id, now_ms=now_ms)
        made = Creation(request_id=request_id, name=wanted.name, at_ms=now_ms, account_id=account_id)
        await self._store.add_creation(made)
        self._changed()
        return made

    async def _open_way_in(self, account_id: str, role_name: str, management_id: str, *, now_ms: int) -> None:
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": names.root_arn(management_id)},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
        try:
            role = await self._roles.create(
                account_id,
                role_name,
                path="/",
                trust_policy=json.dumps(trust),
                description="",
                max_session_s=_ROLE_SESSION_S,
                tags=(),
                boundary_arn=None,
                now_ms=now_ms,
            )
        except errors.Invalid as error:
            raise refuse.bad_role_name() from error
        owner = IdentityRef(account_id=account_id, kind=IdentityKind.ROLE, name=role.name)
        await self._grants.attach(owner, ADMINISTRATOR_ACCESS)

    async def creation(self, request_id: str) -> Creation:
        """Raises: CreationNotFound."""
        for creation in await self._store.creations():
            if creation.request_id == request_id:
                return creation
        raise refuse.no_creation()

    async def creations(self) -> tuple[Creation, ...]:
        return await self._store.creations()

    async def close_account(self, account_id: str) -> None:
        """From the commit on nobody of the account is authenticated, and nothing in it can be used. What it has stays.

        Raises: AccountNotFound, AccountAlreadyClosed, ConstraintViolation (the management account).
        """
        tree = await self.tree()
        member = tree.members.get(account_id)
        if member is None:
            raise refuse.no_account()
        if tree.is_management(account_id):
            raise refuse.management_stays_open()
        if member.standing is Standing.SUSPENDED:
            raise refuse.already_closed()
        await self._store.put_member(replace(member, standing=Standing.SUSPENDED))
        self._changed()
        for callback in self._on_close:
            self._after_commit(partial(callback, account_id))

    async def move_account(self, account_id: str, *, source_id: str, destination_id: str) -> None:
        """Raises: AccountNotFound, AccountInPlace, SourceParentNotFound, DestinationParentNotFound."""
        tree = await self.tree()
        member = tree.members.get(account_id)
        if member is None:
            raise refuse.no_account()
        if not tree.is_parent(source_id) or member.parent_id != source_id:
            raise refuse.no_source()
        if not tree.is_parent(destination_id):
            raise refuse.no_destination()
        if source_id == destination_id:
            raise refuse.account_in_place()
        await self._store.put_member(replace(member, parent_id=destination_id))
        self._changed()

    # --- units -------------------------------------------------------------------------------------------------------

    async def create_unit(self, parent_id: str, name: str, *, tags: Iterable[Tag]) -> Unit:
        """Raises: ParentNotFound, UnitExists, ConstraintViolation."""
        tree = await self.tree()
        if not tree.is_parent(parent_id):
            raise refuse.no_parent()
        if tree.depth(parent_id) >= account_tree.DEEPEST_UNIT:
            raise refuse.too_deep()
        if len(tree.units) >= account_tree.MOST_UNITS:
            raise refuse.too_many_units()
        kept_tags = self._tags({}, tags)
        root = tree.organization.root_id.removeprefix("r-")
        unit = Unit(unit_id=f"ou-{root}-{short_id(8)}", parent_id=parent_id, name=name)
        await self._put_unit(unit)
        await self._store.set_tags(unit.unit_id, kept_tags)
        await self._give_full_access(unit.unit_id, tree.organization.enabled)
        self._changed()
        return unit

    async def rename_unit(self, unit_id: str, name: str | None) -> Unit:
        """Raises: UnitNotFound, UnitExists."""
        unit = await self._unit(unit_id)
        if name is None or name == unit.name:
            return unit
        unit = replace(unit, name=name)
        await self._put_unit(unit)
        self._changed()
        return unit

    async def delete_unit(self, unit_id: str) -> None:
        """Raises: UnitNotFound, UnitNotEmpty."""
        tree = await self.tree()
        if unit_id not in tree.units:
            raise refuse.no_unit()
        if tree.units_under(unit_id) or tree.members_under(unit_id):
            raise refuse.unit_not_empty()
        for kind in GuardrailType:
            for policy in tree.on(unit_id, kind):
                await self._store.detach(Attachment(policy_id=policy.policy_id, target_id=unit_id))
        await self._store.set_tags(unit_id, {})
        await self._store.remove_unit(unit_id)
        self._changed()

    async def _unit(self, unit_id: str) -> Unit:
        unit = (await self.tree()).units.get(unit_id)
        if unit is None:
            raise refuse.no_unit()
        return unit

    async def _put_unit(self, unit: Unit) -> None:
        try:
            await self._store.put_unit(unit)
        except errors.AlreadyExists as error:
            raise refuse.unit_exists() from error

    async def _give_full_access(self, target_id: str, enabled: frozenset[GuardrailType]) -> None:
        """Every new target starts with what allows everything, so that policies only ever take away."""
        for kind in enabled:
            full = account_tree.FULL_ACCESS_OF[kind]
            await self._store.attach(Attachment(policy_id=full.policy_id, target_id=target_id))

    # --- tags --------------------------------------------------------------------------------------------------------

    async def tags(self, resource_id: str) -> dict[str, str]:
        return dict(await self._store.tags(resource_id))

    async def tag(self, resource_id: str, tags: Iterable[Tag]) -> None:
        """Raises: TargetNotFound, ConstraintViolation, InvalidInput."""
        await self._check_tagged(resource_id)
        await self._store.set_tags(resource_id, self._tags(await self.tags(resource_id), tags))

    async def untag(self, resource_id: str, keys: Iterable[str]) -> None:
        """Raises: TargetNotFound."""
        await self._check_tagged(resource_id)
        await self._store.set_tags(resource_id, names.without_tags(await self.tags(resource_id), keys))

    async def listed_tags(self, resource_id: str) -> dict[str, str]:
        """Raises: TargetNotFound."""
        tree = await self.tree()
        if not tree.is_target(resource_id) and resource_id not in tree.guardrails:
            raise refuse.no_target()
        return await self.tags(resource_id)

    async def _check_tagged(self, resource_id: str) -> None:
        tree = await self.tree()
        if resource_id in account_tree.BUILT_IN:
            raise refuse.immutable()
        if not tree.is_target(resource_id) and resource_id not in tree.guardrails:
            raise refuse.no_target()

    @staticmethod
    def _tags(present: dict[str, str], added: Iterable[Tag]) -> dict[str, str]:
        try:
            return names.merge_tags(present, names.read_tags(added))
        except errors.LimitExceeded as error:
            raise refuse.too_many_tags() from error
