"""An event loop whose one wait is the reactor's: a message then costs no way through the loop (decision 0006).

asyncio's own loop, but for its selector: one epoll holds the loop's descriptors and the data sockets, and the reactor
waits on it in the loop's place. It serves data sockets batch after batch, and goes back to the loop when a descriptor
of the loop's own is ready, when a timer is due, or when a handler has given the loop something to do.
"""

from __future__ import annotations

import asyncio
import selectors
from select import EPOLLIN, EPOLLOUT
from time import monotonic
from typing import TYPE_CHECKING, Protocol, TypeVarTuple, Unpack

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

_Ts = TypeVarTuple("_Ts")


class DataPath(Protocol):
    """What waits in the loop's place: a reactor."""

    is_called: bool
    """Set by the loop: it has something to do, so come back after this batch."""

    def wait(self, timeout: float) -> list[tuple[int, int]]:
        """Serve data sockets for at most so many seconds, negative for ever; what is ready that is not one of them."""


class SharedSelector(selectors.EpollSelector):
    """The loop's selector, on whose epoll a data path may wait too."""

    data_path: DataPath | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See `selectors.BaseSelector`."""
        if self.data_path is None:
            return super().select(timeout)
        keys = self.get_map()
        ready = []
        for fd, mask in self.data_path.wait(-1.0 if timeout is None else max(0.0, timeout)):
            key = keys.get(fd)
            if key is not None:
                # As in the standard library: an error is for readers and writers alike.
                events = (mask & ~EPOLLIN and selectors.EVENT_WRITE) | (mask & ~EPOLLOUT and selectors.EVENT_READ)
                ready.append((key, events & key.events))
        return ready


class ReactorLoop(asyncio.SelectorEventLoop):
    """All that asyncio's own loop is; the first reactor made on it (`Reactor.current()`) does its waiting."""

    time = monotonic  # the same clock, without a method around it

    def __init__(self) -> None:
        self._shared = SharedSelector()
        super().__init__(self._shared)

    def join(self, data_path: DataPath) -> int | None:
        """Let `data_path` wait in the loop's place; the epoll's descriptor, or None if somebody does already."""
        if self._shared.data_path is not None:
            return None
        self._shared.data_path = data_path
        return self._shared.fileno()

    def part(self, data_path: DataPath) -> None:
        """It waits no more."""
        if self._shared.data_path is data_path:
            self._shared.data_path = None

    def call_soon(
        self, callback: Callable[[Unpack[_Ts]], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """See `asyncio.AbstractEventLoop`."""
        if self._shared.data_path is not None:
            self._shared.data_path.is_called = True
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[Unpack[_Ts]], object], *args: *_Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """See `asyncio.AbstractEventLoop`."""
        if self._shared.data_path is not None:
            self._shared.data_path.is_called = True
        return super().call_at(when, callback, *args, context=context)
