"""The one way log lines leave the process: a bounded queue that never blocks the event loop.

Whoever reads our output may stop reading. Then lines wait up to a bound; beyond it they are dropped and counted, and
a line says so once there is room again.

Lines about connections and requests come by the thousand a second. Each by itself would cost as much to write as to
make, so those that follow another at once are gathered for `GATHERED` seconds. A process that is killed (SIGKILL) takes
as many of them with it; one that ends in any other way does not.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from mesh_py.telemetry.log_output import ATOMIC_WRITE, LogOutput

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

DEFAULT_BOUND = 4 * 1024 * 1024
"""Bytes that may wait for a reader: some six thousand access lines."""
GATHERED = 0.02
"""Seconds that a line waits for others where one was written just before."""
_MANY = 64 * 1024
"""Gathered bytes that wait no longer."""


class LogSink:
    """Lines to a file descriptor. Without an event loop each is written at once; `attach` gives it one.

    `lost` makes the line that tells how many were dropped. Any thread may call `write`.
    """

    def __init__(
        self,
        fd: int = 1,
        *,
        bound: int = DEFAULT_BOUND,
        lost: Callable[[int], str] = "{} log lines lost\n".format,
    ) -> None:
        self.dropped = 0
        """Lines that were lost since the start."""
        self.lost = lost
        self._output = LogOutput(fd)
        self._bound = bound
        self._lines: deque[bytes] = deque()
        self._waiting = 0
        self._unreported = 0
        self._rest = b""
        self._scheduled = False
        self._gathering: asyncio.TimerHandle | None = None  # till then lines that may wait do
        self._soon: Callable[[Callable[[], None]], object]
        self._blocked = False
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.get_ident()

    def attach(
        self, loop: asyncio.AbstractEventLoop, soon: Callable[[Callable[[], None]], object] | None = None
    ) -> None:
        """From now on lines are written together: once per turn of `loop`, which runs on the calling thread, or when
        `soon` calls what it is given."""
        self._loop = loop
        self._soon = soon or loop.call_soon
        self._thread = threading.get_ident()
        atexit.register(self.close)

    def gather(self, line: str) -> None:
        """Queue one line of many, on the thread of the loop. After a quiet time it is written as by `write`; those that
        follow wait, `GATHERED` seconds at most, and are written together."""
        if self._gathering is None or self._waiting > _MANY:
            self.write(line)
            self._begin_gathering()
        else:
            self._queue(line)

    def _begin_gathering(self) -> None:
        if self._gathering is None and self._loop is not None:
            self._gathering = self._loop.call_later(GATHERED, self._gathered)

    def _gathered(self) -> None:
        """Where lines have come meanwhile, more will."""
        self._gathering = None
        if self._lines:
            self._begin_gathering()
            self.flush()

    def write(self, line: str) -> None:
        """Queue one line, its newline included; dropped and counted if too much is waiting."""
        loop = self._loop
        if self._closed:
            self.dropped += 1
        elif loop is None:
            self._queue(line)
            self._write_out()
        elif threading.get_ident() != self._thread:
            loop.call_soon_threadsafe(self.write, line)
        else:
            self._queue(line)
            if not self._scheduled:
                self._scheduled = True
                self._soon(self.flush)

    def flush(self) -> None:
        """Write what is waiting, as far as the reader takes it without blocking us."""
        self._scheduled = False
        if self._blocked or self._closed:
            return
        self._write_out()
        if self._rest and self._loop is not None:
            self._blocked = True
            self._loop.add_writer(self._output.fd, self._unblock)

    def close(self, patience: float = 1.0) -> None:
        """Leave the loop and write what is left; a slow reader gets `patience` seconds for it.

        Lines after that are dropped. A second call does nothing.
        """
        if self._closed:
            return
        atexit.unregister(self.close)
        self._unwatch()
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        self._loop = None
        deadline = time.monotonic() + patience
        self._write_out()
        while self._rest and self._output.wait(deadline - time.monotonic()):
            self._write_out()
        self._closed = True
        self._output.close()

    def _queue(self, line: str) -> None:
        data = line.encode("utf-8", "backslashreplace")
        if self._waiting + len(data) > self._bound:
            self._count_lost(1)
            return
        self._waiting += len(data)
        self._lines.append(data)

    def _write_out(self) -> None:
        """Write until all is out or the reader refuses; what was refused of a piece stays in `_rest`."""
        try:
            while piece := self._rest or self._next_piece():
                self._rest = piece
                self._rest = piece[self._output.write(piece) :]
                if self._rest:
                    return
        except OSError:  # the reader is gone for good, or the disk is full
            self._count_lost(self._rest.count(b"\n"))
            self._rest = b""

    def _next_piece(self) -> bytes:
        """Whole lines: all there are, or what a pipe takes at once, so that workers' lines do not mix."""
        if self._unreported:
            self._put_first(self.lost(self._unreported))
            self._unreported = 0
        if not self._output.wants_small_pieces or self._waiting <= ATOMIC_WRITE:
            piece = b"".join(self._lines)
            self._lines.clear()
            self._waiting = 0
            return piece
        return self._small_piece()

    def _small_piece(self) -> bytes:
        piece = [self._lines.popleft()]
        size = len(piece[0])
        while self._lines and size + len(self._lines[0]) <= ATOMIC_WRITE:
            size += len(self._lines[0])
            piece.append(self._lines.popleft())
        self._waiting -= size
        return b"".join(piece)

    def _put_first(self, line: str) -> None:
        data = line.encode()
        self._waiting += len(data)
        self._lines.appendleft(data)

    def _count_lost(self, lines: int) -> None:
        self.dropped += lines
        self._unreported += lines

    def _unblock(self) -> None:
        self._unwatch()
        self.flush()

    def _unwatch(self) -> None:
        if self._blocked and self._loop is not None and not self._loop.is_closed():
            self._loop.remove_writer(self._output.fd)
        self._blocked = False
