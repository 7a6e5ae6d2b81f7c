"""The data directory: one holder, private, never half written."""

import configparser
import subprocess
import sys

import pytest

from leastwise.kernel import errors
from leastwise.wiring.data_directory import DataDirectory, write_private


def test_a_second_holder_is_refused_and_told_who_the_first_is(tmp_path):
    first = DataDirectory(tmp_path / "d")
    with pytest.raises(errors.Conflict) as caught:
        DataDirectory(tmp_path / "d")
    assert "already in use" in caught.value.message
    first.release()
    DataDirectory(tmp_path / "d").release()


def test_nobody_else_can_read_it(tmp_path):
    directory = DataDirectory(tmp_path / "d")
    directory.install_key()
    directory.write_credentials("AKIA", "secret")
    directory.write_config(endpoint_url="http://127.0.0.1:1", region="us-east-1", ca_bundle=None)
    directory.release()
    assert [path.name for path in [directory.path, *directory.path.iterdir()] if path.stat().st_mode & 0o077] == []


def test_the_install_key_stays_and_is_never_made_anew_beside_a_database(tmp_path):
    directory = DataDirectory(tmp_path / "d")
    key = directory.install_key()
    assert directory.install_key() == key
    (directory.path / "leastwise.db").touch()
    (directory.path / "install.key").unlink()
    with pytest.raises(errors.Unavailable) as caught:
        directory.install_key()
    assert "backup" in caught.value.message
    write_private(directory.path / "install.key", b"short")
    with pytest.raises(errors.Unavailable):
        directory.install_key()
    directory.release()


def test_the_files_are_in_awss_shared_format(tmp_path):
    directory = DataDirectory(tmp_path / "d")
    directory.write_credentials("AKIA1", "se%cret")
    directory.write_config(endpoint_url="https://127.0.0.1:1", region="eu-west-1", ca_bundle=tmp_path / "ca.pem")
    directory.release()
    credentials, config = configparser.RawConfigParser(), configparser.RawConfigParser()
    credentials.read(directory.path / "credentials")
    config.read(directory.path / "config")
    assert dict(credentials["leastwise"]) == {"aws_access_key_id": "AKIA1", "aws_secret_access_key": "se%cret"}
    assert config["profile leastwise"]["endpoint_url"] == "https://127.0.0.1:1"
    assert config["profile leastwise"]["ca_bundle"] == str(tmp_path / "ca.pem")


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path):
    file = tmp_path / "f"
    write_private(file, b"old")
    with pytest.raises(TypeError):
        write_private(file, "not bytes")
    assert file.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_functions_can_import_boto3_from_the_runtime_packages_alone(tmp_path):
    directory = DataDirectory(tmp_path / "d")
    packages = directory.runtime_packages()
    assert directory.runtime_packages() == packages
    directory.release()
    imported = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path.append({str(packages)!r}); import boto3; print(boto3)",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(packages) in imported.stdout
