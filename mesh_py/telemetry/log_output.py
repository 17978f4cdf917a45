"""Writing to standard output without ever blocking, whatever it is."""

from __future__ import annotations

import os
import select
import socket
import stat

ATOMIC_WRITE = select.PIPE_BUF
"""A pipe takes up to this many bytes whole or not at all, and says so when asked (pipe(7))."""


class LogOutput:
    """A file descriptor as a non-blocking writer, unchanged for those who share it.

    O_NONBLOCK belongs to the open file, not to the descriptor: set on our standard output it would hit the shell
    that started us too. So a pipe or a terminal is opened anew by way of /proc, and a socket is asked per call.
    Regular files never block for a reader's sake.
    """

    def __init__(self, fd: int) -> None:
        mode = os.fstat(fd).st_mode
        self._socket = socket.socket(fileno=os.dup(fd)) if stat.S_ISSOCK(mode) else None
        self._asks_first = False
        if self._socket is not None:
            self.fd = self._socket.fileno()
        elif stat.S_ISREG(mode):
            self.fd = os.dup(fd)
        else:
            self.fd = self._open_again(fd)
        self.wants_small_pieces = stat.S_ISFIFO(mode) or self._asks_first

    def write(self, data: bytes) -> int:
        """How much was taken, 0 if the reader is behind. Raises OSError where nobody will ever read."""
        try:
            if self._socket is not None:
                return self._socket.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            if self._asks_first and not self.wait(0):
                return 0
            return os.write(self.fd, data[:ATOMIC_WRITE] if self._asks_first else data)
        except BlockingIOError:
            return 0

    def wait(self, seconds: float) -> bool:
        """Whether more is taken, or an error known, within that time."""
        poller = select.poll()
        poller.register(self.fd, select.POLLOUT)
        return bool(poller.poll(max(0.0, seconds) * 1000))

    def close(self) -> None:
        """Close our own descriptor; the one given stays open."""
        if self._socket is not None:
            self._socket.close()
        else:
            os.close(self.fd)

    def _open_again(self, fd: int) -> int:
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        try:
            return os.open(f"/proc/self/fd/{fd}", flags)
        except OSError:  # another user's, or its reader is gone: ask before each write instead
            self._asks_first = True
            return os.dup(fd)
