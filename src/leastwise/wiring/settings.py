"""Settings: TOML file, then environment, then command line. Read once; an unknown key is an error.

Environment variables are the keys in capitals behind `LEASTWISE_` (`LEASTWISE_LISTEN=127.0.0.1:8080`).
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from leastwise.api.forwarded import TrustedProxies
from leastwise.kernel import errors

_HIGHEST_PORT: Final = 65_535
_PREFIX: Final = "LEASTWISE_"
_ELSEWHERE: Final = frozenset({"LEASTWISE_DATA", "LEASTWISE_DEBUG"})
"""Read by the command line itself; not keys of the configuration file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One installation's settings.

    Args:
        data: directory of everything that is kept.
        listen: `HOST:PORT`; port 0 takes a free one. Off loopback TLS is demanded.
        account_id: of the first account; None draws one at the first start.
        public_url: what clients call this installation by (`https://leastwise.example:9470`); None: as it listens.
        region: the region this installation says it is.
        tls_cert: PEM file, with the chain.
        tls_key: PEM file.
        account_concurrency: concurrent invocations of one account.
        idle_minutes: an environment without work for so long is retired.
        pool: generic environments kept ready for each runtime and account in use.
        drain_seconds: how long a stop waits for calls that run.
        least_free_mib: below so much free memory idle environments go, and no new ones are made.
        log_group_mib: how much log of one function is kept.
        time_zone: IANA zone of the condition keys for weekday and time of day.
        trusted_proxies: addresses and CIDR blocks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed.
    """

    data: Path
    listen: str = "127.0.0.1:9470"
    account_id: str | None = None
    public_url: str | None = None
    region: str = "us-east-1"
    tls_cert: Path | None = None
    tls_key: Path | None = None
    account_concurrency: int = 1000
    idle_minutes: int = 10
    pool: int = 4
    drain_seconds: int = 30
    least_free_mib: int = 512
    log_group_mib: int = 256
    time_zone: str = "UTC"
    trusted_proxies: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])

    @property
    def is_loopback(self) -> bool:
        return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback


def read_settings(
    *, data: Path, config: Path | None, environment: Mapping[str, str], overrides: Mapping[str, Any]
) -> Settings:
    """Puts the sources together; later ones win: file, environment, command line.

    Args:
        data: the data directory.
        config: TOML file, None when there is none.
        environment: usually `os.environ`.
        overrides: from the command line; None values are ignored.

    Raises:
        errors.Invalid: an unknown key, a value of the wrong form, or a combination that is not safe.
    """
    values: dict[str, Any] = {}
    if config is not None:
        try:
            values.update(tomllib.loads(config.read_text()))
        except (OSError, tomllib.TOMLDecodeError) as error:
            message = f"cannot read {config}: {error}"
            raise errors.Invalid(message) from error
    for name, value in environment.items():
        if name.startswith(_PREFIX) and name not in _ELSEWHERE:
            values[name.removeprefix(_PREFIX).lower()] = value
    values.update({name: value for name, value in overrides.items() if value is not None})
    values["data"] = data
    known = {field.name: field.type for field in fields(Settings)}
    for name in values:
        if name not in known:
            message = f"unknown setting {name!r}; known are {', '.join(sorted(known))}"
            raise errors.Invalid(message)
    return _checked(Settings(**{name: _convert(name, str(known[name]), value) for name, value in values.items()}))


def _convert(name: str, wanted: str, value: Any) -> Any:
    if "Path" in wanted:
        return Path(os.path.expandvars(str(value))).expanduser().absolute()
    if wanted == "int":
        if isinstance(value, bool) or not re.fullmatch(r"\d{1,9}", str(value)):
            message = f"setting {name}: {value!r} is not a whole number"
            raise errors.Invalid(message)
        return int(value)
    if wanted.startswith("tuple"):
        return _listed(name, value)
    return str(value)


def _listed(name: str, value: Any) -> tuple[str, ...]:
    """A list in the file, a text with commas in the environment."""
    if isinstance(value, str):
        return tuple(item.strip() for item in value.split(",") if item.strip())
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        message = f"setting {name}: a list of texts is wanted"
        raise errors.Invalid(message)
    return tuple(value)


def _checked(settings: Settings) -> Settings:
    if not re.fullmatch(r"(\[[0-9A-Fa-f:]+\]|[0-9.]+|localhost):\d{1,5}", settings.listen):
        message = f"setting listen: {settings.listen!r} is not HOST:PORT with an address for host"
        raise errors.Invalid(message)
    try:
        loopback = settings.is_loopback
    except ValueError as error:
        message = f"setting listen: {settings.host!r} is not an address"
        raise errors.Invalid(message) from error
    if (settings.tls_cert is None) != (settings.tls_key is None):
        message = "tls_cert and tls_key are given together or not at all"
        raise errors.Invalid(message)
    # SECURITY: off loopback, requests without TLS would show payloads and session tokens to the network.
    if not loopback and settings.tls_cert is None:
        message = f"{settings.listen} is not a loopback address: give --tls-cert and --tls-key, or listen on 127.0.0.1"
        raise errors.Invalid(message)
    _check_values(settings)
    return settings


def _check_values(settings: Settings) -> None:
    """Each value by itself."""
    if settings.account_id is not None and not re.fullmatch(r"\d{12}", settings.account_id):
        message = "setting account_id: an account id has 12 digits"
        raise errors.Invalid(message)
    if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", settings.region):
        message = f"setting region: {settings.region!r} has not the form of a region (us-east-1)"
        raise errors.Invalid(message)
    if not 0 <= settings.port <= _HIGHEST_PORT:
        message = f"setting listen: there is no port {settings.port}"
        raise errors.Invalid(message)
    if settings.public_url is not None and not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+", settings.public_url):
        message = f"setting public_url: {settings.public_url!r} is not http(s)://HOST[:PORT]"
        raise errors.Invalid(message)
    try:
        ZoneInfo(settings.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = f"setting time_zone: {settings.time_zone!r} is not an IANA time zone"
        raise errors.Invalid(message) from error
    try:
        TrustedProxies(settings.trusted_proxies)
    except errors.Invalid as error:
        message = f"setting trusted_proxies: {error.message}"
        raise errors.Invalid(message) from error
    if settings.account_concurrency < 1:
        message = "setting account_concurrency: at least 1"
        raise errors.Invalid(message)
