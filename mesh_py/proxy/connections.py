"""The connections under way: each a guarded task with one parent, bounded in number, drained together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from hbone_py.aio.tcp import reset
from hbone_py.aio.tcp_stream import TcpStream

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, Coroutine, Iterator
    from typing import Any

    from hbone_py.aio.reactor import Reactor
    from mesh_py.exchange.downstream import Downstream

log = logging.getLogger("proxy")

_CUT_SECONDS = 1.0
_MOST_LEAVING = 32
"""Clients that have been told to leave and are still there."""


class Connections:
    """Those of one process. `serve` is the parent of all."""

    def __init__(self, reactor: Reactor, most: int) -> None:
        self._reactor, self._most = reactor, most
        self._tasks: asyncio.TaskGroup | None = None
        self._open: set[asyncio.Task[None]] = set()
        self._http: dict[Downstream, None] = {}  # in the order in which they came
        self._empty = asyncio.Event()
        self._is_draining = False
        self.refused = 0
        """Connections that were one too many."""

    def __len__(self) -> int:
        return len(self._open)

    @property
    def busy(self) -> int:
        """Clients with a request under way."""
        return sum(not downstream.is_idle for downstream in self._http)

    async def serve(self) -> None:
        """Until cancelled; then every connection is cut."""
        async with asyncio.TaskGroup() as self._tasks:
            await asyncio.get_running_loop().create_future()

    def begin(self, sock: socket.socket, serve: Callable[[TcpStream], Awaitable[None]]) -> None:
        """Serve an accepted socket, unless there are too many."""
        if len(self._open) >= self._most and not self._make_room():
            self.refused += 1
            reset(sock)
            return
        self.run(self._guarded(sock, serve))

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Count something as a connection until it is over."""
        assert self._tasks is not None, "connections are not served yet"
        task = self._tasks.create_task(work)
        self._open.add(task)
        task.add_done_callback(self._ended)

    def _make_room(self) -> bool:
        """Let the oldest client without a request go, for whom it costs nothing to stay. It has left in a moment."""
        if len(self._open) >= self._most + _MOST_LEAVING:
            return False
        idle = next((downstream for downstream in self._http if downstream.is_idle), None)
        if idle is None:
            return False
        del self._http[idle]
        idle.drain()
        return True

    @property
    def has_room(self) -> bool:
        """Whether one more may begin."""
        return len(self._open) < self._most and not self._is_draining

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._open.discard(task)
        if not self._open:
            self._empty.set()

    async def _guarded(self, sock: socket.socket, serve: Callable[[TcpStream], Awaitable[None]]) -> None:
        stream = TcpStream(self._reactor, sock)
        try:
            await serve(stream)
        except asyncio.CancelledError:
            stream.abort()
            raise
        except Exception:
            log.exception("! connection: unexpected error")
            stream.abort()

    @contextlib.contextmanager
    def draining(self, downstream: Downstream) -> Iterator[None]:
        """While inside, a drain is told to the client: `connection: close`, GOAWAY."""
        self._http[downstream] = None
        if self._is_draining:
            downstream.drain()
        try:
            yield
        finally:
            self._http.pop(downstream, None)

    async def drain(self, seconds: float) -> bool:
        """Let connections end, cut what is left; True if none was cut."""
        self._is_draining = True
        for downstream in list(self._http):
            downstream.drain()
        try:
            async with asyncio.timeout(seconds):
                while self._open:
                    self._empty.clear()
                    await self._empty.wait()
        except TimeoutError:
            log.warning("drain duration expired with pending connections, forcefully shutting down")
            await self.cut()
            return False
        return True

    async def cut(self) -> None:
        """End everything now."""
        left = list(self._open)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=_CUT_SECONDS)
