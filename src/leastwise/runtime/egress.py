"""Where functions may go: nowhere, until there are rules."""

from __future__ import annotations

from typing import Final

from leastwise.runtime.interface import EgressAllowed, EgressRefused

_NO_RULE: Final = EgressRefused(reason="no egress rule allows it")


class NoEgress:
    """Keeps `runtime.Egress`: default deny, without an exception."""

    def decide(self, function_arn: str, host: str, port: int) -> EgressAllowed | EgressRefused:
        del function_arn, host, port
        return _NO_RULE

    def carried(self, function_arn: str, host: str, port: int, *, sent_bytes: int, received_bytes: int) -> None:
        """Nothing was let out, so there is nothing to hear of."""
