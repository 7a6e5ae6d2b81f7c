"""The layers of a sandbox, in the order they are put on. Two stages: generic (in the pool) and specialised.

Between the stages only code of this package runs in the sandbox. Every privilege is gone before the first line of the
function's code is read.
"""

from __future__ import annotations

import contextlib
import os
import socket

from leastwise.guest import landlock, rootfs, syscalls
from leastwise.guest.launch import write_id_maps
from leastwise.guest.wire import EGRESS_PORT, PLATFORM_PORT, RUNTIME_API_PORT

# SECURITY: one flag per kind of thing a neighbour must not be able to see or signal: processes, mounts, System V and
# POSIX queues, host name. The network namespace was made just before (`Network`); user and cgroup namespaces follow once
# their maps and cgroup are right.
NAMESPACES = syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS
DEFAULT_TMP_MIB = 512
_INODES_PER_MIB = 64
_REHEARSALS = 16
_TMP_FLAGS = syscalls.MS_NOSUID | syscalls.MS_NODEV

_NO_CORE = 1
"""SECURITY: with a limit of 0 the kernel still pipes a crash to the host's core handler, which runs as root outside; the one
value that it takes as "never" is 1."""
_LIMITS = (
    (syscalls.RLIMIT_NOFILE, 1024),
    (syscalls.RLIMIT_NPROC, 1024),
    (syscalls.RLIMIT_CORE, _NO_CORE),
    (syscalls.RLIMIT_MSGQUEUE, 0),
    (syscalls.RLIMIT_MEMLOCK, 64 * 1024),
    (syscalls.RLIMIT_RTPRIO, 0),
    (syscalls.RLIMIT_NICE, 20),
    (syscalls.RLIMIT_SIGPENDING, 1024),
)


class Layers:
    """What a fork server prepares once for all its sandboxes.

    Args:
        privileged: the fork server is real root; otherwise root of a user namespace with one user.
        filter_program: assembled seccomp filter.
    """

    def __init__(self, *, privileged: bool, filter_program: bytes) -> None:
        self.privileged = privileged
        self._filter = syscalls.Filter(filter_program)
        self._landlock_abi = syscalls.landlock_abi()
        self._ruleset = -1
        self._kernel_id = 0
        self._confined = False

    def rehearse(self) -> None:
        """In the fork server: runs the calls below as far as they change nothing, so that every sandbox finds them warm."""
        with contextlib.suppress(OSError):
            syscalls.set_limit(syscalls.RLIMIT_CORE, _NO_CORE)  # where the host's own limit is 0
        for _ in range(_REHEARSALS):
            os.close(syscalls.new_mount("tmpfs", syscalls.MOUNT_ATTR_NOSUID))
            syscalls.lower_limit(syscalls.RLIMIT_CORE, _NO_CORE)
            if self._landlock_abi:
                os.close(landlock.open_ruleset(self._landlock_abi))

    def isolate(self, kernel_id: int, cgroup_fds: list[int]) -> None:
        """Generic stage: everything that does not depend on the function.

        Args:
            kernel_id: uid and gid of the sandbox as the host sees them; not 0 when privileged.
            cgroup_fds: opened `tasks` files to join (cgroup v1).
        """
        self._kernel_id = kernel_id if self.privileged else 0
        for fd in cgroup_fds:
            # SECURITY: joined before anything is allocated, so that nothing escapes the limits. Writing 0 joins the
            # writer; writing a pid elsewhere would wait for a grace period.
            os.write(fd, b"0")
            os.close(fd)
        # SECURITY: hides the host's cgroup paths, which name accounts' neighbours.
        syscalls.unshare(syscalls.CLONE_NEWCGROUP)
        self._mount_proc()
        self._mount_tmp()
        if self.privileged:
            self._leave_root()
        if self._landlock_abi:
            self._ruleset = landlock.open_ruleset(self._landlock_abi)

    def mount_code(self, code_fd: int, tmp_mib: int) -> None:
        """The function's package at /var/task and its size of /tmp."""
        if code_fd >= 0:
            syscalls.move_mount(code_fd, "/var/task")
            os.close(code_fd)
        if tmp_mib != DEFAULT_TMP_MIB:
            flags = syscalls.MS_REMOUNT | _TMP_FLAGS
            syscalls.mount("", "/tmp", "", flags, _tmp_size(tmp_mib))
        os.chdir("/var/task")

    def confine(self, *, data_limit: int = 0) -> None:
        """Gives up every privilege of this process and its later children, for good. Once; then any code may run.

        Args:
            data_limit: bytes of private memory of one process, where no cgroup counts; 0 for none.
        """
        if self._confined:
            return
        self._confined = True
        # SECURITY: bounds what one process can take of the kernel (descriptors, processes, locked memory, queues).
        for kind, value in _LIMITS:
            syscalls.lower_limit(kind, value)
        if data_limit:
            syscalls.lower_limit(syscalls.RLIMIT_DATA, data_limit)
        # SECURITY: mount, network and process namespaces belong to a user namespace *above* the one entered here: no
        # capability that could ever be gained inside has any power over them.
        syscalls.unshare(syscalls.CLONE_NEWUSER)
        write_id_maps(rootfs.UID, self._kernel_id, rootfs.GID, self._kernel_id)
        syscalls.drop_capabilities()
        # SECURITY: set-user-id programs and file capabilities give nothing; also what seccomp asks for.
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        # Credentials have changed for the last time, which has cleared both.
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 9)
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)
        if self._ruleset >= 0:
            syscalls.landlock_restrict_self(self._ruleset)
            os.close(self._ruleset)
            self._ruleset = -1
        self._filter.install()

    def _mount_proc(self) -> None:
        # SECURITY: a /proc of this process namespace only; the one underneath (if any) shows the whole machine.
        attributes = syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV | syscalls.MOUNT_ATTR_NOEXEC
        proc = syscalls.new_mount("proc", attributes)
        if not self.privileged:
            syscalls.umount("/proc")
        syscalls.move_mount(proc, "/proc")
        os.close(proc)

    def _mount_tmp(self) -> None:
        # SECURITY: private, and bounded in bytes and inodes, so that no sandbox fills the machine.
        options = "mode=700,uid=%d,gid=%d,%s" % (self._kernel_id, self._kernel_id, _tmp_size(DEFAULT_TMP_MIB))
        syscalls.mount("tmpfs", "/tmp", "tmpfs", _TMP_FLAGS, options)
        os.mkdir("/tmp/.shm", 0o700)
        if self.privileged:
            os.chown("/tmp/.shm", self._kernel_id, self._kernel_id)

    def _leave_root(self) -> None:
        # SECURITY: real root could write /proc/sys even without capabilities. Capabilities are kept until `confine`.
        syscalls.prctl(syscalls.PR_SET_SECUREBITS, syscalls.SECBIT_NO_SETUID_FIXUP)
        syscalls.setresgid(self._kernel_id)
        syscalls.setresuid(self._kernel_id)
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 1)


def _tmp_size(tmp_mib: int) -> str:
    return "size=%dm,nr_inodes=%d" % (tmp_mib, tmp_mib * _INODES_PER_MIB)


class Network:
    """An empty network namespace, made one ahead: the fork server steps into it, its next child is born in it.

    MEASURED: making one and bringing it up costs 0.7 ms (2 cores, kernel 6.18, 2026-11), off the path of a cold start.

    SECURITY: every child gets its own; the fork server leaves for a fresh one before it makes another child, and holds no
    socket in any but the three listening ones it hands on.
    """

    def __init__(self) -> None:
        self._ready = False
        self._listeners: list[socket.socket] = []

    def prepare(self) -> None:
        """Steps into a fresh namespace with loopback up and the three listening sockets open. Idempotent."""
        if self._ready:
            return
        syscalls.unshare(syscalls.CLONE_NEWNET)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            syscalls.loopback_up(probe.fileno())
        for port in (RUNTIME_API_PORT, PLATFORM_PORT, EGRESS_PORT):
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            listener.listen(128)
            self._listeners.append(listener)
        self._ready = True

    def listeners(self) -> list[int]:
        """The listening sockets, for the child that was just born here. They belong to this namespace for ever."""
        return [listener.fileno() for listener in self._listeners]

    def used(self) -> None:
        """In the fork server: the namespace has its one child."""
        self._ready = False
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()
