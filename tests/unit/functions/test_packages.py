"""Attacks on the extractor. Each zip is built here, byte for byte where a library would not build it."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leastwise.functions.archive import UNREADABLE, read_members, unpack
from leastwise.functions.interface import InvalidPackage, PackageTooLarge
from leastwise.functions.packages import (
    LARGEST_UNPACKED_BYTES,
    LARGEST_ZIP_BYTES,
    check_zip_size,
    plan_package,
)


def zip_of(*entries: tuple[str, bytes, int], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of (name, content, Unix mode)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content, mode in entries:
            info = zipfile.ZipInfo(name)
            info.filename = name
            info.create_system = 3
            info.external_attr = mode << 16
            info.compress_type = compression
            archive.writestr(info, content)
    return buffer.getvalue()


FILE = stat.S_IFREG | 0o644
PROGRAM = stat.S_IFREG | 0o755
DIRECTORY = stat.S_IFDIR | 0o755
LINK = stat.S_IFLNK | 0o777


def raw_zip(*entries: dict) -> bytes:
    """A zip whose headers may lie. Keys: name, packed, method, crc, size, local_name, local_method, flags, at."""
    body = b""
    central = b""
    for entry in entries:
        name = entry["name"]
        packed = entry.get("packed", b"")
        method = entry.get("method", 0)
        size = entry.get("size", len(packed))
        crc = entry.get("crc", zlib.crc32(packed))
        flags = entry.get("flags", 0)
        mode = entry.get("mode", FILE)
        local_name = entry.get("local_name", name)
        at = entry.get("at", len(body))
        body += struct.pack(
            "<4sHHHHHLLLHH", b"PK\x03\x04", 20, flags, entry.get("local_method", method), 0, 0, crc,
            len(packed), size, len(local_name), 0,
        ) + local_name + packed  # fmt: skip
        central += struct.pack(
            "<4sBBHHHHHLLLHHHHHLL", b"PK\x01\x02", 20, 3, 20, flags, method, 0, 0, crc,
            entry.get("packed_size", len(packed)), size, len(name), 0, 0, entry.get("disk", 0), 0, mode << 16, at,
        ) + name  # fmt: skip
    end = struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, len(entries), len(entries), len(central), len(body), 0)
    return body + central + end


def deflated(content: bytes) -> bytes:
    return zlib.compress(content, wbits=-15)


def refusal(zip_file: bytes) -> str:
    with pytest.raises(InvalidPackage) as caught:
        unpack_all(zip_file)
    return caught.value.message


def unpack_all(zip_file: bytes) -> dict[str, bytes]:
    return {file.path: b"".join(unpack(zip_file, file.member)) for file in plan_package(zip_file).files}


# --- what honest packages look like --------------------------------------------------------------------------------


def test_files_directories_and_inward_links_are_planned_with_their_execute_bits():
    plan = plan_package(
        zip_of(
            ("bin/", b"", DIRECTORY),
            ("bin/tool", b"#!/bin/sh\n", PROGRAM),
            ("lib/a/b.py", b"x = 1\n", FILE),
            ("lib/tool", b"../bin/tool", LINK),
        )
    )
    assert plan.directories == ("bin", "lib", "lib/a")
    assert [(file.path, file.executable) for file in plan.files] == [("bin/tool", True), ("lib/a/b.py", False)]
    assert [(link.path, link.target) for link in plan.links] == [("lib/tool", "../bin/tool")]
    assert len(b"#!/bin/sh\n") + len(b"x = 1\n") + len(b"../bin/tool") == plan.unpacked_bytes


def test_a_leading_dot_and_the_entry_of_the_root_itself_are_normalised_away():
    plan = plan_package(zip_of(("./", b"", DIRECTORY), ("./a.py", b"", FILE), ("b//c.py", b"", FILE)))
    assert [file.path for file in plan.files] == ["a.py", "b/c.py"]


def test_a_zip_that_says_nothing_of_modes_gives_plain_files():
    plan = plan_package(zip_of(("a.py", b"1", 0)))
    assert [file.executable for file in plan.files] == [False]


def test_a_set_user_id_bit_is_no_reason_to_refuse_and_never_planned():
    plan = plan_package(zip_of(("tool", b"", stat.S_IFREG | 0o6755)))
    assert [(file.path, file.executable) for file in plan.files] == [("tool", True)]


def test_bytes_in_front_of_the_archive_do_not_matter():
    assert [file.path for file in plan_package(b"#!/usr/bin/env python3\n" + zip_of(("a.py", b"1", 0))).files] == [
        "a.py"
    ]


def test_zip64_sizes_of_streaming_writers_are_understood():
    content = b"streamed"
    extra = struct.pack("<HHQQ", 1, 16, len(content), len(content))
    local = struct.pack("<4sHHHHHLLLHH", b"PK\x03\x04", 45, 0, 0, 0, 0, zlib.crc32(content), 0, 0, 4, 0)
    body = local + b"a.py" + content
    central = struct.pack(
        "<4sBBHHHHHLLLHHHHHLL", b"PK\x01\x02", 45, 3, 45, 0, 0, 0, 0, zlib.crc32(content),
        0xFFFFFFFF, 0xFFFFFFFF, 4, len(extra), 0, 0, 0, FILE << 16, 0,
    ) + b"a.py" + extra  # fmt: skip
    end = struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, 1, 1, len(central), len(body), 0)
    (member,) = read_members(body + central + end)
    assert content == b"".join(unpack(body + central + end, member))


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="/\\\0"), min_size=1, max_size=20).filter(
            lambda name: name not in {".", ".."} and len(name.encode()) < 200
        ),
        st.binary(max_size=5000),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from([zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED]),
)
def test_what_zipfile_writes_is_read_back_exactly(contents, compression):
    zip_file = zip_of(*((name, content, FILE) for name, content in contents.items()), compression=compression)
    plan = plan_package(zip_file)
    assert contents == {file.path: b"".join(unpack(zip_file, file.member)) for file in plan.files}


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_damaged_zip_raises_anything_but_invalid_package(data):
    zip_file = bytearray(zip_of(("a/b.py", b"x" * 300, FILE), ("c", b"a/b.py", LINK)))
    for _ in range(data.draw(st.integers(1, 4))):
        zip_file[data.draw(st.integers(0, len(zip_file) - 1))] = data.draw(st.integers(0, 255))
    try:
        plan = plan_package(bytes(zip_file))
        for file in plan.files:
            b"".join(unpack(bytes(zip_file), file.member))
    except InvalidPackage:
        pass


# --- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["../evil", "a/../../evil", "a/..", "..", "/etc/cron.d/evil", "//evil", "a\\..\\..\\evil", "C:\\evil"],
)
def test_a_name_that_leads_out_is_refused(name):
    assert refusal(zip_of((name, b"evil", FILE))).startswith(UNREADABLE)


def test_a_name_with_nul_is_refused():
    assert "not a relative name" in refusal(raw_zip({"name": b"a.py\0.txt", "packed": b"x"}))


def test_a_file_without_a_name_is_refused():
    assert "has no name" in refusal(raw_zip({"name": b".", "packed": b"x"}))


@pytest.mark.parametrize("name", ["x" * 256, "/".join("d" * 65), "é" * 200])
def test_a_name_that_the_file_system_could_not_hold_is_refused(name):
    assert "too long" in refusal(zip_of((name, b"", FILE)))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("a", b"1", FILE), ("a", b"2", FILE)),
        (("a", b"1", FILE), ("./a", b"2", FILE)),
        (("a", b"1", FILE), ("a/", b"", DIRECTORY)),
        (("a/", b"", DIRECTORY), ("a", b"1", FILE)),
        (("a", b"1", FILE), ("a/b", b"2", FILE)),
        (("a/b", b"2", FILE), ("a", b"1", FILE)),
        (("a/", b"", DIRECTORY), ("a/", b"", DIRECTORY)),
        (("a", b"b", LINK), ("a", b"1", FILE)),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_is_there_twice_is_refused(first, second):
    assert UNREADABLE in refusal(zip_of(first, second))


# --- kinds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_devices_pipes_and_sockets_are_refused(kind):
    assert "neither a file" in refusal(zip_of(("dev", b"", kind | 0o666)))


def test_a_directory_with_content_is_refused():
    assert "directory with content" in refusal(raw_zip({"name": b"a/", "packed": b"x", "mode": DIRECTORY}))


def test_an_encrypted_member_is_refused():
    assert "encrypted" in refusal(raw_zip({"name": b"a", "packed": b"x", "flags": 1}))


def test_compression_other_than_deflate_is_refused():
    assert "compressed in a way" in refusal(zip_of(("a", b"x" * 100, FILE), compression=zipfile.ZIP_LZMA))


# --- links ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [b"/etc/passwd", b"..", b"../x", b"a/../../x", b"./../x", b"a\0b", b"\xff\xfe"])
def test_a_link_that_leads_out_is_refused(target):
    assert "symbolic link" in refusal(zip_of(("link", target, LINK), ("a/b", b"", FILE)))


def test_a_link_that_leads_out_through_another_link_is_refused():
    assert "leads out" in refusal(
        zip_of(("a/b/c/deep", b".", LINK), ("a/up", b"b/c/deep/../../../..", LINK), ("z", b"a/up/../x", LINK))
    )


def test_a_link_may_climb_as_long_as_it_stays_inside():
    plan = plan_package(zip_of(("a/b/link", b"../../c/./d", LINK), ("c/d", b"", FILE)))
    assert [link.path for link in plan.links] == ["a/b/link"]


def test_climbing_is_counted_from_where_a_link_leads_and_not_from_where_it_stands():
    """`deep/shallow/..` is the package's parent, although its text has as many names as steps up."""
    assert "leads out" in refusal(zip_of(("a/b/shallow", b"../..", LINK), ("link", b"a/b/shallow/..", LINK)))


@pytest.mark.parametrize("target", [b"link", b"./link", b"other"])
def test_links_in_a_circle_are_refused(target):
    assert "circle" in refusal(zip_of(("link", target, LINK), ("other", b"link", LINK)))


def test_no_member_is_written_through_a_link():
    assert "directory and something else" in refusal(zip_of(("dir", b"elsewhere", LINK), ("dir/file", b"evil", FILE)))
    assert "directory and something else" in refusal(zip_of(("dir/file", b"evil", FILE), ("dir", b"elsewhere", LINK)))


def test_a_link_longer_than_a_path_is_refused():
    assert "too long" in refusal(zip_of(("link", b"a/" * 3000, LINK)))


def test_links_that_multiply_are_cut_off():
    entries = [(f"l{number}", b"/".join([f"l{number + 1}".encode()] * 100), LINK) for number in range(30)]
    assert "circle or too far" in refusal(zip_of(*entries, ("l30/x", b"", FILE)))


# --- sizes ---------------------------------------------------------------------------------------------------------


def test_three_hundred_megabytes_of_zeros_in_a_small_zip_are_refused():
    stream = zlib.compressobj(9, wbits=-15)
    packed = b"".join(stream.compress(bytes(1 << 20)) for _ in range(300)) + stream.flush()
    zip_file = raw_zip({"name": b"zeros", "packed": packed, "method": 8, "size": 300 << 20, "crc": 0})
    assert len(zip_file) < 400_000
    assert f"Unzipped size must be smaller than {LARGEST_UNPACKED_BYTES} bytes" == refusal(zip_file)


def test_a_bomb_with_a_modest_label_stops_at_what_the_label_says():
    stream = zlib.compressobj(9, wbits=-15)
    packed = b"".join(stream.compress(bytes(1 << 20)) for _ in range(300)) + stream.flush()
    zip_file = raw_zip({"name": b"zeros", "packed": packed, "method": 8, "size": 1000, "crc": 0})
    (member,) = read_members(zip_file)
    taken: list[bytes] = []
    with pytest.raises(InvalidPackage, match="larger than it says"):
        taken.extend(unpack(zip_file, member))
    assert taken == []


def test_members_that_share_bytes_are_refused():
    zip_file = raw_zip(
        {"name": b"a", "packed": deflated(bytes(1000)), "method": 8, "size": 1000, "crc": zlib.crc32(bytes(1000))},
        {"name": b"a2", "packed": b"", "at": 0, "local_name": b"a2"},
    )
    assert UNREADABLE in refusal(zip_file)


def test_members_that_overlap_are_refused():
    inner = struct.pack("<4sHHHHHLLLHH", b"PK\x03\x04", 20, 0, 0, 0, 0, 0, 0, 0, 1, 0) + b"b"
    zip_file = raw_zip(
        {"name": b"a", "packed": inner},
        {"name": b"b", "packed": b"", "at": 30 + 1},
    )
    assert "overlap" in refusal(zip_file)


def test_the_zip_itself_may_not_reach_fifty_mebibytes():
    with pytest.raises(PackageTooLarge, match="Zipped size must be smaller than 52428800 bytes"):
        check_zip_size(bytes(LARGEST_ZIP_BYTES))
    check_zip_size(bytes(LARGEST_ZIP_BYTES - 1))


def test_a_flood_of_implied_directories_is_refused():
    entries = [(f"{number}/" + "/".join("d" * 60), b"", FILE) for number in range(2000)]
    assert "more than 100000" in refusal(zip_of(*entries))


# --- two stories ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lie",
    [
        {"name": b"good", "local_name": b"evil", "packed": b"x"},
        {"name": b"a", "packed": b"x", "local_method": 8},
        {"name": b"a", "packed": b"x", "size": 2},
        {"name": b"a", "packed": b"x", "crc": 1},
        {"name": b"a", "packed": deflated(b"xyz"), "method": 8, "size": 4, "crc": zlib.crc32(b"xyz")},
        {"name": b"a", "packed": deflated(b"xyz") + b"tail", "method": 8, "size": 3, "crc": zlib.crc32(b"xyz")},
        {"name": b"a", "packed": deflated(b"xyz" * 100)[:-1], "method": 8, "size": 300, "crc": 0},
        {"name": b"a", "packed": b"\xff\xff", "method": 8, "size": 3},
        {"name": b"a", "packed": b"x", "packed_size": 10_000, "size": 10_000},
        {"name": b"a", "packed": b"x", "disk": 1},
    ],
)
def test_a_zip_that_tells_two_stories_is_refused(lie):
    assert refusal(raw_zip(lie)).startswith(UNREADABLE)


def test_bytes_behind_the_end_of_the_archive_are_refused():
    assert refusal(zip_of(("a", b"", FILE)) + b"more") == UNREADABLE


@pytest.mark.parametrize("zip_file", [b"PK", b"not a zip file at all", b"PK\x05\x06", bytes(100)])
def test_what_is_no_zip_is_refused_in_the_words_of_aws(zip_file):
    assert refusal(zip_file) == UNREADABLE


def test_an_empty_upload_and_an_empty_zip_are_refused():
    assert refusal(b"") == "Uploaded file must be a non-empty zip"
    assert refusal(zip_of()) == "Uploaded file must be a non-empty zip"


def test_the_reason_never_repeats_control_characters_of_a_name():
    message = refusal(zip_of(("../\x1b[31mred\n", b"", FILE)))
    assert message.isprintable()
