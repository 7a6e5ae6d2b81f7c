"""Whom a command calls, and as whom: the profile in the data directory, or what the AWS variables and options say."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from configparser import ConfigParser, Error
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from leastwise.cli.failures import CommandError
from leastwise.cli.options import Options
from leastwise.cli.output import Printer

_OWN_MODELS: Final = Path(__file__).parent.parent / "api" / "models"
PROFILE: Final = "leastwise"
"""The profile that `leastwise up` writes."""
DEFAULT_REGION: Final = "us-east-1"
_LONGEST_FUNCTION_S: Final = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a client is made from.

    Args:
        endpoint_url: of the platform.
        region: to sign for; None leaves it to the profile.
        profile: None when the keys come from the environment.
        config_file: AWS shared config file, None for the usual one.
        credentials_file: AWS shared credentials file, None for the usual one.
        ca_bundle: certificates to trust, None for the usual ones.
    """

    endpoint_url: str
    region: str | None
    profile: str | None
    config_file: Path | None
    credentials_file: Path | None
    ca_bundle: str | None


def choose_target(options: Options, environ: Mapping[str, str]) -> Target:
    """Decides whom to call and as whom.

    The keys: those of --profile; else of AWS_PROFILE; else those in AWS_ACCESS_KEY_ID, so that a narrow key is never
    silently replaced by the administrator's; else of the profile in the data directory. A profile is looked up in the
    data directory first, unless the variables name AWS files of their own.

    The endpoint: --endpoint-url, AWS_ENDPOINT_URL, the profile's, the data directory's.

    Raises:
        CommandError: no endpoint is known, or it is not a safe one, or the profile does not exist.
    """
    if options.data is not None and not options.data.is_dir():
        # SECURITY: the AWS files would be asked next, and the call be made with other keys somewhere else.
        message = f"there is no data directory at {options.data}"
        raise CommandError(message)
    asked = options.profile or environ.get("AWS_PROFILE")
    keys_in_environment = "AWS_ACCESS_KEY_ID" in environ and not asked
    profile = None if keys_in_environment else asked or PROFILE
    ours = _sections(options.data_dir / "config")
    names_own_files = "AWS_CONFIG_FILE" in environ or "AWS_SHARED_CREDENTIALS_FILE" in environ
    in_data_dir = profile is not None and profile in ours and not names_own_files
    settings = ours.get(profile or PROFILE, {}) if in_data_dir or keys_in_environment else {}
    if profile is not None and not in_data_dir:
        aws_files = _aws_files(environ)
        settings = _sections(aws_files[0]).get(profile, {})
        if asked is None and not settings:
            message = f"there is no profile in {options.data_dir}, and no key in the environment"
            raise CommandError(
                message, hint="Run it where `leastwise up` made its data directory, or name that directory with --data."
            )
        if not any(profile in _sections(file) for file in aws_files):
            message = f"there is no profile {profile} in {options.data_dir} nor in {' or '.join(map(str, aws_files))}"
            raise CommandError(message, hint=f"`leastwise up` makes the profile {PROFILE} in its data directory.")
    # SECURITY: without an endpoint botocore would call the cloud itself, with whatever keys lie around.
    endpoint_url = options.endpoint_url or environ.get("AWS_ENDPOINT_URL") or settings.get("endpoint_url")
    if not endpoint_url:
        message = "no endpoint: neither --endpoint-url nor AWS_ENDPOINT_URL nor the profile names one"
        raise CommandError(message, hint=f"`--profile {PROFILE}` uses the one in the data directory.")
    _refuse_unsafe(endpoint_url)
    region = options.region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or settings.get("region")
    return Target(
        endpoint_url=endpoint_url,
        region=region or DEFAULT_REGION,
        profile=profile,
        config_file=options.data_dir / "config" if in_data_dir else None,
        credentials_file=options.data_dir / "credentials" if in_data_dir else None,
        ca_bundle=environ.get("AWS_CA_BUNDLE") or settings.get("ca_bundle"),
    )


def _aws_files(environ: Mapping[str, str]) -> tuple[Path, Path]:
    """The AWS shared config and credentials files; a profile may stand in either."""
    aws = Path.home() / ".aws"
    return (
        Path(environ.get("AWS_CONFIG_FILE") or aws / "config").expanduser(),
        Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or aws / "credentials").expanduser(),
    )


def _sections(config: Path) -> dict[str, dict[str, str]]:
    """Profiles of an AWS shared config file by name. A file that is not there has none."""
    parser = ConfigParser(interpolation=None, default_section="no default section")
    try:
        parser.read_string(config.read_text(encoding="utf-8"), source=str(config))
    except FileNotFoundError:
        return {}
    except Error as error:
        message = f"{config} cannot be read: {error}"
        raise CommandError(message) from error
    return {name.removeprefix("profile ").strip(): dict(parser[name]) for name in parser.sections()}


def _refuse_unsafe(endpoint_url: str) -> None:
    """Refuses plain HTTP to anywhere but this machine.

    SECURITY: a signature proves who called; it hides nothing. On a network, payloads, results and new secret keys
    would be readable by everyone on the way.
    """
    parts = urlsplit(endpoint_url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme != "http" or not parts.hostname:
        message = f"not an endpoint: {endpoint_url}"
        raise CommandError(message)
    if parts.hostname == "localhost":
        return
    try:
        loopback = ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        message = f"{endpoint_url} is neither on this machine nor TLS: what is sent could be read on the way"
        raise CommandError(message, hint="Use https://.")


class Session:
    """Makes boto3 clients for one target. Nothing is imported or read before the first one is asked for."""

    def __init__(self, options: Options, printer: Printer) -> None:
        self.target = choose_target(options, os.environ)
        if self.target.credentials_file is not None:
            _warn_if_open(self.target.credentials_file, printer)
        self._boto: Any = None

    def client(self, service: str) -> Any:
        """A boto3 client that retries what failed on the way, twice."""
        return self._client(service, read_timeout=60, total_max_attempts=3)

    def invoking_client(self) -> Any:
        """A Lambda client that waits as long as a function may run, and never calls one twice."""
        return self._client("lambda", read_timeout=_LONGEST_FUNCTION_S + 30, total_max_attempts=1)

    def credentials(self) -> Any:
        """The keys to sign with, frozen.

        Raises:
            NoCredentialsError: there are none.
        """
        from botocore.exceptions import NoCredentialsError  # noqa: PLC0415 - a quick start matters more

        found = self._boto3().get_credentials()
        if found is None:
            raise NoCredentialsError
        return found.get_frozen_credentials()

    def _client(self, service: str, *, read_timeout: int, total_max_attempts: int) -> Any:
        from botocore.config import Config  # noqa: PLC0415 - a quick start matters more

        return self._boto3().client(
            service,
            endpoint_url=self.target.endpoint_url,
            region_name=self.target.region,
            verify=self.target.ca_bundle,
            config=Config(
                connect_timeout=5,
                read_timeout=read_timeout,
                retries={"mode": "standard", "total_max_attempts": total_max_attempts},
                user_agent_extra="leastwise-cli",
            ),
        )

    def _boto3(self) -> Any:
        if self._boto is None:
            import boto3  # noqa: PLC0415 - half a second that `--help` need not pay
            import botocore.session  # noqa: PLC0415

            # SECURITY: keys of this machine's cloud instance must not be looked for, let alone be used here.
            os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
            core = botocore.session.Session(profile=self.target.profile)
            if self.target.config_file is not None:
                core.set_config_variable("config_file", str(self.target.config_file))
                core.set_config_variable("credentials_file", str(self.target.credentials_file))
            # What the platform offers besides AWS's services has a model of its own.
            core.get_component("data_loader").search_paths.append(str(_OWN_MODELS))
            self._boto = boto3.Session(botocore_session=core)
        return self._boto


def _warn_if_open(credentials: Path, printer: Printer) -> None:
    """SECURITY: whoever can read this file is the administrator."""
    try:
        mode = credentials.stat().st_mode
    except FileNotFoundError:
        return
    if mode & 0o077:
        printer.warn(f"{credentials} can be read by others; `chmod 600 {credentials}`")
