"""Room in sockets: nobody is told of it who does not ask, and whoever asks is told, however often one is full."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from hbone_py.aio.reactor import BROKEN, CLOSING, READABLE, WRITABLE
from tests.support.peers import own_reactor
from tests.support.pollables import Note, registered
from tests.support.sockets import TIGHT, App, close_all, tcp_pair, turns, until

if TYPE_CHECKING:
    from hbone_py.aio.reactor import Reactor


async def test_a_new_socket_that_waits_for_room_is_told_of_it_once(reactor: Reactor) -> None:
    note = Note()
    near, _ = tcp_pair()
    reactor.register(near.fileno(), note, with_room=True)
    await until(lambda: note.edges, "the room told")
    reactor.await_room(near.fileno())  # it is reported already
    await turns()
    assert len(note.edges) == 1
    assert note.told & WRITABLE
    assert not note.told & (READABLE & ~BROKEN)
    reactor.unregister(near.fileno())


async def test_room_that_came_before_it_was_asked_for_is_told(reactor: Reactor) -> None:
    note = Note()
    with registered(reactor, note) as (far,):
        (near,) = reactor._sockets
        sock = socket.socket(fileno=near)
        filled = App(sock).stuff(bytes(4 << 20))
        while filled:
            filled -= App(far).take()
        await turns()
        assert note.edges == []
        reactor.await_room(near)
        await until(lambda: note.told & WRITABLE, "the room told")
        sock.detach()


async def test_the_next_socket_of_a_number_is_told_of_room_when_it_asks(reactor: Reactor) -> None:
    """The number of the one before was watched for room, and nobody has told us that it was closed."""
    before, _ = tcp_pair()
    number = before.fileno()
    reactor.register(number, Note(), with_room=True)
    before.close()
    one, other = socket.socketpair()
    assert number in (one.fileno(), other.fileno())
    note = Note()
    reactor.register(number, note)
    await turns()
    assert note.edges == []
    reactor.await_room(number)
    await until(lambda: note.told & WRITABLE, "the room told")
    reactor.unregister(number)
    one.close()
    other.close()


class Writer(Note):
    """Says `size` bytes as its socket takes them, in pieces; when one is refused it waits for an edge."""

    def __init__(self, reactor: Reactor, sock: socket.socket, size: int, piece: int) -> None:
        super().__init__()
        self.left, self.is_broken = size, False
        self._reactor, self._sock, self._piece = reactor, sock, piece

    def on_ready(self, mask: int) -> None:
        super().on_ready(mask)
        if mask & (WRITABLE | CLOSING):
            self.write()

    def write(self) -> None:
        while self.left and not self.is_broken:
            wanted = min(self.left, self._piece)
            try:
                sent = self._sock.send(bytes(wanted))
            except BlockingIOError:
                sent = 0
            except OSError:
                self.is_broken = True
                return
            self.left -= sent
            if sent < wanted:
                self._reactor.await_room(self._sock.fileno())
                return


@given(
    st.lists(st.tuples(st.integers(1, 300_000), st.sampled_from([1000, 16_384, 262_144])), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["read", "say", "turn", "reset"])), max_size=20),
)
@settings(max_examples=40, deadline=None)
def test_whoever_was_refused_is_told_of_room_or_of_the_end(
    sizes: list[tuple[int, int]], script: list[tuple[int, str]]
) -> None:
    """Sockets that are full again and again, read now and then, some reset: all is said, or the writer knows better."""

    async def run() -> None:
        with own_reactor() as reactor:
            pairs = [tcp_pair(TIGHT) for _ in sizes]
            writers = [
                Writer(reactor, near, size, piece) for (near, _), (size, piece) in zip(pairs, sizes, strict=True)
            ]
            for (near, _), writer in zip(pairs, writers, strict=True):
                reactor.register(near.fileno(), writer)
                writer.write()
            readers = {index: App(far) for index, (_, far) in enumerate(pairs)}
            for index, what in script:
                if what == "turn":
                    await turns(index)
                elif index in readers and what == "read":
                    readers[index].take()
                elif index in readers and what == "say":
                    readers[index].stuff(b"x")
                elif index in readers:
                    readers.pop(index).reset()

            def is_over() -> bool:
                for reader in readers.values():
                    reader.take()
                return all(not writer.left or writer.is_broken for writer in writers)

            await until(is_over, "all said, or known to be in vain")
            for near, _ in pairs:
                reactor.unregister(near.fileno())
            close_all()

    asyncio.run(run())
