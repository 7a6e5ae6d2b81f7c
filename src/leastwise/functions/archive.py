"""Reads a zip file as it stands, and believes nothing it says of itself.

One reading only: the central directory names the members, every local header must agree with it, members must not
overlap, and what a member unpacks to must have the size and the checksum it claims. A zip file that two programs could
read in two ways is refused, so that what was scanned is what is unpacked.

Source: PKWARE APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.16 (end record).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NoReturn

from leastwise.functions.interface import InvalidPackage
from leastwise.kernel.units import KIB, MIB

UNREADABLE: Final = "Could not unzip uploaded file. Please check your file, then try to upload again."
"""SOURCE: recorded on AWS, InvalidParameterValueException."""

_END: Final = struct.Struct("<4sHHHHLLH")
_CENTRAL: Final = struct.Struct("<4sBBHHHHHLLLHHHHHLL")
_LOCAL: Final = struct.Struct("<4sHHHHHLLLHH")
_END_SIGNATURE: Final = b"PK\x05\x06"
_CENTRAL_SIGNATURE: Final = b"PK\x01\x02"
_LOCAL_SIGNATURE: Final = b"PK\x03\x04"
_LONGEST_COMMENT: Final = 0xFFFF
_IN_ZIP64_FIELD: Final = 0xFFFFFFFF
_ZIP64_FIELD: Final = 0x0001

_ENCRYPTED: Final = 0x0001 | 0x0040 | 0x2000
_PATCHED: Final = 0x0020
_STORED: Final = 0
_DEFLATED: Final = 8

_FEED: Final = 64 * KIB
_CHUNK: Final = MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One entry of the central directory.

    Args:
        name: as written in the zip, decoded; not yet judged.
        mode: Unix file type and permission bits; 0 when the zip carries none.
        deflated: False when the bytes are stored as they are.
        checksum: CRC-32 of the unpacked bytes.
        packed_bytes: size within the zip.
        unpacked_bytes: size it claims to unpack to.
        data_at: where its packed bytes begin.
    """

    name: str
    mode: int
    deflated: bool
    checksum: int
    packed_bytes: int
    unpacked_bytes: int
    data_at: int


def refuse(reason: str) -> NoReturn:
    """AWS's sentence, and behind it the reason, which AWS does not give."""
    message = f"{UNREADABLE} ({reason})"
    raise InvalidPackage(message)


def shown(name: str) -> str:
    """A member's name as it may stand in a message: printable, short."""
    return ascii(name[:100])


def read_members(zip_file: bytes) -> tuple[Member, ...]:
    """The members, in the order of the central directory.

    Raises:
        InvalidPackage: not a zip file, ZIP64 or split archives, encrypted members, compression other than deflate,
            headers that disagree, members that overlap.
    """
    end_at = _find_end(zip_file)
    _, disk, first_disk, here, total, size, offset, _ = _END.unpack_from(zip_file, end_at)
    if disk or first_disk or here != total:
        refuse("the archive is split")
    start = end_at - size
    # What stands before the archive (a self-extracting stub) moves every offset by its length.
    shift = start - offset
    if shift < 0:
        raise InvalidPackage(UNREADABLE)
    members: list[Member] = []
    extents: list[tuple[int, int]] = []
    at = start
    for _ in range(total):
        at, member, header_at = _read_member(zip_file, at, end_at, shift)
        members.append(member)
        extents.append((header_at, member.data_at + member.packed_bytes))
    if at != end_at:
        refuse("the central directory has another length than it says")
    extents.append((start, end_at))
    extents.sort()
    # SECURITY: members that share bytes make a small zip unpack to petabytes ("a better zip bomb", Fifield 2019).
    if any(ends > begins for (_, ends), (begins, _) in pairwise(extents)):
        refuse("members overlap")
    return tuple(members)


def unpack(zip_file: bytes, member: Member) -> Iterator[bytes]:
    """The member's bytes, in pieces of at most 1 MiB.

    Raises:
        InvalidPackage: more or fewer bytes than claimed, a wrong checksum, bytes that are not deflated data.
    """
    packed = memoryview(zip_file)[member.data_at : member.data_at + member.packed_bytes]
    checksum = size = 0
    for piece in _inflate(packed, member.name) if member.deflated else _slices(packed):
        size += len(piece)
        # SECURITY: stops a member that unpacks to more than it claims (a zip bomb with a modest label).
        if size > member.unpacked_bytes:
            refuse(f"{shown(member.name)} is larger than it says")
        checksum = zlib.crc32(piece, checksum)
        yield piece
    if size != member.unpacked_bytes or checksum != member.checksum:
        refuse(f"{shown(member.name)} is damaged")


def _find_end(zip_file: bytes) -> int:
    """The end record, which must reach exactly to the end of the file."""
    if not zip_file:
        message = "Uploaded file must be a non-empty zip"
        raise InvalidPackage(message)
    at = zip_file.rfind(_END_SIGNATURE, max(0, len(zip_file) - _END.size - _LONGEST_COMMENT))
    if at < 0 or at + _END.size > len(zip_file):
        raise InvalidPackage(UNREADABLE)
    comment = _END.unpack_from(zip_file, at)[-1]
    if at + _END.size + comment != len(zip_file):
        raise InvalidPackage(UNREADABLE)
    return at


def _read_member(zip_file: bytes, at: int, end_at: int, shift: int) -> tuple[int, Member, int]:
    if at + _CENTRAL.size > end_at:
        raise InvalidPackage(UNREADABLE)
    (
        signature, _, _, _, flags, method, _, _, checksum, packed, unpacked,
        name_length, extra_length, comment_length, disk, _, attributes, header_at,
    ) = _CENTRAL.unpack_from(zip_file, at)  # fmt: skip
    name_at = at + _CENTRAL.size
    extra_at = name_at + name_length
    next_at = extra_at + extra_length + comment_length
    if signature != _CENTRAL_SIGNATURE or next_at > end_at:
        raise InvalidPackage(UNREADABLE)
    raw_name = zip_file[name_at:extra_at]
    name = _decode(raw_name)
    if flags & _ENCRYPTED:
        refuse(f"{shown(name)} is encrypted")
    if flags & _PATCHED or disk or method not in {_STORED, _DEFLATED}:
        refuse(f"{shown(name)} is compressed in a way that is not supported")
    if _IN_ZIP64_FIELD in {packed, unpacked, header_at}:
        extra = zip_file[extra_at : extra_at + extra_length]
        unpacked, packed, header_at = _read_zip64_field(extra, unpacked, packed, header_at)
    if method == _STORED and packed != unpacked:
        refuse(f"{shown(name)} has two sizes")
    header_at += shift
    if header_at + _LOCAL.size > end_at:
        raise InvalidPackage(UNREADABLE)
    local_signature, _, local_flags, local_method, *_, local_name_length, local_extra = _LOCAL.unpack_from(
        zip_file, header_at
    )
    local_name_at = header_at + _LOCAL.size
    data_at = local_name_at + local_name_length + local_extra
    # SECURITY: a local header that tells another story than the central directory makes scanners and unpackers
    # see different files.
    if (
        local_signature != _LOCAL_SIGNATURE
        or zip_file[local_name_at : local_name_at + local_name_length] != raw_name
        or local_method != method
        or local_flags & _ENCRYPTED
    ):
        refuse(f"the headers of {shown(name)} disagree")
    if data_at + packed > end_at:
        raise InvalidPackage(UNREADABLE)
    member = Member(
        name=name,
        mode=attributes >> 16,
        deflated=method == _DEFLATED,
        checksum=checksum,
        packed_bytes=packed,
        unpacked_bytes=unpacked,
        data_at=data_at,
    )
    return next_at, member, header_at


def _read_zip64_field(extra: bytes, unpacked: int, packed: int, header_at: int) -> tuple[int, int, int]:
    """Sizes that streaming writers put into the ZIP64 extra field. Source: APPNOTE 4.5.3."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == _ZIP64_FIELD and length % 8 == 0 and at + 4 + length <= len(extra):
            wide = iter(struct.unpack_from(f"<{length // 8}Q", extra, at + 4))
            values = [
                next(wide, value) if value == _IN_ZIP64_FIELD else value for value in (unpacked, packed, header_at)
            ]
            return values[0], values[1], values[2]
        at += 4 + length
    raise InvalidPackage(UNREADABLE)


def _decode(raw_name: bytes) -> str:
    """UTF-8, which is what Linux tools write with or without the flag; else code page 437. Source: APPNOTE D.1."""
    try:
        return raw_name.decode()
    except UnicodeDecodeError:
        return raw_name.decode("cp437")


def _slices(packed: memoryview) -> Iterator[bytes]:
    for at in range(0, len(packed), _CHUNK):
        yield bytes(packed[at : at + _CHUNK])


def _inflate(packed: memoryview, name: str) -> Iterator[bytes]:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for at in range(0, len(packed), _FEED):
            if stream.eof:
                refuse(f"{shown(name)} has bytes behind its end")
            pending: bytes | memoryview = packed[at : at + _FEED]
            while pending:
                yield stream.decompress(pending, _CHUNK)
                pending = stream.unconsumed_tail
        while not stream.eof:
            rest = stream.decompress(b"", _CHUNK)
            if not rest:
                break
            yield rest
    except zlib.error:
        refuse(f"{shown(name)} is damaged")
    if not stream.eof or stream.unused_data:
        refuse(f"{shown(name)} is damaged")
