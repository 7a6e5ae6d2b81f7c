"""`leastwise accounts` against a real platform, and the profile that it prints."""

from __future__ import annotations

import configparser
import json
import os
import subprocess

import boto3
import pytest

from .conftest import LEASTWISE, start


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    running = start(tmp_path_factory.mktemp("accounts") / "data")
    yield running
    assert running.stop() == 0


def leastwise(house, *arguments):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LEASTWISE_"))}
    command = [LEASTWISE, "--data", str(house.data), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=clean, check=False)


def test_an_account_that_is_made_is_listed_and_the_profile_that_is_shown_leads_into_it(house, tmp_path, monkeypatch):
    made = leastwise(house, "accounts", "create", "Team Red", "--email", "red@example.com")
    assert 0 == made.returncode, made.stderr
    shown = made.stdout[made.stdout.index("[profile ") :]
    parser = configparser.ConfigParser()
    parser.read_string(shown)
    account = parser["profile Team-Red"]["role_arn"].split(":")[4]
    listed = json.loads(leastwise(house, "--output", "json", "accounts", "list").stdout)
    assert ["ACTIVE", "Team Red"] == [
        value for one in listed if one["Id"] == account for value in (one["Status"], one["Name"])
    ]
    assert "management" in leastwise(house, "accounts", "list").stdout
    config = tmp_path / "config"
    config.write_text((house.data / "config").read_text() + "\n" + shown)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(house.data / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    inside = boto3.Session(profile_name="Team-Red").client("sts").get_caller_identity()
    assert account == inside["Account"]


def test_an_account_that_is_not_made_is_an_error(house):
    assert 0 == leastwise(house, "accounts", "create", "one", "--email", "same@example.com").returncode
    again = leastwise(house, "accounts", "create", "two", "--email", "same@example.com")
    assert 1 == again.returncode
    assert "another account has this e-mail address (EMAIL_ALREADY_EXISTS)" in again.stderr
