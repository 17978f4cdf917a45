"""What the relay leaves to C: an application's bytes read as a frame, and given to its socket, as Python does it."""

from __future__ import annotations

import socket
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hbone_py.aio.tcp import reset
from hbone_py.frames import HEADER, HEADER_SIZE
from tests.support.c_module import compiled
from tests.support.sockets import TIGHT, close_all, tcp_pair

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py.aio.reactor import Reactor
    from tests.support.peers import PeerMaker

    Read = Callable[[socket.socket, int, int, int], int]

SIZE = 1000
READS = st.lists(st.tuples(st.binary(max_size=300), st.integers(1, 200), st.integers(0, 2**31 - 1)), max_size=8)


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return compiled("hbone_py.aio._way", tmp_path_factory.mktemp("c"))


def framed(view: memoryview, sock: socket.socket, at: int, most: int, stream_id: int) -> int:
    """As `Relay` does it in Python."""
    count = sock.recv_into(view[at + HEADER_SIZE : at + HEADER_SIZE + most])
    HEADER.pack_into(view, at, count << 8, 0, stream_id)
    return count


def outcomes(read: Read, reads: list[tuple[bytes, int, int]], ends: bool) -> list[object]:
    """What comes of saying so much, and reading so much of it, one behind the other; then of two reads more."""
    inside, outside = tcp_pair()
    used, found = 0, list[object]()
    for place, (said, most, stream_id) in enumerate([*reads, (b"", SIZE, 1), (b"", SIZE, 1)]):
        if said:
            outside.sendall(said)
        if ends and place == len(reads):
            outside.shutdown(socket.SHUT_WR)
        try:
            count = read(inside, used, min(most, SIZE - HEADER_SIZE - used), stream_id)
        except BlockingIOError:
            found.append("nothing there")
        else:
            found.append(count)
            used += HEADER_SIZE + count if used + count < SIZE // 2 else 0
    return found


@settings(max_examples=60, deadline=None)
@given(reads=READS, ends=st.booleans())
@example(reads=[(b"x", 1, 2**31 - 1), (b"", 1, 1)], ends=False)
def test_frames_are_read_as_in_python(module: Any, reads: list[tuple[bytes, int, int]], ends: bool) -> None:
    by_python, by_c = bytearray(SIZE), bytearray(SIZE)
    expected = outcomes(partial(framed, memoryview(by_python)), reads, ends)
    assert outcomes(module.Frames(by_c).read, reads, ends) == expected
    assert by_c == by_python
    close_all()


def test_bytes_are_given_as_by_a_socket(module: Any) -> None:
    inside, outside = tcp_pair(TIGHT)
    frames = module.Frames(bytearray(HEADER_SIZE))
    assert frames.give(inside, memoryview(b"hello")[1:]) == 4
    assert outside.recv(10) == b"ello"
    most = 4 << 20
    given = frames.give(inside, bytes(most))
    assert 0 < given < most
    with pytest.raises(BlockingIOError):
        fill(frames, inside)
    reset(outside)
    with pytest.raises(ConnectionResetError):
        frames.give(inside, b"x")
    with pytest.raises(BrokenPipeError):
        frames.give(inside, b"x")
    inside.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        frames.give(inside, b"x")
    with pytest.raises(OSError, match="Bad file descriptor"):
        frames.read(inside, 0, 0, 1)


def fill(frames: Any, sock: socket.socket) -> None:
    """Until it refuses."""
    for _ in range(1000):
        frames.give(sock, bytes(1 << 20))


def test_frames_stay_in_their_buffer(module: Any) -> None:
    sock, buffer = tcp_pair()[0], bytearray(100)
    frames = module.Frames(buffer)
    reads: list[tuple[tuple[Any, ...], type[Exception]]] = [
        ((sock, 0, 92, 1), ValueError),
        ((sock, 92, 0, 1), ValueError),
        ((sock, -1, 1, 1), ValueError),
        ((sock, 0, -1, 1), ValueError),
        ((sock, 0, 1, 2**31), ValueError),
        ((sock, 0, "all", 1), TypeError),
        ((None, 0, 1, 1), TypeError),
        ((sock, 0, 1), TypeError),
    ]
    gives: list[tuple[tuple[Any, ...], type[Exception]]] = [
        ((sock, "text"), TypeError),
        ((None, b""), TypeError),
        ((sock,), TypeError),
    ]
    made: list[tuple[tuple[Any, ...], type[Exception]]] = [((bytearray(8),), ValueError), ((b"read only",), TypeError)]
    for call, calls in ((frames.read, reads), (frames.give, gives), (module.Frames, made)):
        for wrong, error in calls:
            with pytest.raises(error):
                call(*wrong)
    with pytest.raises(BufferError):
        buffer.append(0)
    del frames, call, calls, reads
    buffer.append(0)


async def test_a_relay_in_c(module: Any, peers: PeerMaker) -> None:
    """Small words, more of them than the outbox holds, bulk, and both ends."""
    for reactor in (peers.near, peers.far):
        give_frames(module, reactor)
    pair = peers.pair()
    await pair.up()
    relayed = await pair.relayed()
    for size in (1, 5000, 300_000):
        for speaker, hearer in ((relayed.near, relayed.far), (relayed.far, relayed.near)):
            words = bytes(range(250)) * (size // 250) + b"." * (size % 250)
            said = speaker.stuff(words)
            assert await hearer.hear(said) == words[:said]
    relayed.near.end()
    relayed.far.end()
    assert await relayed.over() == (None, None)


def give_frames(module: Any, reactor: Reactor) -> None:
    """As if it was compiled."""
    reactor.frames = module.Frames(reactor.outbox.buffer.view)
