"""Opens code directories as detached mounts: directly as root, through a helper as an ordinary user."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from pathlib import Path
from typing import Protocol

from leastwise.guest import mounter as guest_mounter
from leastwise.kernel.errors import Unavailable


class Mounter(Protocol):
    async def open_code(self, path: Path) -> int:
        """A read-only, nosuid, nodev, detached mount of a directory. The caller closes it.

        Raises:
            OSError: no such directory, or no right to mount.
        """
        ...

    def close(self) -> None: ...


class HostMounter:
    """The platform is root: three system calls of its own (30 us)."""

    async def open_code(self, path: Path) -> int:
        return guest_mounter.open_code(os.fspath(path))

    def close(self) -> None:
        return


class HelperMounter:
    """Asks the process that the launcher left behind in the fork server's user namespace."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connection: socket.socket) -> None:
        connection.settimeout(0)
        self._loop = loop
        self._connection = connection
        self._waiting: deque[asyncio.Future[int]] = deque()
        self._open = True
        loop.add_reader(connection.fileno(), self._on_readable)

    async def open_code(self, path: Path) -> int:
        if not self._open:
            message = "the mount helper is gone"
            raise Unavailable(message)
        answer: asyncio.Future[int] = self._loop.create_future()
        self._waiting.append(answer)  # answers come in the order of the questions
        await self._loop.sock_sendall(self._connection, os.fsencode(path))
        return await answer

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._connection.fileno())
        self._connection.close()
        while self._waiting:
            self._settle(Unavailable("the mount helper is gone"))

    def _settle(self, result: int | Exception) -> None:
        answer = self._waiting.popleft()
        if answer.done():
            if isinstance(result, int):
                os.close(result)
        elif isinstance(result, int):
            answer.set_result(result)
        else:
            answer.set_exception(result)

    def _on_readable(self) -> None:
        try:
            message, fds, _, _ = socket.recv_fds(self._connection, 64, 1)
        except BlockingIOError:
            return
        except OSError:
            message, fds = b"", []
        if not message:
            self.close()
        elif fds:
            self._settle(fds[0])
        else:
            number = int(message)
            self._settle(OSError(number, os.strerror(number)))
