"""The system call filter of a sandbox: an allow-list, assembled to classic BPF as a binary search.

MEASURED: installing a linear filter of 240 comparisons makes the kernel emulate it for every call number (its cache of
always-allowed calls); the search tree needs 8 steps per number instead of 120 (2 cores, kernel 6.18, 2026-11).

Source: Linux UAPI seccomp.h, filter.h, audit.h; Docker's default profile as the starting point, made narrower.
"""

from __future__ import annotations

import errno
import struct

from leastwise.guest.syscall_numbers import LAST_KNOWN, NUMBERS

_LD_WORD, _JEQ, _JGE, _JSET, _JA, _AND, _RET = 0x20, 0x15, 0x35, 0x45, 0x05, 0x54, 0x06
_OFFSET_NUMBER, _OFFSET_ARCH, _OFFSET_ARGUMENTS = 0, 4, 16
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32_BIT = 0x40000000

ALLOW, KILL = 0x7FFF0000, 0x80000000
_ERRNO = 0x00050000

# SECURITY: a new user namespace would hand out every capability inside it and with them the mount, network and BPF code
# paths of the kernel, the richest source of privilege escalations.
_CLONE_NEW = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000

# SECURITY: AF_PACKET, AF_NETLINK, AF_VSOCK, AF_ALG, ... are reachable kernel code no function needs; VSOCK also crosses
# the network namespace and would reach a hypervisor.
_SOCKET_FAMILIES = (1, 2, 10)  # UNIX, INET, INET6
_SOCKET_TYPES = (1, 2, 5)  # STREAM, DGRAM, SEQPACKET; SOCK_RAW and SOCK_PACKET are not here
_SOCKET_PROTOCOLS = (0, 6, 17)  # default, TCP, UDP

# SECURITY: TIOCSTI types into another terminal, TIOCLINUX and the device ioctls reach drivers. What is here asks about
# the descriptor itself or about the interfaces of the (empty) network namespace.
_IOCTLS = (
    0x5401,  # TCGETS: isatty()
    0x540F,  # TIOCGPGRP
    0x5411,  # SIOCOUTQ
    0x5413,  # TIOCGWINSZ
    0x541B,  # FIONREAD
    0x5421,  # FIONBIO
    0x5450,  # FIONCLEX
    0x5451,  # FIOCLEX
    0x5452,  # FIOASYNC
    0x8905,  # SIOCATMARK
    0x8910,  # SIOCGIFNAME
    0x8912,  # SIOCGIFCONF
    0x8913,  # SIOCGIFFLAGS
    0x8915,  # SIOCGIFADDR
    0x891B,  # SIOCGIFNETMASK
    0x8921,  # SIOCGIFMTU
    0x8927,  # SIOCGIFHWADDR
    0x8933,  # SIOCGIFINDEX
    0x80086601,  # FS_IOC_GETFLAGS
    0x40049409,  # FICLONE: cp tries it
)
_PRCTLS = (
    2, 3, 4, 7, 8, 14, 15, 16, 21, 23,  # pdeathsig and dumpable (get), keepcaps, timing, name, seccomp (get), bounding set
    29, 30, 36, 37, 38, 39, 40, 41, 42, 47,  # timer slack, subreaper, no_new_privs, tid address, huge pages, ambient
    50, 51, 52, 53, 54, 55, 56, 63, 64, 65, 66,  # SVE, speculation, pointer authentication, tagged addresses, SME, MDWE
    0x53564D41, 0x59616D61,  # PR_SET_VMA (names of mappings), PR_SET_PTRACER (no one may trace anyway)
)  # fmt: skip
_PR_SET_PDEATHSIG = 1
_PERSONALITIES = (0, 0xFFFFFFFF)
_S_IFMT, _S_IFIFO, _S_IFREG = 0o170000, 0o010000, 0o100000

_SHORT_JUMP = 255
Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, constant."""
Block = list[Instruction]


def _refuse(number: int) -> int:
    return _ERRNO | number


def _ret(action: int) -> Block:
    return [(_RET, 0, 0, action)]


def _argument(index: int) -> Block:
    """Loads the low half of an argument; both architectures are little-endian."""
    return [(_LD_WORD, 0, 0, _OFFSET_ARGUMENTS + 8 * index)]


def _one_of(values: tuple[int, ...], then: Block, otherwise: int) -> Block:
    """Goes on to `then` when the accumulator equals one of `values`, else returns `otherwise`."""
    block: Block = []
    for index, value in enumerate(values):
        block.append((_JEQ, len(values) - index, 0, value))
    return [*block, (_RET, 0, 0, otherwise), *then]


def _special_blocks() -> dict[str, Block]:
    """Calls whose arguments decide, each as a block that always returns."""
    file_type = [(_AND, 0, 0, _S_IFMT)]
    only_fifo = (_S_IFIFO, _S_IFREG, 0)
    return {
        "clone": [*_argument(0), (_JSET, 0, 1, _CLONE_NEW), (_RET, 0, 0, _refuse(errno.EPERM)), *_ret(ALLOW)],
        # Its flags lie behind a pointer that a filter cannot read; C libraries fall back to clone.
        "clone3": _ret(_refuse(errno.ENOSYS)),
        "ioctl": [*_argument(1), *_one_of(_IOCTLS, _ret(ALLOW), _refuse(errno.ENOTTY))],
        # SECURITY: a device node would reach the disk; FIFOs are files like others.
        "mknod": [*_argument(1), *file_type, *_one_of(only_fifo, _ret(ALLOW), _refuse(errno.EPERM))],
        "mknodat": [*_argument(2), *file_type, *_one_of(only_fifo, _ret(ALLOW), _refuse(errno.EPERM))],
        # SECURITY: READ_IMPLIES_EXEC and ADDR_NO_RANDOMIZE undo defences of the code a function runs.
        "personality": [*_argument(0), *_one_of(_PERSONALITIES, _ret(ALLOW), _refuse(errno.EPERM))],
        # SECURITY: a sandbox must not outlive a killed platform; asking to survive its parent is answered with a
        # success that changes nothing.
        "prctl": [
            *_argument(0),
            (_JEQ, 0, 1, _PR_SET_PDEATHSIG),
            (_RET, 0, 0, _refuse(0)),
            *_one_of(_PRCTLS, _ret(ALLOW), _refuse(errno.EINVAL)),
        ],
        "socket": [
            *_argument(0),
            *_one_of(
                _SOCKET_FAMILIES,
                [
                    *_argument(1),
                    (_AND, 0, 0, 0xF),
                    *_one_of(
                        _SOCKET_TYPES,
                        [*_argument(2), *_one_of(_SOCKET_PROTOCOLS, _ret(ALLOW), _refuse(errno.EPROTONOSUPPORT))],
                        _refuse(errno.EPERM),
                    ),
                ],
                _refuse(errno.EAFNOSUPPORT),
            ),
        ],
        "socketpair": [*_argument(0), *_one_of((1,), _ret(ALLOW), _refuse(errno.EAFNOSUPPORT))],
        # SECURITY: both flush whole file systems of the host, a stall for every other tenant.
        "sync": _ret(_refuse(0)),
        "syncfs": _ret(_refuse(0)),
    }


def _leaves(machine: str) -> list[tuple[int, Block]]:
    """(first number, block) in ascending order; each block is good up to the next first number."""
    column = 0 if machine == "x86_64" else 1
    special = _special_blocks()
    by_number = {}
    for name, numbers in NUMBERS.items():
        number = numbers[column]
        if number is not None:
            by_number[number] = special.get(name) or _ret(ALLOW)
    leaves: list[tuple[int, Block]] = []
    for number in range(LAST_KNOWN + 1):
        block = by_number.get(number) or _ret(_refuse(errno.EPERM))
        if not leaves or leaves[-1][1] != block:
            leaves.append((number, block))
    leaves.append((LAST_KNOWN + 1, _ret(_refuse(errno.ENOSYS))))
    return leaves


def _tree(leaves: list[tuple[int, Block]]) -> Block:
    if len(leaves) == 1:
        return list(leaves[0][1])
    middle = len(leaves) // 2
    left, right = _tree(leaves[:middle]), _tree(leaves[middle:])
    if len(left) <= _SHORT_JUMP:
        return [(_JGE, len(left), 0, leaves[middle][0]), *left, *right]
    # Conditional jumps reach 255 instructions, unconditional ones any number.
    return [(_JGE, 0, 1, leaves[middle][0]), (_JA, 0, 0, len(left)), *left, *right]


def instructions(machine: str) -> Block:
    """The filter for one architecture.

    Args:
        machine: `x86_64` or `aarch64`.

    Raises:
        KeyError: another architecture.
    """
    # SECURITY: the 32-bit ABI and x32 number their calls differently; an allow-list for one is no list for the other.
    head = [
        (_LD_WORD, 0, 0, _OFFSET_ARCH),
        (_JEQ, 1, 0, _AUDIT_ARCH[machine]),
        (_RET, 0, 0, KILL),
        (_LD_WORD, 0, 0, _OFFSET_NUMBER),
    ]
    if machine == "x86_64":
        head += [(_JGE, 0, 1, _X32_BIT), (_RET, 0, 0, KILL)]
    return head + _tree(_leaves(machine))


def assemble(machine: str) -> bytes:
    """The filter as an array of `struct sock_filter`."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions(machine))
