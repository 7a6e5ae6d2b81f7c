"""When access keys and roles were last used, kept in memory until it is written back."""

from __future__ import annotations

from dataclasses import dataclass, replace

from leastwise.iam.directory import AccessKey


@dataclass(frozen=True, slots=True)
class Use:
    at_ms: int
    service: str
    region: str

    def on(self, key: AccessKey) -> AccessKey:
        """The key with this use."""
        return replace(key, last_used_at_ms=self.at_ms, last_used_service=self.service, last_used_region=self.region)


class LastUsed:
    """The newest use of each key, or of each role by its unique id, since the last drain. One dict write per call: the hot path pays nothing more."""

    __slots__ = ("_uses",)

    def __init__(self) -> None:
        self._uses: dict[str, Use] = {}

    def note(self, identifier: str, use: Use) -> None:
        self._uses[identifier] = use

    def of(self, identifier: str) -> Use | None:
        """A use that is not written back yet."""
        return self._uses.get(identifier)

    def drain(self) -> dict[str, Use]:
        """Everything noted since the last drain; the caller writes it down or puts it back."""
        uses, self._uses = self._uses, {}
        return uses

    def put_back(self, uses: dict[str, Use]) -> None:
        """What could not be written; a newer use stays."""
        self._uses = uses | self._uses
