"""What a reactor's tests register: pollables that note what they are told."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tests.support.sockets import tcp_pair

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from hbone_py.aio.reactor import Reactor


class Note:
    """A pollable that notes what it is told, and does what the test gave it to do."""

    def __init__(self, act: Callable[[], None] | None = None) -> None:
        self.edges: list[int] = []
        self.turns = 0
        self.aborts: list[Exception] = []
        self.act = act

    def on_ready(self, mask: int) -> None:
        self.edges.append(mask)
        if self.act is not None:
            self.act()

    def on_again(self) -> None:
        self.turns += 1
        if self.act is not None:
            self.act()

    def abort(self, error: Exception) -> None:
        self.aborts.append(error)

    @property
    def told(self) -> int:
        told = 0
        for mask in self.edges:
            told |= mask
        return told


@contextlib.contextmanager
def registered(reactor: Reactor, *pollables: Note, told: bool = False) -> Iterator[list[socket.socket]]:
    """A connection for each, its near end registered; the far ends. `told`: there is something to tell each at once."""
    pairs = [tcp_pair() for _ in pollables]
    for (near, _), pollable in zip(pairs, pollables, strict=True):
        reactor.register(near.fileno(), pollable, with_room=told)
    yield [far for _, far in pairs]
    for near, _ in pairs:
        if near.fileno() >= 0:
            reactor.unregister(near.fileno())
