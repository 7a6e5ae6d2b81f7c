"""Whom the command line calls, and as whom."""

import pytest

from leastwise.cli.failures import CommandError
from leastwise.cli.options import Options
from leastwise.cli.output import Printer
from leastwise.cli.session import Session, choose_target

OURS = "http://127.0.0.1:9470"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIANARROW", "AWS_SECRET_ACCESS_KEY": "narrow"}


@pytest.fixture
def data(tmp_path):
    directory = tmp_path / "data"
    directory.mkdir()
    (directory / "config").write_text(
        f"[profile leastwise]\nregion = eu-north-1\nendpoint_url = {OURS}\n[profile root]\nendpoint_url = {OURS}\n"
    )
    (directory / "credentials").write_text(
        "[leastwise]\naws_access_key_id = AKIAADMIN\naws_secret_access_key = admin\n"
        "[root]\naws_access_key_id = AKIAROOT\naws_secret_access_key = root\n"
    )
    (directory / "credentials").chmod(0o600)
    return directory


@pytest.fixture
def clean_environment(monkeypatch, tmp_path):
    import os

    for name in list(os.environ):
        if name.startswith(("AWS_", "LEASTWISE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def key_of(options: Options) -> str:
    return Session(options, Printer(as_json=False)).credentials().access_key


def test_the_profile_in_the_data_directory_is_used_unless_something_else_is_said(data, clean_environment):
    options = Options(data=data)
    target = choose_target(options, {})
    assert (
        target.endpoint_url,
        target.region,
        target.profile,
        key_of(options),
    ) == (OURS, "eu-north-1", "leastwise", "AKIAADMIN")


def test_the_data_directory_can_be_named_by_a_variable(data, clean_environment, monkeypatch):
    monkeypatch.setenv("LEASTWISE_DATA", str(data))
    assert key_of(Options()) == "AKIAADMIN"


def test_another_profile_of_the_data_directory_can_be_asked_for(data, clean_environment):
    assert key_of(Options(data=data, profile="root")) == "AKIAROOT"


def test_a_narrow_key_in_the_environment_is_never_replaced_by_the_administrators(data, clean_environment, monkeypatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    target = choose_target(Options(data=data), KEYS)
    assert (target.endpoint_url, target.profile, key_of(Options(data=data))) == (OURS, None, "AKIANARROW")


def test_an_explicit_profile_wins_over_keys_in_the_environment(data, clean_environment, monkeypatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    assert key_of(Options(data=data, profile="leastwise")) == "AKIAADMIN"


def test_the_aws_files_are_used_for_a_profile_that_is_only_there(data, clean_environment, tmp_path):
    aws = tmp_path / ".aws"
    aws.mkdir()
    (aws / "config").write_text("[profile work]\nendpoint_url = https://leastwise.example\n")
    (aws / "credentials").write_text("[work]\naws_access_key_id = AKIAWORK\naws_secret_access_key = work\n")
    options = Options(data=data, profile="work")
    assert (choose_target(options, {}).endpoint_url, key_of(options)) == ("https://leastwise.example", "AKIAWORK")


def test_files_named_by_the_aws_variables_win_over_the_data_directory(data, tmp_path):
    own = tmp_path / "own"
    own.write_text("[profile leastwise]\nendpoint_url = http://127.0.0.1:1\n")
    environ = {"AWS_CONFIG_FILE": str(own), "AWS_PROFILE": "leastwise"}
    assert choose_target(Options(data=data), environ).endpoint_url == "http://127.0.0.1:1"


def test_options_win_over_variables_and_variables_over_the_profile(data):
    environ = {"AWS_ENDPOINT_URL": "http://127.0.0.1:2", "AWS_REGION": "us-west-2"}
    from_variables = choose_target(Options(data=data), environ)
    from_options = choose_target(Options(data=data, endpoint_url="http://127.0.0.1:3", region="eu-west-1"), environ)
    assert (from_variables.endpoint_url, from_variables.region) == ("http://127.0.0.1:2", "us-west-2")
    assert (from_options.endpoint_url, from_options.region) == ("http://127.0.0.1:3", "eu-west-1")


def test_without_an_endpoint_nobody_is_called_least_of_all_the_cloud(tmp_path, clean_environment):
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text("[profile work]\nregion = us-east-1\n")
    with pytest.raises(CommandError, match="no endpoint"):
        choose_target(Options(data=tmp_path), KEYS)
    with pytest.raises(CommandError, match="no endpoint"):
        choose_target(Options(data=tmp_path, profile="work"), {})


def test_a_profile_that_is_nowhere_is_named(data, clean_environment):
    with pytest.raises(CommandError, match=r"there is no profile typo in .*data nor in .*config or .*credentials"):
        choose_target(Options(data=data, profile="typo"), {})


def test_a_profile_may_have_its_key_only(data, clean_environment, tmp_path):
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        "[work]\naws_access_key_id = AKIAWORK\naws_secret_access_key = work\n"
    )
    target = choose_target(Options(data=data, profile="work", endpoint_url=OURS), {})
    assert (target.endpoint_url, target.profile) == (OURS, "work")


def test_the_certificates_of_the_data_directory_are_trusted_for_a_key_of_the_environment_too(data):
    config = data / "config"
    config.write_text(config.read_text().replace("region =", "ca_bundle = /own/ca.pem\nregion ="))
    bundles = [choose_target(Options(data=data), environ).ca_bundle for environ in ({}, KEYS)]
    assert bundles == ["/own/ca.pem", "/own/ca.pem"]


def test_without_a_data_directory_the_message_names_it(tmp_path, clean_environment, monkeypatch):
    monkeypatch.setenv("LEASTWISE_DATA", str(tmp_path / "none"))
    with pytest.raises(CommandError, match=r"no profile in .*none"):
        choose_target(Options(), {})


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://10.0.0.1:9470",
        "http://leastwise.example",
        "http://0.0.0.0:9470",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "http://127.0.0.1@evil.example",
        "http://[::]:1",
        "ftp://127.0.0.1",
        "127.0.0.1:9470",
        "http://",
        "https://",
    ],
)
def test_plain_http_to_another_machine_is_refused(data, endpoint):
    with pytest.raises(CommandError):
        choose_target(Options(data=data, endpoint_url=endpoint), {})


@pytest.mark.parametrize(
    "endpoint",
    ["http://127.0.0.1:1", "http://127.8.9.1:1", "http://[::1]:1", "http://localhost:1", "https://a.example"],
)
def test_loopback_and_tls_are_fine(data, endpoint):
    assert endpoint == choose_target(Options(data=data, endpoint_url=endpoint), {}).endpoint_url


def test_a_credentials_file_that_others_can_read_is_pointed_out(data, clean_environment, capsys):
    (data / "credentials").chmod(0o640)
    Session(Options(data=data), Printer(as_json=False))
    assert "can be read by others" in capsys.readouterr().err


def test_an_invocation_is_never_sent_twice(data, clean_environment):
    session = Session(Options(data=data), Printer(as_json=False))
    config = session.invoking_client().meta.config
    assert (config.retries["total_max_attempts"], config.read_timeout > 900) == (1, True)


def test_a_data_directory_that_is_named_must_be_there(tmp_path, clean_environment):
    with pytest.raises(CommandError, match="there is no data directory at"):
        choose_target(Options(data=tmp_path / "absent", endpoint_url=OURS), KEYS)
