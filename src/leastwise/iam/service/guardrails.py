"""The policies of the organization, and what they are attached to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from leastwise.iam import account_tree, names
from leastwise.iam import organization_refusals as refuse
from leastwise.iam.account_tree import AccountTree
from leastwise.iam.directory import Tag
from leastwise.iam.interface import MalformedPolicy, PolicyKind
from leastwise.iam.organization import Attachment, Guardrail, GuardrailType, OrganizationStore
from leastwise.iam.policy.document import validate_document
from leastwise.iam.service.organization import read_tree, short_id
from leastwise.kernel import errors

_KINDS = {
    GuardrailType.SERVICE_CONTROL: PolicyKind.SERVICE_CONTROL,
    GuardrailType.RESOURCE_CONTROL: PolicyKind.RESOURCE_CONTROL,
}


def guardrail_type(name: str) -> GuardrailType:
    """Raises: GuardrailTypeNotOffered."""
    try:
        return GuardrailType(name)
    except ValueError:
        raise refuse.type_not_offered() from None


def check_content(kind: GuardrailType, content: str) -> None:
    """Raises: MalformedGuardrail, ConstraintViolation (too long)."""
    if len(content) > account_tree.LONGEST_CONTENT:
        raise refuse.content_too_long(account_tree.LONGEST_CONTENT)
    try:
        document = validate_document(content, kind=_KINDS[kind])
    except MalformedPolicy as error:
        raise refuse.malformed(error.message) from error
    # SOURCE: Organizations User Guide, "RCP syntax": Allow stands in RCPFullAWSAccess only.
    if kind is GuardrailType.RESOURCE_CONTROL and any(statement.allow for statement in document.statements):
        why = "Effect must be Deny in resource control policies."
        raise refuse.malformed(why)


class Guardrails:
    """The verbs of policies. Writes join the caller's transaction.

    Args:
        store: where they are kept.
        changed: called by every write that decisions depend on, so that caches forget once it is committed.
    """

    def __init__(self, *, store: OrganizationStore, changed: Callable[[], None]) -> None:
        self._store = store
        self._changed = changed

    # --- policy types ------------------------------------------------------------------------------------------------

    async def enable(self, root_id: str, kind: GuardrailType) -> AccountTree:
        """Puts the policy that allows everything on the root, every unit and every account.

        Raises: RootNotFound, GuardrailTypeEnabled.
        """
        tree = await self._rooted(root_id)
        if kind in tree.organization.enabled:
            raise refuse.type_enabled()
        full = account_tree.FULL_ACCESS_OF[kind]
        for target_id in (root_id, *tree.units, *tree.members):
            await self._store.attach(Attachment(policy_id=full.policy_id, target_id=target_id))
        return await self._switched(tree, tree.organization.enabled | {kind})

    async def disable(self, root_id: str, kind: GuardrailType) -> AccountTree:
        """Takes all policies of the type off everything.

        Raises: RootNotFound, GuardrailTypeNotEnabled.
        """
        tree = await self._rooted(root_id)
        if kind not in tree.organization.enabled:
            raise refuse.type_not_enabled()
        for target_id in (root_id, *tree.units, *tree.members):
            for policy in tree.on(target_id, kind):
                await self._store.detach(Attachment(policy_id=policy.policy_id, target_id=target_id))
        return await self._switched(tree, tree.organization.enabled - {kind})

    async def _rooted(self, root_id: str) -> AccountTree:
        tree = await read_tree(self._store)
        if root_id != tree.organization.root_id:
            raise refuse.no_root()
        return tree

    async def _switched(self, tree: AccountTree, enabled: frozenset[GuardrailType]) -> AccountTree:
        await self._store.put_organization(replace(tree.organization, enabled=enabled))
        self._changed()
        return await read_tree(self._store)

    # --- policies ----------------------------------------------------------------------------------------------------

    async def create(
        self, kind: GuardrailType, name: str, *, description: str, content: str, tags: Iterable[Tag]
    ) -> Guardrail:
        """Raises: MalformedGuardrail, GuardrailExists, ConstraintViolation."""
        check_content(kind, content)
        tree = await read_tree(self._store)
        if sum(not policy.built_in for policy in tree.guardrails.values()) >= account_tree.MOST_GUARDRAILS:
            raise refuse.too_many_guardrails()
        policy = Guardrail(policy_id=f"p-{short_id(8)}", type=kind, name=name, description=description, content=content)
        _check_name(tree, policy)
        await self._put(policy)
        await self._store.set_tags(policy.policy_id, names.merge_tags({}, names.read_tags(tags)))
        self._changed()
        return policy

    async def update(
        self, policy_id: str, *, name: str | None, description: str | None, content: str | None
    ) -> Guardrail:
        """Raises: GuardrailNotFound, MalformedGuardrail, GuardrailExists, InvalidOrganizationInput (built-in)."""
        tree, policy = await self._own(policy_id)
        if content is not None:
            check_content(policy.type, content)
        policy = replace(
            policy,
            name=policy.name if name is None else name,
            description=policy.description if description is None else description,
            content=policy.content if content is None else content,
        )
        _check_name(tree, policy)
        await self._put(policy)
        self._changed()
        return policy

    async def delete(self, policy_id: str) -> None:
        """Raises: GuardrailNotFound, GuardrailInUse, InvalidOrganizationInput (built-in)."""
        tree, policy = await self._own(policy_id)
        if tree.targets_of(policy.policy_id):
            raise refuse.guardrail_in_use()
        await self._store.set_tags(policy_id, {})
        await self._store.remove_guardrail(policy_id)
        self._changed()

    async def get(self, policy_id: str) -> Guardrail:
        """Raises: GuardrailNotFound."""
        return _found(await read_tree(self._store), policy_id)

    async def _own(self, policy_id: str) -> tuple[AccountTree, Guardrail]:
        tree = await read_tree(self._store)
        policy = _found(tree, policy_id)
        if policy.built_in:
            raise refuse.immutable()
        return tree, policy

    async def _put(self, policy: Guardrail) -> None:
        try:
            await self._store.put_guardrail(policy)
        except errors.AlreadyExists as error:
            raise refuse.guardrail_exists() from error

    # --- attachments -------------------------------------------------------------------------------------------------

    async def attach(self, policy_id: str, target_id: str) -> None:
        """Raises: GuardrailNotFound, TargetNotFound, GuardrailTypeNotEnabled, GuardrailAlreadyAttached,
        ConstraintViolation (five of a type on one target).
        """
        tree = await read_tree(self._store)
        policy = _found(tree, policy_id)
        if not tree.is_target(target_id):
            raise refuse.no_target()
        if policy.type not in tree.organization.enabled:
            raise refuse.type_not_enabled()
        if tree.is_attached(policy_id, target_id):
            raise refuse.already_attached()
        if len(tree.on(target_id, policy.type)) >= account_tree.MOST_ATTACHED:
            raise refuse.too_many_attached()
        await self._store.attach(Attachment(policy_id=policy_id, target_id=target_id))
        self._changed()

    async def detach(self, policy_id: str, target_id: str) -> None:
        """Raises: GuardrailNotFound, TargetNotFound, GuardrailNotAttached, ConstraintViolation (the last one of its
        type), InvalidOrganizationInput (the one that allows every resource).
        """
        tree = await read_tree(self._store)
        policy = _found(tree, policy_id)
        if not tree.is_target(target_id):
            raise refuse.no_target()
        if not tree.is_attached(policy_id, target_id):
            raise refuse.not_attached()
        if policy_id == account_tree.FULL_RESOURCE_ACCESS.policy_id:
            raise refuse.not_detachable()
        if len(tree.on(target_id, policy.type)) == 1:
            raise refuse.last_attached()
        await self._store.detach(Attachment(policy_id=policy_id, target_id=target_id))
        self._changed()


def _found(tree: AccountTree, policy_id: str) -> Guardrail:
    policy = tree.guardrails.get(policy_id)
    if policy is None:
        raise refuse.no_guardrail()
    return policy


def _check_name(tree: AccountTree, policy: Guardrail) -> None:
    """Built-in policies have names too, and are in no table."""
    for other in tree.guardrails.values():
        if other.type is policy.type and other.name == policy.name and other.policy_id != policy.policy_id:
            raise refuse.guardrail_exists()
