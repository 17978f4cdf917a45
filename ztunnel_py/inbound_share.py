"""Connections to 15008 spread evenly over workers: whoever accepts one hands it to the worker that holds fewest.

The kernel spreads them by a hash. That is even for many, but of HBONE connections there are few, each with the tunnels
of a whole node: two of them end at one worker every other time, and another worker has nothing to do for hours. So each
worker writes how many it holds where all can read it, and passes an accepted socket on through a UNIX socket, in the
folder that only we may enter. Where that fails, whoever has accepted it serves it. Each also writes when it was last at
work: who is stuck is given nothing, since what lies in its queue nobody else can serve.
"""

from __future__ import annotations

import array
import contextlib
import mmap
import os
import socket
import time
from typing import TYPE_CHECKING, Final

from hbone_py.aio.tcp import SocketAddress, canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from hbone_py.aio.reactor import Reactor

_GONE: Final = 2**64 - 1
"""The count of a worker that takes nothing: it has not come yet, drains, or cannot be reached."""
_TAKEN_PER_TURN = 64
BEAT: Final = 0.5
"""Seconds between two signs of life."""
_STUCK: Final = 2_000
"""Milliseconds without one."""


def holder_of_fewest(counts: Sequence[int], own: int) -> int:
    """Who serves the next connection: we, at `own`, unless somebody holds fewer."""
    fewest = min(counts)
    return own if counts[own] == fewest else list(counts).index(fewest)


def at_work(counts: Sequence[int], beats: Sequence[int], own: int, now: int) -> list[int]:
    """The counts, less those of workers whose last sign of life (milliseconds) is too long ago. We are at work."""
    return [
        count if number == own or now - beat < _STUCK else _GONE
        for number, (count, beat) in enumerate(zip(counts, beats, strict=True))
    ]


class InboundShare:
    """One worker's part in it. Counts are hints, written by several at once: each worker's next own word mends its."""

    def __init__(
        self,
        reactor: Reactor,
        folder: Path,
        number: int,
        workers: int,
        take: Callable[[socket.socket, SocketAddress, SocketAddress], None],
    ) -> None:
        """Worker `number` of so many. `take(socket, client, local)` serves what others have accepted.

        Raises OSError: nothing is left open.
        """
        self._reactor, self._folder, self._number, self._take = reactor, folder, number, take
        shared = _open_numbers(folder / "inbound", 2 * workers)
        self._counts, self._beats = shared[:workers], shared[workers:]
        shared.release()
        self._post = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            with contextlib.suppress(FileNotFoundError):
                self._address(number).unlink()  # of our predecessor, who was killed
            self._post.bind(bytes(self._address(number)))
        except OSError:
            self._post.close()
            self._release()
            raise
        self._has_left = False
        self._beat()
        reactor.register(self._post.fileno(), self)
        self.holds(0)

    def _beat(self) -> None:
        self._beats[self._number] = self._now
        self._timer = self._reactor.wheel.after(BEAT, self._beat)

    @property
    def _now(self) -> int:
        """Milliseconds of the machine's clock that only goes forward: all workers read the same."""
        return int(time.monotonic() * 1000)

    def _release(self) -> None:
        self._counts.release()
        self._beats.release()

    def holds(self, count: int) -> None:
        """So many connections are ours now."""
        if not self._has_left:
            self._counts[self._number] = count

    def give(self, sock: socket.socket) -> bool:
        """Hand a connection that we have accepted to whoever holds fewer; False: it is ours to serve."""
        counts, own = self._counts, self._number
        if self._has_left:
            return False
        other = holder_of_fewest(at_work(counts, self._beats, own, self._now), own)
        if other == own:
            return False
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [sock.fileno()]))]
        before = counts[other]
        counts[other] = min(before + 1, _GONE)  # before it is sent: what the other says once it has it is the last word
        try:
            self._post.sendmsg([b"\0"], rights, 0, bytes(self._address(other)))
        except BlockingIOError:  # it has a queue of them already
            counts[other] = before
            return False
        except OSError:
            counts[other] = _GONE
            return False
        sock.close()
        return True

    def leave(self) -> None:
        """Take and give nothing from now on."""
        if not self._has_left:
            self._counts[self._number] = _GONE
            self._has_left = True
            self._reactor.unregister(self._post.fileno())
            self._post.close()
            self._timer.cancel()
            self._release()

    def on_ready(self, mask: int) -> None:
        """Others have accepted something for us."""
        self.on_again()

    def on_again(self) -> None:
        """Take a bounded number, then let others have a turn."""
        for _ in range(_TAKEN_PER_TURN):
            if self._has_left:
                return
            try:
                _, descriptors, _, _ = socket.recv_fds(self._post, 1, 1, socket.MSG_CMSG_CLOEXEC)
            except BlockingIOError:
                return
            for descriptor in descriptors:
                self._serve(socket.socket(fileno=descriptor))
        self._reactor.again(self)

    def _serve(self, sock: socket.socket) -> None:
        try:
            sock.setblocking(False)
            client, local = canonical(sock.getpeername()), canonical(sock.getsockname())
        except OSError:  # the client has gone meanwhile
            sock.close()
            return
        self._take(sock, client, local)

    def abort(self, error: Exception) -> None:
        """One connection could not be served; go on with the next."""
        self._reactor.again(self)

    def _address(self, number: int) -> Path:
        return self._folder / f"inbound-{number}"


def _open_numbers(path: Path, count: int) -> memoryview:
    """So many numbers, shared by whoever opens the same path. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.ftruncate(descriptor, 8 * count)
        return memoryview(mmap.mmap(descriptor, 8 * count)).cast("Q")
    finally:
        os.close(descriptor)
