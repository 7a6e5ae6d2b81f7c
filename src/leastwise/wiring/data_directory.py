"""The data directory: its lock, its keys, and the files that clients read."""

from __future__ import annotations

import configparser
import fcntl
import io
import os
import secrets
import shutil
from importlib import metadata
from pathlib import Path
from typing import Final

from leastwise.kernel import errors

PROFILE: Final = "leastwise"
_KEY_BYTES: Final = 32
_RUNTIME_DISTRIBUTIONS: Final = ("boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3")
"""What a function can import without bringing it, as on Lambda."""


class DataDirectory:
    """One installation's directory, held by one process at a time.

    Raises:
        errors.Conflict: another platform holds it.
        errors.Unavailable: it cannot be made or read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SECURITY: whoever reads this directory has the installation's keys.
            path.chmod(0o700)
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            message = f"cannot use {path}: {error.strerror}"
            raise errors.Unavailable(message) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._lock)
            message = f"{path} is already in use by another `leastwise up` (process {holder})"
            raise errors.Conflict(message) from error
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._lock)

    @property
    def database_url(self) -> str:
        return f"sqlite+aiosqlite:///{self.path / 'leastwise.db'}"

    def install_key(self) -> bytes:
        """The key under which secrets are sealed; made at the first start.

        Raises:
            errors.Unavailable: the file is there and is not a key.
        """
        return self._secret("install.key")

    def installation_id(self) -> str:
        """Names the installation in the trail's genesis. Not a secret."""
        file = self.path / "installation-id"
        if not file.exists():
            write_private(file, secrets.token_hex(16).encode())
        return file.read_text().strip()

    def runtime_packages(self) -> Path:
        """A directory with the packages that every Python function can import, copied from the platform's own."""
        versions = "-".join(metadata.version(name) for name in _RUNTIME_DISTRIBUTIONS)
        wanted = self.path / "runtime" / versions.replace("/", "_")
        if wanted.is_dir():
            return wanted
        building = self.path / "runtime" / f"building-{secrets.token_hex(4)}"
        for name in _RUNTIME_DISTRIBUTIONS:
            distribution = metadata.distribution(name)
            for file in distribution.files or ():
                if file.parts[0] == ".." or "__pycache__" in file.parts:
                    continue
                target = building.joinpath(*file.parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(distribution.locate_file(file)), target)
        for directory, _, files in os.walk(building):
            Path(directory).chmod(0o755)
            for file_name in files:
                (Path(directory) / file_name).chmod(0o644)
        building.rename(wanted)
        for other in wanted.parent.iterdir():
            if other != wanted:
                shutil.rmtree(other, ignore_errors=True)
        return wanted

    def write_credentials(self, access_key_id: str, secret_access_key: str) -> None:
        """The administrator's key, in AWS's shared-file format."""
        text = _ini(PROFILE, {"aws_access_key_id": access_key_id, "aws_secret_access_key": secret_access_key})
        write_private(self.path / "credentials", text.encode())

    def write_config(self, *, endpoint_url: str, region: str, ca_bundle: Path | None) -> None:
        """Profile `leastwise` with the endpoint, for every client that reads AWS's config file."""
        values = {"endpoint_url": endpoint_url, "region": region, "output": "json"}
        # Version 2 of the AWS CLI would otherwise take every payload for base64.
        values["cli_binary_format"] = "raw-in-base64-out"
        if ca_bundle is not None:
            values["ca_bundle"] = str(ca_bundle)
        write_private(self.path / "config", _ini(f"profile {PROFILE}", values).encode())

    def _secret(self, name: str) -> bytes:
        file = self.path / name
        if not file.exists():
            if (self.path / "leastwise.db").exists():
                message = (
                    f"{file} is missing: without it nothing that was sealed can be opened. Restore it from a backup"
                )
                raise errors.Unavailable(message)
            write_private(file, secrets.token_bytes(_KEY_BYTES))
        key = file.read_bytes()
        if len(key) != _KEY_BYTES:
            message = f"{file} is damaged: {len(key)} bytes instead of {_KEY_BYTES}"
            raise errors.Unavailable(message)
        return key


def write_private(file: Path, content: bytes) -> None:
    """Writes a file for its owner only; a crash leaves the old one or the new one, never half of it."""
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    # SECURITY: 0600 from the first byte on; a chmod afterwards would leave a moment for others to read.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as writer:
            writer.write(content)
            writer.flush()
            os.fsync(writer.fileno())
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    directory = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _ini(section: str, values: dict[str, str]) -> str:
    parser = configparser.ConfigParser(interpolation=None)
    parser[section] = values
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()
