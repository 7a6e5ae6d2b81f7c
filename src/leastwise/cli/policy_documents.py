"""Reads policy documents from files and standard input, JSON or YAML, and keeps where everything stands in them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from leastwise.cli.failures import CommandError

if TYPE_CHECKING:
    from leastwise.iam.authoring.positioned_json import PositionedDocument
    from leastwise.iam.interface import PolicyKind

STANDARD_INPUT: Final = "-"
_YAML: Final = frozenset({".yaml", ".yml"})
_LARGEST: Final = 1_000_000


class Kind(StrEnum):
    """What a policy is used as, as people say it."""

    IDENTITY = "identity"
    RESOURCE = "resource"
    TRUST = "trust"
    BOUNDARY = "boundary"
    SESSION = "session"
    SERVICE_CONTROL = "scp"
    RESOURCE_CONTROL = "rcp"

    @property
    def policy_kind(self) -> PolicyKind:
        from leastwise.iam.interface import PolicyKind  # noqa: PLC0415 - a quick start matters more

        return PolicyKind[self.name]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFile:
    """A file as it was read.

    Args:
        name: as it was given; `<stdin>` for standard input.
        text: of the file.
        is_yaml: it is YAML.
    """

    name: str
    text: str
    is_yaml: bool

    def read(self) -> PositionedDocument:
        """What it stands for. Raises: UnreadableText."""
        if self.is_yaml:
            from leastwise.cli.policy_yaml import read_yaml  # noqa: PLC0415 - a quick start matters more

            return read_yaml(self.text)
        from leastwise.iam.authoring.positioned_json import read_json  # noqa: PLC0415 - a quick start matters more

        return read_json(self.text)

    def document(self) -> Mapping[str, Any]:
        """The document in it.

        Raises:
            CommandError: it is not JSON (or YAML), not an object, or has a member twice.
        """
        from leastwise.iam.authoring.positioned_json import UnreadableText  # noqa: PLC0415 - a quick start matters more

        try:
            read = self.read()
        except UnreadableText as error:
            message = f"{self.name}:{error.place.line}:{error.place.column + 1}: {error.problem}"
            raise CommandError(message) from error
        if not isinstance(read.value, Mapping):
            message = f"{self.name}: a policy document is an object"
            raise CommandError(message)
        if read.duplicates:
            place = read.span(read.duplicates[0]).start
            message = f"{self.name}:{place.line}:{place.column + 1}: {read.duplicates[0][-1]} stands there twice"
            raise CommandError(message)
        return read.value


def open_policy(name: str) -> PolicyFile:
    """Reads a file, or standard input for `-`.

    Raises:
        CommandError: it cannot be read, is not text, or larger than any policy.
    """
    try:
        text = sys.stdin.read() if name == STANDARD_INPUT else Path(name).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        message = f"{name} is not UTF-8 text"
        raise CommandError(message) from error
    if len(text) > _LARGEST:
        message = f"{name} is larger than any policy"
        raise CommandError(message)
    shown = "<stdin>" if name == STANDARD_INPUT else name
    return PolicyFile(name=shown, text=text, is_yaml=Path(name).suffix.lower() in _YAML)


def kind_of(document: Any, asked: Kind | None) -> PolicyKind:
    """What a document is used as: as it was said, else by its looks (a Principal makes a resource or trust policy)."""
    if asked is not None:
        return asked.policy_kind
    statements = document.get("Statement") if isinstance(document, Mapping) else None
    listed = statements if isinstance(statements, list) else [statements]
    objects = [item for item in listed if isinstance(item, Mapping)]
    if not any("Principal" in item or "NotPrincipal" in item for item in objects):
        return Kind.IDENTITY.policy_kind
    if any("Resource" in item or "NotResource" in item for item in objects):
        return Kind.RESOURCE.policy_kind
    return Kind.TRUST.policy_kind
