"""What the egress proxy makes of the bytes of a request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leastwise.linux.egress_reader import RequestReader
from leastwise.linux.egress_request import Destination, Refusal

GET = b"GET http://a.example/ HTTP/1.1\r\n"


def read(data: bytes) -> tuple[RequestReader, bytes]:
    reader = RequestReader()
    return reader, reader.feed(data)


def feed_all(reader: RequestReader, pieces: list[bytes]) -> None:
    for piece in pieces:
        reader.feed(piece)


def refused(data: bytes) -> int:
    with pytest.raises(Refusal) as caught:
        read(data)
    return caught.value.status


@pytest.mark.parametrize(
    ("target", "destination"),
    [
        ("a.example:443", "a.example:443"),
        ("A.Example.:443", "a.example:443"),
        ("xn--bcher-kva.example:1", "xn--bcher-kva.example:1"),
        ("a_b.example:65535", "a_b.example:65535"),
        ("93.184.215.14:22", "93.184.215.14:22"),
        ("[2606:4700:0:0::1]:443", "[2606:4700::1]:443"),
        ("localhost:0443", "localhost:443"),
    ],
)
def test_the_target_of_connect_is_read_into_one_form(target: str, destination: str) -> None:
    reader, out = read(f"CONNECT {target} HTTP/1.1\r\nHost: other.example\r\n\r\n".encode())
    assert destination == str(reader.destination)
    assert reader.tunnel
    assert b"" == out


@pytest.mark.parametrize(
    "target",
    [
        "a.example",
        "a.example:",
        "a.example:0",
        "a.example:65536",
        "a.example:+443",
        "a.example:4 43",
        "a.example:443/",
        "a.example:443@127.0.0.1:22",
        "a.example@127.0.0.1:22",
        "http://a.example:443",
        "a.example:443%20127.0.0.1:22",
        "a.example\\@127.0.0.1:22",
        "a.example#@127.0.0.1:22",
        "a.example%00.evil:22",
        ":443",
        "127.1:22",
        "2130706433:22",
        "0x7f000001:22",
        "0x7f.1:22",
        "0177.0.0.1:22",
        "127.0.0.1.:22",
        "::1:22",
        "[::1%25lo]:22",
        "[::1%lo]:22",
        "[127.0.0.1]:22",
        "a..example:22",
        "-a.example:22",
        "a" * 64 + ".example:22",
        ".".join(["a" * 60] * 5) + ":22",
        "*:22",
    ],
)
def test_a_target_that_two_readers_could_read_differently_is_refused(target: str) -> None:
    assert refused(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode()) == 400


@pytest.mark.parametrize(
    "head",
    [
        b"CONNECT a.example:80 127.0.0.1:22 HTTP/1.1\r\n\r\n",
        b"CONNECT a.example:80\tx HTTP/1.1\r\n\r\n",
        b"CONNECT a.exam\x00ple:80 HTTP/1.1\r\n\r\n",
        b"CONNECT a.example\xc2\xa0:80 HTTP/1.1\r\n\r\n",
        b"CONNECT a.example:80 HTTP/1.1\nHost: x\n\n",
        b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
        b"GET https://a.example/ HTTP/1.1\r\n\r\n",
        b"GET ftp://a.example/ HTTP/1.1\r\n\r\n",
        b"GET http://user@a.example/ HTTP/1.1\r\n\r\n",
        b"GET http://user:password@a.example/ HTTP/1.1\r\n\r\n",
        b"GET http://a.example:80:81/ HTTP/1.1\r\n\r\n",
        b"GET http://a.example\\@b.example/ HTTP/1.1\r\n\r\n",
        b"GET http://a.example/#@b.example HTTP/1.1\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\n\r\n",
        GET + b"Host: x\r\nX: a\rEvil: y\r\n\r\n",
        GET + b"Host: x\r\n folded\r\n\r\n",
        GET + b"Host : x\r\n\r\n",
        GET + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        GET + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        GET + b"Content-Length: +3\r\n\r\nabc",
        GET + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        GET + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        GET + b"Upgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        GET + b"\r\nGET http://b.example/ HTTP/1.1\r\n\r\n",
        GET + b"Content-Length: 1\r\n\r\nxGET http://b.example/ HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_a_request_that_could_be_smuggled_is_refused(head: bytes) -> None:
    assert refused(head) == 400


def test_other_versions_of_http_are_refused() -> None:
    assert refused(b"CONNECT a.example:443 HTTP/2.0\r\n\r\n") == 505
    assert refused(b"CONNECT a.example:443\r\n\r\n") == 505


def test_a_request_is_written_anew_for_its_destination() -> None:
    _, out = read(
        b"POST http://A.example:8080?q=1 HTTP/1.0\r\nHost: inner.example\r\nX-One: 1\r\nProxy-Authorization: secret\r\n"
        b"Connection: x-two, keep-alive\r\nX-Two: 2\r\nTE: trailers\r\nContent-Length: 003\r\n\r\nabc"
    )
    assert (
        out == b"POST /?q=1 HTTP/1.1\r\nHost: a.example:8080\r\nX-One: 1\r\nContent-Length: 3\r\n"
        b"Via: 1.1 leastwise\r\nConnection: close\r\n\r\nabc"
    )


def test_the_default_port_does_not_show_in_the_host_header() -> None:
    _, out = read(b"GET http://a.example:80/x HTTP/1.1\r\n\r\n")
    assert out.startswith(b"GET /x HTTP/1.1\r\nHost: a.example\r\n")


def test_chunks_are_cut_anew_and_their_extensions_and_trailers_stay_here() -> None:
    reader, out = read(
        b"POST http://a.example/ HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n3;evil=1\r\nabc\r\n0\r\nTrailer: x\r\n\r\n"
    )
    assert out.split(b"\r\n\r\n", 1)[1] == b"3\r\nabc\r\n0\r\n\r\n"
    assert reader.ended


def test_nothing_is_taken_after_the_request() -> None:
    reader, _ = read(GET + b"\r\n")
    with pytest.raises(Refusal):
        reader.feed(b"x")


def test_bytes_behind_connect_are_the_tunnels() -> None:
    _, out = read(b"CONNECT a.example:443 HTTP/1.1\r\n\r\nGET http://127.0.0.1/ HTTP/1.1\r\n\r\n")
    assert out == b"GET http://127.0.0.1/ HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize(
    "pieces",
    [
        [b"GET http://a.example/ HTTP/1.1\r\nX: ", *[b"x" * 1024] * 17],
        [b"CONNECT ", *[b"a" * 1024] * 17],
        [GET, *[b"X-%d: y\r\n" % number for number in range(101)], b"\r\n"],
        [GET + b"X: " + b"x" * 20_000 + b"\r\n\r\n"],
    ],
)
def test_a_head_without_end_is_refused(pieces: list[bytes]) -> None:
    with pytest.raises(Refusal) as caught:
        feed_all(RequestReader(), pieces)
    assert caught.value.status == 431


def test_a_body_of_nothing_but_framing_is_refused() -> None:
    reader, _ = read(b"POST http://a.example/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    reader.feed(b"1;")
    with pytest.raises(Refusal):
        feed_all(reader, [b"e" * 1024] * 300)


@given(st.binary(max_size=300), st.integers(1, 40))
def test_any_bytes_in_any_pieces_give_a_request_or_a_refusal(data: bytes, size: int) -> None:
    for whole in (data, b"CONNECT " + data, GET + data):
        reader = RequestReader()
        try:
            for at in range(0, len(whole), size):
                reader.feed(whole[at : at + size])
                if reader.tunnel:
                    break
        except Refusal:
            continue


@given(st.from_regex(r"[ -~]{1,40}", fullmatch=True))
def test_a_destination_that_was_read_reads_as_itself(target: str) -> None:
    try:
        reader, _ = read(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
    except Refusal:
        return
    if reader.destination is None:
        return
    again, _ = read(f"CONNECT {reader.destination} HTTP/1.1\r\n\r\n".encode())
    assert again.destination == reader.destination
    assert isinstance(reader.destination, Destination)
