"""What a codec says goes out in its order, whatever the kernel takes at a time, and nobody waits in order to write."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from hbone_py.errors import ConnectionLost
from mesh_py.exchange.wire import BACKLOG, MOST_BACKLOG, Wire

if TYPE_CHECKING:
    from collections.abc import Callable


class Kernel:
    """A stream that takes what it is allowed."""

    def __init__(self) -> None:
        self.on_room: Callable[[], None] | None = None
        self.room = 0
        self.taken = b""
        self.is_lost = self.is_aborted = False

    def allow(self, count: int) -> None:
        self.room += count
        assert self.on_room is not None
        self.on_room()

    def send_now(self, data: bytes) -> int:
        if self.is_lost:
            raise ConnectionLost("gone")
        count = min(self.room, len(data))
        self.room -= count
        self.taken += data[:count]
        return count

    def abort(self) -> None:
        self.is_aborted = True


class Speaker:
    """A codec that says what it is told."""

    def __init__(self) -> None:
        self.words: list[bytes] = []

    def data_to_send(self) -> list[bytes]:
        words, self.words = self.words, []
        return words


def joined() -> tuple[Wire, Kernel, Speaker]:
    kernel, speaker = Kernel(), Speaker()
    anything: Any = kernel
    return Wire(anything, speaker), kernel, speaker  # type: ignore[arg-type]


async def test_in_order_in_pieces_of_any_size() -> None:
    wire, kernel, speaker = joined()
    speaker.words = [b"one", b"two"]
    kernel.room = 4
    wire.touch()
    assert kernel.taken == b"onet"
    speaker.words = [b"three"]
    wire.touch()
    kernel.allow(3)
    assert kernel.taken == b"onetwot"
    kernel.allow(100)
    assert kernel.taken == b"onetwothree"


async def test_bodies_stop_while_much_waits() -> None:
    wire, kernel, speaker = joined()
    speaker.words = [bytes(BACKLOG)]
    wire.touch()
    assert not wire.has_room
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(wire.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        kernel.allow(1)
    assert wire.has_room


async def test_flushed_waits_for_the_last_byte() -> None:
    wire, kernel, speaker = joined()
    speaker.words = [b"last words"]
    wire.touch()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(wire.flushed())
        for _ in range(9):
            await asyncio.sleep(0)
            kernel.allow(1)
            assert not waiting.done()
        kernel.allow(1)


async def test_a_peer_that_never_reads_is_ended() -> None:
    wire, kernel, speaker = joined()
    speaker.words = [bytes(MOST_BACKLOG + 1)]
    wire.touch()
    assert kernel.is_aborted
    assert wire.is_broken
    await wire.room()
    await wire.flushed()


async def test_a_lost_connection_holds_nobody() -> None:
    wire, kernel, speaker = joined()
    speaker.words = [bytes(BACKLOG)]
    wire.touch()
    kernel.is_lost = True
    async with asyncio.TaskGroup() as group:
        group.create_task(wire.room())
        await asyncio.sleep(0)
        kernel.allow(0)
    assert wire.is_broken


async def test_whoever_waits_for_room_is_called_once_and_in_a_turn_of_its_own() -> None:
    wire, kernel, speaker = joined()
    speaker.words = [bytes(BACKLOG + 1)]
    wire.touch()
    called: list[bool] = []
    wire.when_room(lambda: called.append(wire.has_room))
    kernel.allow(0)
    await asyncio.sleep(0)
    assert called == []
    kernel.allow(2)
    assert called == []
    await asyncio.sleep(0)
    kernel.allow(2)
    await asyncio.sleep(0)
    assert called == [True]
