"""Settings: three sources, one meaning, nothing unsafe by accident."""

from pathlib import Path

import pytest

from leastwise.kernel import errors
from leastwise.wiring.settings import read_settings


def read(tmp_path, *, toml=None, environment=None, **overrides):
    config = None
    if toml is not None:
        config = tmp_path / "leastwise.toml"
        config.write_text(toml)
    return read_settings(data=tmp_path / "data", config=config, environment=environment or {}, overrides=overrides)


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path):
    toml = 'listen = "127.0.0.1:1"\nidle_minutes = 3\npool = 2\n'
    environment = {"LEASTWISE_LISTEN": "127.0.0.1:2", "LEASTWISE_POOL": "7", "HOME": "/"}
    settings = read(tmp_path, toml=toml, environment=environment, listen="127.0.0.1:3", account_id=None)
    assert (settings.port, settings.pool, settings.idle_minutes) == (3, 7, 3)


def test_trusted_proxies_are_a_list_in_the_file_and_a_text_with_commas_in_the_environment(tmp_path):
    blocks = ("10.0.0.0/8", "2001:db8::/32", "127.0.0.1")
    toml = 'trusted_proxies = ["10.0.0.0/8", "2001:db8::/32", "127.0.0.1"]'
    environment = {"LEASTWISE_TRUSTED_PROXIES": "10.0.0.0/8, 2001:db8::/32,127.0.0.1,"}
    assert blocks == read(tmp_path, toml=toml).trusted_proxies
    assert blocks == read(tmp_path, environment=environment).trusted_proxies
    assert () == read(tmp_path).trusted_proxies == read(tmp_path, toml="trusted_proxies = []").trusted_proxies


@pytest.mark.parametrize(
    ("toml", "environment", "said"),
    [
        ("trusted_proxies = ['0.0.0.0/0']", {}, "covers every address"),
        ("trusted_proxies = ['proxy.example']", {}, "neither an address nor a CIDR block"),
        ("trusted_proxies = ['10.0.0.1/8']", {}, "neither an address nor a CIDR block"),
        ("trusted_proxies = [1]", {}, "a list of texts is wanted"),
        ("trusted_proxies = 5", {}, "a list of texts is wanted"),
        ("", {"LEASTWISE_TRUSTED_PROXIES": "*"}, "neither an address nor a CIDR block"),
        ("lisen = 'x'", {}, "unknown setting 'lisen'"),
        ("", {"LEASTWISE_LISEN": "x"}, "unknown setting 'lisen'"),
        ("pool = -1", {}, "is not a whole number"),
        ("pool = true", {}, "is not a whole number"),
        ("pool = ", {}, "cannot read"),
        ("listen = 'example.org:80'", {}, "is not HOST:PORT"),
        ("listen = '127.0.0.1'", {}, "is not HOST:PORT"),
        ("listen = '999.0.0.1:1'", {}, "is not an address"),
        ("account_id = '123'", {}, "12 digits"),
        ("region = 'here'", {}, "form of a region"),
        ("tls_cert = '/x'", {}, "together"),
        ("account_concurrency = 0", {}, "at least 1"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(tmp_path, toml, environment, said):
    with pytest.raises(errors.Invalid) as caught:
        read(tmp_path, toml=toml, environment=environment)
    assert said in caught.value.message


@pytest.mark.parametrize("listen", ["0.0.0.0:80", "192.168.1.1:80", "[::]:80", "10.0.0.1:0"])
def test_off_loopback_tls_is_a_must(tmp_path, listen):
    with pytest.raises(errors.Invalid) as caught:
        read(tmp_path, listen=listen)
    assert "--tls-cert" in caught.value.message
    settings = read(tmp_path, listen=listen, tls_cert=Path("/cert"), tls_key=Path("/key"))
    assert not settings.is_loopback


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "localhost:1", "[::1]:2", "127.9.9.9:3"])
def test_loopback_needs_no_tls(tmp_path, listen):
    assert read(tmp_path, listen=listen).is_loopback


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"listen": "127.0.0.1:99999"}, "no port 99999"),
        ({"time_zone": "Mars/Olympus"}, "IANA time zone"),
        ({"time_zone": "../../etc/passwd"}, "IANA time zone"),
        ({"public_url": "leastwise.example"}, "setting public_url"),
        ({"public_url": "https://leastwise.example/path"}, "setting public_url"),
    ],
)
def test_values_without_a_meaning_are_refused(tmp_path, given, said):
    with pytest.raises(errors.Invalid) as caught:
        read(tmp_path, **given)
    assert said in caught.value.message


def test_a_public_url_and_a_zone_that_mean_something_are_taken(tmp_path):
    settings = read(tmp_path, public_url="https://leastwise.example:9470", time_zone="Europe/Berlin")
    assert (settings.public_url, settings.time_zone) == ("https://leastwise.example:9470", "Europe/Berlin")
