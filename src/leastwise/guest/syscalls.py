"""Linux system calls that Python has no name for, by number, through ctypes.

Runs on CPython 3.9 and newer, inside the launcher, the fork server and every sandbox; imports the standard library only.
Every function raises OSError on failure; none retries.

Source: Linux UAPI headers (unistd.h, mount.h, sched.h, prctl.h, capability.h, landlock.h, seccomp.h).
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

MACHINE = platform.machine()
_NUMBERS = {  # on x86_64 and aarch64
    "capset": (126, 91),
    "capget": (125, 90),
    "clone3": (435, 435),
    "close_range": (436, 436),
    "fcntl": (72, 25),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "gettid": (186, 178),
    "ioctl": (16, 29),
    "landlock_add_rule": (445, 445),
    "landlock_create_ruleset": (444, 444),
    "landlock_restrict_self": (446, 446),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pivot_root": (155, 41),
    "prctl": (157, 167),
    "prlimit64": (302, 261),
    "seccomp": (317, 277),
    "setgroups": (116, 159),
    "sethostname": (170, 161),
    "setresgid": (119, 149),
    "setresuid": (117, 147),
    "umount2": (166, 39),
    "unshare": (272, 97),
}
_COLUMN = {"x86_64": 0, "aarch64": 1}
SUPPORTED = MACHINE in _COLUMN
NUMBERS = {name: numbers[_COLUMN.get(MACHINE, 0)] for name, numbers in _NUMBERS.items()}

_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
# The interpreter lock must stay held across clone3: the child continues in Python.
_pylibc = ctypes.PyDLL(None, use_errno=True)
_pysyscall = _pylibc.syscall
_pysyscall.restype = ctypes.c_long

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_PIDFD = 0x00001000
CLONE_CHILD_CLEARTID = 0x00200000
CLONE_CHILD_SETTID = 0x01000000
CLONE_INTO_CGROUP = 0x200000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND = 1, 2, 4, 8, 32, 4096
MS_REC, MS_PRIVATE = 16384, 1 << 18
MNT_DETACH = 2

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
AT_SYMLINK_NOFOLLOW = 0x100
OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH = 4
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC = 1, 2, 4, 8
FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING, FSCONFIG_CMD_CREATE = 0, 1, 6

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_CAPBSET_DROP = 1, 4, 8, 24
PR_SET_SECUREBITS, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 28, 38, 47, 4
RLIMIT_DATA, RLIMIT_CORE, RLIMIT_NPROC, RLIMIT_NOFILE, RLIMIT_MEMLOCK = 2, 4, 6, 7, 8
RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_RTPRIO = 11, 12, 13, 14
SECBIT_NO_SETUID_FIXUP = 4
CAP_CHOWN, CAP_SETGID, CAP_SETUID, CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_MKNOD, CAP_LAST = 0, 6, 7, 12, 21, 27, 40

SECCOMP_SET_MODE_FILTER = 1


def _call(name: str, *arguments: object) -> int:
    result: int = _syscall(ctypes.c_long(NUMBERS[name]), *arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, "%s: %s" % (name, os.strerror(number)))
    return result


def _bytes(path: str) -> bytes:
    return os.fsencode(path)


def unshare(flags: int) -> None:
    _call("unshare", ctypes.c_long(flags))


def prctl(option: int, value: int = 0, third: int = 0) -> int:
    return _call(
        "prctl", ctypes.c_long(option), ctypes.c_long(value), ctypes.c_long(third), ctypes.c_long(0), ctypes.c_long(0)
    )


def sethostname(name: bytes) -> None:
    _call("sethostname", name, ctypes.c_long(len(name)))


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    _call("mount", _bytes(source), _bytes(target), _bytes(kind), ctypes.c_long(flags), _bytes(data) if data else None)


def umount(target: str, flags: int = MNT_DETACH) -> None:
    _call("umount2", _bytes(target), ctypes.c_long(flags))


def pivot_root(new_root: str, put_old: str) -> None:
    _call("pivot_root", _bytes(new_root), _bytes(put_old))


def open_tree(path: str, flags: int = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC) -> int:
    """A detached copy of the mount at `path`, as a file descriptor."""
    return _call("open_tree", ctypes.c_long(AT_FDCWD), _bytes(path), ctypes.c_long(flags))


def mount_setattr(fd: int, attributes: int, *, recursive: bool = False) -> None:
    """Adds attributes (read-only, nosuid, ...) to the mount behind `fd`."""
    request = struct.pack("=QQQQ", attributes, 0, 0, 0)
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    _call("mount_setattr", ctypes.c_long(fd), b"", ctypes.c_long(flags), request, ctypes.c_long(len(request)))


def move_mount(fd: int, target: str) -> None:
    """Attaches the detached mount behind `fd` at `target`."""
    _call(
        "move_mount",
        ctypes.c_long(fd),
        b"",
        ctypes.c_long(AT_FDCWD),
        _bytes(target),
        ctypes.c_long(MOVE_MOUNT_F_EMPTY_PATH),
    )


def new_mount(kind: str, attributes: int, options: dict[str, str] | None = None) -> int:
    """A detached, fresh mount of file system `kind`, as a file descriptor."""
    context = _call("fsopen", _bytes(kind), ctypes.c_long(1))
    try:
        for key, value in (options or {}).items():
            _call(
                "fsconfig", ctypes.c_long(context), ctypes.c_long(FSCONFIG_SET_STRING), _bytes(key), _bytes(value), None
            )
        _call("fsconfig", ctypes.c_long(context), ctypes.c_long(FSCONFIG_CMD_CREATE), None, None, None)
        return _call("fsmount", ctypes.c_long(context), ctypes.c_long(1), ctypes.c_long(attributes))
    finally:
        os.close(context)


def duplicate_above(fd: int, lowest: int) -> int:
    """A copy of `fd` with the first free number from `lowest` on, closed on exec."""
    return _call("fcntl", ctypes.c_long(fd), ctypes.c_long(1030), ctypes.c_long(lowest))  # F_DUPFD_CLOEXEC


def close_range(first: int, last: int) -> None:
    """Closes every descriptor from `first` to `last`, both included."""
    if first <= last:
        _call("close_range", ctypes.c_ulong(first), ctypes.c_ulong(last), ctypes.c_long(0))


_limits = ctypes.create_string_buffer(16)


def set_limit(kind: int, value: int) -> None:
    """Sets soft and hard limit of this process; raising the hard one takes a capability."""
    _call("prlimit64", ctypes.c_long(0), ctypes.c_long(kind), struct.pack("=QQ", value, value), None)


def lower_limit(kind: int, value: int) -> None:
    """Sets soft and hard limit of this process, never above the present hard limit."""
    _call("prlimit64", ctypes.c_long(0), ctypes.c_long(kind), None, _limits)
    set_limit(kind, min(value, int(struct.unpack("=QQ", _limits.raw)[1])))


def loopback_up(socket_fd: int) -> None:
    """Brings up `lo` of the network namespace that the socket belongs to."""
    request = struct.pack("=16sH22x", b"lo", 0x41)  # IFF_UP | IFF_RUNNING
    _call("ioctl", ctypes.c_long(socket_fd), ctypes.c_long(0x8914), request)  # SIOCSIFFLAGS


def setgroups_none() -> None:
    _call("setgroups", ctypes.c_long(0), None)


def setresgid(gid: int) -> None:
    _call("setresgid", ctypes.c_ulong(gid), ctypes.c_ulong(gid), ctypes.c_ulong(gid))


def setresuid(uid: int) -> None:
    _call("setresuid", ctypes.c_ulong(uid), ctypes.c_ulong(uid), ctypes.c_ulong(uid))


_CAPABILITY_HEADER = struct.pack("=Ii", 0x20080522, 0)
_NO_CAPABILITIES = bytes(24)


def drop_capabilities() -> None:
    """Empties the ambient, effective, permitted and inheritable sets of the calling thread."""
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    _call("capset", _CAPABILITY_HEADER, _NO_CAPABILITIES)


def effective_capabilities() -> int:
    """Bit mask of the effective set of the calling thread."""
    data = ctypes.create_string_buffer(24)
    _call("capget", _CAPABILITY_HEADER, data)
    low, _, _, high, _, _ = struct.unpack("=IIIIII", data.raw)
    return int(low) | int(high) << 32


def drop_bounding_set() -> None:
    """No program started from here can ever gain a capability."""
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:
            if capability <= CAP_LAST:
                raise
            return


def pidfd_open(pid: int) -> int:
    return _call("pidfd_open", ctypes.c_long(pid), ctypes.c_long(0))


def pidfd_send_signal(pidfd: int, signal_number: int) -> None:
    _call("pidfd_send_signal", ctypes.c_long(pidfd), ctypes.c_long(signal_number), None, ctypes.c_long(0))


class Filter:
    """A seccomp program, laid out for the kernel once and installed by every sandbox.

    Args:
        program: an array of `struct sock_filter`.
    """

    def __init__(self, program: bytes) -> None:
        self._code = ctypes.create_string_buffer(program, len(program))
        # struct sock_fprog: 16-bit length, padding, pointer.
        self._request = struct.pack("=HHIQ", len(program) // 8, 0, 0, ctypes.addressof(self._code))

    def install(self) -> None:
        """Binds the calling process and its later children. no_new_privs must be set."""
        _call("seccomp", ctypes.c_long(SECCOMP_SET_MODE_FILTER), ctypes.c_long(0), self._request)


def landlock_abi() -> int:
    """The landlock version of the kernel; 0 when it has none."""
    try:
        return _call("landlock_create_ruleset", None, ctypes.c_long(0), ctypes.c_long(1))
    except OSError:
        return 0


def landlock_create_ruleset(attributes: bytes) -> int:
    return _call("landlock_create_ruleset", attributes, ctypes.c_long(len(attributes)), ctypes.c_long(0))


def landlock_add_path(ruleset: int, parent_fd: int, access: int) -> None:
    _call(
        "landlock_add_rule",
        ctypes.c_long(ruleset),
        ctypes.c_long(1),
        struct.pack("=Qi", access, parent_fd),
        ctypes.c_long(0),
    )


def landlock_restrict_self(ruleset: int) -> None:
    _call("landlock_restrict_self", ctypes.c_long(ruleset), ctypes.c_long(0))


def _cached_tid_address() -> int:
    """Address of glibc's copy of the main thread's id inside its thread control block, 0 when it cannot be found.

    A raw clone3 leaves that copy at the parent's value; recursive mutexes compare it. The kernel can rewrite it
    (CLONE_CHILD_SETTID) once we know where it is: the one 32-bit word of the block that equals gettid().
    """
    _libc.pthread_self.restype = ctypes.c_void_p
    block = _libc.pthread_self()
    tid = _call("gettid")
    words = (ctypes.c_int * 256).from_address(block)
    found = [index for index, word in enumerate(words) if word == tid]
    return block + 4 * found[0] if len(found) == 1 else 0


class Cloner:
    """Makes child processes in new namespaces, one system call each.

    One per fork server: the request is laid out in memory once.
    """

    def __init__(self, flags: int) -> None:
        self._flags = flags | CLONE_PIDFD
        self._tid_address = _cached_tid_address()
        if self._tid_address:
            self._flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID
        self._pidfd = ctypes.c_int(-1)
        self._before = ctypes.pythonapi.PyOS_BeforeFork
        self._after_parent = ctypes.pythonapi.PyOS_AfterFork_Parent
        self._after_child = ctypes.pythonapi.PyOS_AfterFork_Child

    def clone(self, cgroup_fd: int = -1) -> tuple[int, int]:
        """Returns (pid, pidfd) in the parent and (0, -1) in the child.

        Args:
            cgroup_fd: cgroup v2 directory that the child is born in; -1 for none.
        """
        # SECURITY: a child must be inside all its namespaces from its first instruction; one clone3 leaves no gap
        # in which it shares a namespace with another tenant.
        flags = self._flags | (CLONE_INTO_CGROUP if cgroup_fd >= 0 else 0)
        signal_on_exit = 17  # SIGCHLD on x86_64 and aarch64
        arguments = struct.pack(
            "=11Q",
            flags,
            ctypes.addressof(self._pidfd),
            self._tid_address,
            0,
            signal_on_exit,
            0,
            0,
            0,
            0,
            0,
            max(cgroup_fd, 0),
        )
        self._before()
        pid: int = _pysyscall(ctypes.c_long(NUMBERS["clone3"]), arguments, ctypes.c_long(len(arguments)))
        if pid == 0:
            self._after_child()
            return 0, -1
        number = ctypes.get_errno()
        self._after_parent()
        if pid < 0:
            raise OSError(number, "clone3: " + os.strerror(number))
        return pid, self._pidfd.value
