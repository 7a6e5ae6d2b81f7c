"""The system call filter, run by a model of the kernel's BPF machine."""

from __future__ import annotations

import errno
import struct

import pytest

from leastwise.guest import seccomp
from leastwise.guest.syscall_numbers import LAST_KNOWN, NUMBERS

ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
PROGRAMS = {machine: seccomp.instructions(machine) for machine in ARCH}


def run(machine: str, number: int, *arguments: int, arch: int | None = None) -> int:
    """What the filter returns for one call."""
    data = struct.pack(
        "=IIQ6Q", number, ARCH[machine] if arch is None else arch, 0, *arguments, *[0] * (6 - len(arguments))
    )
    program = PROGRAMS[machine]
    position, accumulator, steps = 0, 0, 0
    while True:
        code, true, false, constant = program[position]
        position += 1
        steps += 1
        assert steps < 200, "a call must be decided quickly"
        if code == 0x20:
            accumulator = struct.unpack_from("=I", data, constant)[0]
        elif code == 0x54:
            accumulator &= constant
        elif code == 0x05:
            position += constant
        elif code == 0x06:
            return constant
        else:
            taken = {0x15: accumulator == constant, 0x35: accumulator >= constant, 0x45: bool(accumulator & constant)}[
                code
            ]
            position += true if taken else false


def refusal(number: int) -> int:
    return 0x00050000 | number


def number_of(machine: str, name: str) -> int:
    number = NUMBERS[name][0 if machine == "x86_64" else 1]
    assert number is not None
    return number


SPECIAL = {
    "clone",
    "clone3",
    "ioctl",
    "mknod",
    "mknodat",
    "personality",
    "prctl",
    "socket",
    "socketpair",
    "sync",
    "syncfs",
}


@pytest.mark.parametrize("machine", ARCH)
def test_exactly_the_listed_calls_are_allowed_and_unknown_ones_do_not_exist(machine: str) -> None:
    column = 0 if machine == "x86_64" else 1
    listed = {numbers[column]: name for name, numbers in NUMBERS.items() if numbers[column] is not None}
    for number in range(LAST_KNOWN + 40):
        name = listed.get(number)
        if name in SPECIAL:
            continue
        refused = refusal(errno.EPERM if number <= LAST_KNOWN else errno.ENOSYS)
        expected = refused if name is None else seccomp.ALLOW
        assert expected == run(machine, number), (number, name)


DANGEROUS = {  # x86_64
    "ptrace": 101, "process_vm_readv": 310, "process_vm_writev": 311, "keyctl": 250, "add_key": 248, "request_key": 249,
    "pidfd_getfd": 438, "setuid": 105, "setresuid": 117, "mount": 165, "umount2": 166, "pivot_root": 155, "chroot": 161,
    "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsmount": 432, "mount_setattr": 442, "setns": 308, "unshare": 272,
    "mbind": 237, "modify_ldt": 154, "memfd_secret": 447, "mq_open": 240, "shmget": 29, "semget": 64, "msgget": 68,
    "io_setup": 206, "io_uring_setup": 425, "io_uring_enter": 426, "userfaultfd": 323, "bpf": 321, "perf_event_open": 298,
    "name_to_handle_at": 303, "open_by_handle_at": 304, "vmsplice": 278, "init_module": 175, "finit_module": 313,
    "kexec_load": 246, "reboot": 169, "swapon": 167, "sethostname": 170, "settimeofday": 164, "clock_settime": 227,
    "syslog": 103, "quotactl": 179, "acct": 163, "iopl": 172, "seccomp": 317, "kcmp": 312, "fanotify_init": 300,
}  # fmt: skip


@pytest.mark.parametrize("name", DANGEROUS)
def test_a_dangerous_call_is_refused(name: str) -> None:
    assert refusal(errno.EPERM) == run("x86_64", DANGEROUS[name])


@pytest.mark.parametrize("machine", ARCH)
@pytest.mark.parametrize("flag", [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000])
def test_clone_makes_no_namespace(machine: str, flag: int) -> None:
    clone = number_of(machine, "clone")
    assert refusal(errno.EPERM) == run(machine, clone, flag | 17)
    assert seccomp.ALLOW == run(machine, clone, 0x3D0F00 | 17)


@pytest.mark.parametrize("machine", ARCH)
def test_clone3_does_not_exist(machine: str) -> None:
    assert refusal(errno.ENOSYS) == run(machine, number_of(machine, "clone3"))


@pytest.mark.parametrize("machine", ARCH)
@pytest.mark.parametrize(
    ("family", "kind", "protocol", "allowed"),
    [
        (1, 1, 0, True),
        (2, 1 | 0o2000000 | 0o4000, 6, True),
        (10, 2, 17, True),
        (2, 3, 1, False),  # raw
        (2, 1, 262, False),  # MPTCP
        (2, 2, 1, False),  # ping
        (16, 3, 0, False),  # netlink
        (17, 3, 0, False),  # packet
        (38, 5, 0, False),  # the kernel's ciphers
        (40, 1, 0, False),  # vsock
    ],
)
def test_sockets_are_unix_and_internet_only(machine: str, family: int, kind: int, protocol: int, allowed: bool) -> None:
    assert allowed == (run(machine, number_of(machine, "socket"), family, kind, protocol) == seccomp.ALLOW)


@pytest.mark.parametrize("machine", ARCH)
def test_only_harmless_ioctls_are_allowed(machine: str) -> None:
    ioctl = number_of(machine, "ioctl")
    assert seccomp.ALLOW == run(machine, ioctl, 0, 0x5401)
    assert refusal(errno.ENOTTY) == run(machine, ioctl, 0, 0x5412)  # TIOCSTI
    assert refusal(errno.ENOTTY) == run(machine, ioctl, 0, 0x1_0000_5412)  # the high half does not hide it


def test_mknod_makes_fifos_and_no_devices() -> None:
    assert seccomp.ALLOW == run("x86_64", number_of("x86_64", "mknod"), 0, 0o010600)
    assert refusal(errno.EPERM) == run("x86_64", number_of("x86_64", "mknod"), 0, 0o060600)
    assert refusal(errno.EPERM) == run("x86_64", number_of("x86_64", "mknodat"), 0, 0, 0o020600)


def test_the_parent_death_signal_stays_and_the_caller_is_told_success() -> None:
    prctl = number_of("x86_64", "prctl")
    assert refusal(0) == run("x86_64", prctl, 1, 0)
    assert seccomp.ALLOW == run("x86_64", prctl, 15)
    assert refusal(errno.EINVAL) == run("x86_64", prctl, 22)  # PR_SET_SECCOMP


@pytest.mark.parametrize("arch", [0x40000003, 0xC00000B7, 0])
def test_another_abi_kills(arch: int) -> None:
    assert seccomp.KILL == run("x86_64", 0, arch=arch)


def test_x32_numbers_kill() -> None:
    assert seccomp.KILL == run("x86_64", 0x40000000)
    assert seccomp.KILL == run("x86_64", 0x40000000 | 101)


@pytest.mark.parametrize("machine", ARCH)
def test_the_program_fits_into_the_kernels_limit(machine: str) -> None:
    assert len(seccomp.assemble(machine)) == 8 * len(PROGRAMS[machine])
    assert len(PROGRAMS[machine]) <= 4096
