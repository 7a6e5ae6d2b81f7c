"""The minimal read-only root that a fork server and all its sandboxes live in.

Built once per fork server, in a mount namespace of its own, so nothing is ever mounted on the host.

What is inside: the host's /usr and C library (read-only, nosuid, nodev), the runtime at /var/lang, its packages at
/var/runtime, an /etc of a dozen generated files, and mount points. No /home, /root, /run, /sys, /var of the host.
"""

from __future__ import annotations

import os
import stat

from leastwise.guest import syscalls

_READ_ONLY = syscalls.MOUNT_ATTR_RDONLY | syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NODEV
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9)}
_DEVICE_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    # POSIX semaphores and shared memory: inside /tmp, so that one size limit holds for both.
    "shm": "/tmp/.shm",
}
_DIRECTORIES = ("etc", "etc/ssl", "etc/ssl/certs", "proc", "tmp", "dev", "opt", "var", "var/task", "var/tmp", "run")
_CERTIFICATES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
UID, GID = 993, 990
"""As in Lambda's own environments."""
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/sbin/nologin\nsbx_user:x:%d:%d::/tmp:/sbin/nologin\n" % (UID, GID),
    "etc/group": "root:x:0:\nsbx_user:x:%d:\n" % GID,
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/resolv.conf": "",
    "etc/host.conf": "multi on\n",
    "etc/localtime": "",
    "etc/ssl/openssl.cnf": "",
}
_WORK = "/tmp"  # only a place to mount on, in a namespace nobody else sees


class Root:
    """Takes hold of what goes into a root (while the host's paths can still be named), then builds and enters it."""

    def __init__(self, binds: dict[str, str], covers: list[str], *, privileged: bool) -> None:
        """Opens what goes in.

        Args:
            binds: path inside -> directory on the host.
            covers: directories inside (below a bind) that are hidden under an empty one.
            privileged: real root; otherwise root of an own user namespace.
        """
        self._privileged = privileged
        self._covers = covers
        self._links = {}
        self._trees = {}
        for path in _SYSTEM:
            if os.path.islink(path):
                self._links[path] = os.readlink(path)
            elif os.path.isdir(path):
                self._trees[path] = _hold(path)
        for inside, outside in binds.items():
            self._trees[inside] = _hold(outside)
        self._devices = {} if privileged else {name: syscalls.open_tree("/dev/" + name) for name in _DEVICES}
        # The kernel lets the owner of a user namespace mount a fresh /proc only while he can see a whole one.
        self._proc = -1 if privileged else syscalls.open_tree("/proc", _RECURSIVE_CLONE)
        self._certificates = _first_readable(_CERTIFICATES)
        self._timezone = _first_readable(("/usr/share/zoneinfo/UTC", "/usr/share/zoneinfo/Etc/UTC"))

    def enter(self) -> None:
        """Builds the tree on a fresh tmpfs, makes it the root, and lets go of the host's."""
        # SECURITY: private propagation, or mounts made here would appear on the host.
        syscalls.mount("", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE)
        syscalls.mount("tmpfs", _WORK, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=755,size=16m")
        self._write_tree()
        for name, target in self._links.items():
            os.symlink(target, _WORK + name)
        for inside, tree in self._trees.items():
            os.makedirs(_WORK + inside, exist_ok=True)
            syscalls.move_mount(tree, _WORK + inside)
            os.close(tree)
        for cover in self._covers:
            if os.path.isdir(_WORK + cover):
                empty = syscalls.new_mount("tmpfs", _READ_ONLY | syscalls.MOUNT_ATTR_NOEXEC, {"mode": "755"})
                syscalls.move_mount(empty, _WORK + cover)
                os.close(empty)
        self._make_devices()
        if self._proc >= 0:
            syscalls.move_mount(self._proc, _WORK + "/proc")
            os.close(self._proc)
        os.chdir(_WORK)
        # SECURITY: pivot_root and a detached old root leave no path back; chroot would.
        syscalls.pivot_root(".", ".")
        syscalls.umount(".", syscalls.MNT_DETACH)
        os.chdir("/")
        # SECURITY: a writable root would be shared by every later sandbox of this fork server.
        syscalls.mount(
            "",
            "/",
            "",
            syscalls.MS_REMOUNT | syscalls.MS_BIND | syscalls.MS_RDONLY | syscalls.MS_NOSUID | syscalls.MS_NODEV,
        )

    def _write_tree(self) -> None:
        os.umask(0o022)
        for directory in _DIRECTORIES:
            os.mkdir(os.path.join(_WORK, directory))
        for name, text in _FILES.items():
            _write(os.path.join(_WORK, name), text.encode())
        _write(os.path.join(_WORK, "etc/localtime"), self._timezone)
        _write(os.path.join(_WORK, "etc/ssl/certs/ca-certificates.crt"), self._certificates)
        os.symlink("certs/ca-certificates.crt", os.path.join(_WORK, "etc/ssl/cert.pem"))

    def _make_devices(self) -> None:
        options = {"mode": "755", "size": "64k", "nr_inodes": "32"}
        syscalls.mount("tmpfs", _WORK + "/dev", "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NOEXEC, _joined(options))
        # SECURITY: these five and no other: no disk, no /dev/kvm, no /dev/fuse, no terminal.
        for name, (major, minor) in _DEVICES.items():
            path = _WORK + "/dev/" + name
            if self._privileged:
                os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(major, minor))
                os.chmod(path, 0o666)
            else:
                _write(path, b"")
                syscalls.move_mount(self._devices[name], path)
                os.close(self._devices[name])
        for name, target in _DEVICE_LINKS.items():
            os.symlink(target, _WORK + "/dev/" + name)
        flags = syscalls.MS_REMOUNT | syscalls.MS_BIND | syscalls.MS_RDONLY | syscalls.MS_NOSUID | syscalls.MS_NOEXEC
        syscalls.mount("", _WORK + "/dev", "", flags)


_RECURSIVE_CLONE = syscalls.OPEN_TREE_CLONE | syscalls.OPEN_TREE_CLOEXEC | syscalls.AT_RECURSIVE


def _hold(path: str) -> int:
    """A detached, read-only copy of the mount at `path`, with what is mounted below it."""
    tree = syscalls.open_tree(path, _RECURSIVE_CLONE)
    # SECURITY: read-only, so that no environment changes the host's programs; nosuid, so that a set-user-id program
    # of the host gives nothing; nodev, so that a device node lying there opens nothing.
    syscalls.mount_setattr(tree, _READ_ONLY, recursive=True)
    return tree


def _first_readable(paths: tuple[str, ...]) -> bytes:
    for path in paths:
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError:
            continue
    return b""


def _write(path: str, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)


def _joined(options: dict[str, str]) -> str:
    return ",".join("%s=%s" % pair for pair in options.items())
