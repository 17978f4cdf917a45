"""The contract of every two-way stream: what `ByteStream` promises, asked of whatever claims to be one.

`HALF_CLOSEABLE` holds the questions; each takes a `StreamPair`, two streams that are joined, and is asked of every
kind of stream both ways round (`check_half_closeable_stream` asks them all).
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import pytest

from hbone_py.errors import HboneError
from tests.support.sockets import SECONDS, turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from hbone_py.aio.stream import ByteStream

    StreamPair = tuple[ByteStream, ByteStream]
    PairMaker = Callable[[], AbstractAsyncContextManager[StreamPair]]
    Question = Callable[[ByteStream, ByteStream], Awaitable[None]]

MEGABYTE = 1 << 20


async def check_half_closeable_stream(make_pair: PairMaker) -> None:
    """Ask everything, each question of a fresh pair, both ways round."""
    for question in HALF_CLOSEABLE:
        async with asyncio.timeout(SECONDS), make_pair() as (left, right):
            await question(left, right)
        async with asyncio.timeout(SECONDS), make_pair() as (left, right):
            await question(right, left)


# What the questions are made of -------------------------------------------------------------------------------------


async def read_exactly(stream: ByteStream, count: int) -> bytes:
    received = bytearray()
    while len(received) < count:
        chunk = await stream.receive(count - len(received))
        assert chunk, f"ended after {len(received)} of {count} bytes"
        received += chunk
    return bytes(received)


async def read_to_end(stream: ByteStream) -> bytes:
    received = bytearray()
    while chunk := await stream.receive():
        received += chunk
    return bytes(received)


async def send_for_ever(stream: ByteStream) -> None:
    while True:
        await stream.send(bytes(MEGABYTE))


async def fill(stream: ByteStream) -> asyncio.Task[None]:
    """Send until nobody takes any more: the task that then waits for room."""

    task = asyncio.get_running_loop().create_task(send_for_ever(stream))
    await turns(200)
    assert not task.done(), task.exception()
    return task


async def waiting(work: Awaitable[object]) -> asyncio.Task[object]:
    """The task of something that must wait."""

    async def do() -> object:
        return await work

    task = asyncio.get_running_loop().create_task(do())
    await turns()
    assert not task.done(), "it should wait"
    return task


async def cancelled(task: asyncio.Task[None] | asyncio.Task[object]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# The questions ------------------------------------------------------------------------------------------------------


async def bytes_go_both_ways(left: ByteStream, right: ByteStream) -> None:
    await left.send(b"question")
    assert await read_exactly(right, 8) == b"question"
    await right.send(memoryview(b"answer"))
    assert await read_exactly(left, 6) == b"answer"


async def no_more_is_received_than_was_asked_for(left: ByteStream, right: ByteStream) -> None:
    await left.send(b"0123456789")
    assert await right.receive(1) == b"0"
    assert len(await right.receive(4)) <= 4


async def sending_nothing_is_nothing(left: ByteStream, right: ByteStream) -> None:
    await left.send(b"")
    await left.send(b"x")
    assert await right.receive() == b"x"


async def each_direction_ends_by_itself(left: ByteStream, right: ByteStream) -> None:
    await left.send(b"question")
    await left.send_eof()
    assert await read_to_end(right) == b"question"
    await right.send(b"answer")
    await right.send_eof()
    assert await read_to_end(left) == b"answer"


async def an_end_stays_an_end(left: ByteStream, right: ByteStream) -> None:
    await left.send_eof()
    assert [await right.receive() for _ in range(3)] == [b""] * 3


async def an_end_said_twice_is_one_end(left: ByteStream, right: ByteStream) -> None:
    await left.send_eof()
    await left.send_eof()
    assert await right.receive() == b""
    await right.send(b"still here")
    assert await read_exactly(left, 10) == b"still here"


async def nothing_can_be_sent_after_the_end(left: ByteStream, right: ByteStream) -> None:
    await left.send_eof()
    with pytest.raises(HboneError):
        await left.send(b"one more thing")
    assert await right.receive() == b""


async def an_end_wakes_who_waits(left: ByteStream, right: ByteStream) -> None:
    receiving = await waiting(right.receive())
    await left.send_eof()
    assert await receiving == b""


async def a_close_delivers_what_was_sent(left: ByteStream, right: ByteStream) -> None:
    await left.send(b"the last word")
    await left.aclose()
    assert await read_to_end(right) == b"the last word"


async def who_sends_to_a_closed_stream_is_told(left: ByteStream, right: ByteStream) -> None:
    await left.aclose()
    with pytest.raises(HboneError):
        await send_for_ever(right)


async def a_close_wakes_its_own_receiver(left: ByteStream, right: ByteStream) -> None:
    receiving = await waiting(left.receive())
    await left.aclose()
    with pytest.raises(HboneError):
        await receiving


async def a_close_wakes_its_own_sender(left: ByteStream, right: ByteStream) -> None:
    sending = await fill(left)
    await left.aclose()
    with pytest.raises(HboneError):
        await sending


async def an_abort_wakes_its_own_receiver(left: ByteStream, right: ByteStream) -> None:
    receiving = await waiting(left.receive())
    left.abort()
    with pytest.raises(HboneError):
        await receiving


async def an_abort_wakes_its_own_sender(left: ByteStream, right: ByteStream) -> None:
    sending = await fill(left)
    left.abort()
    with pytest.raises(HboneError):
        await sending


async def an_abort_is_no_end(left: ByteStream, right: ByteStream) -> None:
    await left.send(b"half a sen")
    assert await read_exactly(right, 10) == b"half a sen"
    left.abort()
    with pytest.raises(HboneError):
        await right.receive()
    with pytest.raises(HboneError):
        await right.receive()


async def an_abort_is_no_end_for_who_is_sending(left: ByteStream, right: ByteStream) -> None:
    """The error is met by one direction and must be seen by the other all the same."""
    sending = await fill(right)
    receiving = await waiting(right.receive())
    left.abort()
    with pytest.raises(HboneError):
        await sending
    with pytest.raises(HboneError):
        await receiving


async def a_closed_stream_takes_no_more_work(left: ByteStream, right: ByteStream) -> None:
    await left.aclose()
    await left.aclose()
    left.abort()
    with pytest.raises(HboneError):
        await left.send(b"x")
    with pytest.raises(HboneError):
        await left.receive()


async def an_aborted_stream_takes_no_more_work(left: ByteStream, right: ByteStream) -> None:
    left.abort()
    left.abort()
    await left.aclose()
    with pytest.raises(HboneError):
        await left.send(b"x")
    with pytest.raises(HboneError):
        await left.receive()


async def a_cancelled_receive_loses_nothing(left: ByteStream, right: ByteStream) -> None:
    receiving = await waiting(right.receive())
    await cancelled(receiving)
    await left.send(b"hello")
    assert await read_exactly(right, 5) == b"hello"


async def a_cancelled_send_hurts_nobody_else(left: ByteStream, right: ByteStream) -> None:
    sending = await fill(left)
    await cancelled(sending)
    await right.send(b"hello")
    assert await read_exactly(left, 5) == b"hello"
    ending = await waiting_or_done(left.send_eof())
    assert set(await read_to_end(right)) == {0}
    await ending


async def waiting_or_done(work: Awaitable[None]) -> asyncio.Task[None]:
    async def do() -> None:
        await work

    return asyncio.get_running_loop().create_task(do())


async def a_sender_waits_for_its_reader(left: ByteStream, right: ByteStream) -> None:
    sending = await fill(left)
    for _ in range(4):
        await read_exactly(right, MEGABYTE)
    assert not sending.done()
    await cancelled(sending)


async def one_receiver_at_a_time(left: ByteStream, right: ByteStream) -> None:
    receiving = await waiting(right.receive())
    with pytest.raises(RuntimeError):
        await right.receive()
    await left.send(b"x")
    assert await receiving == b"x"


async def a_megabyte_each_way_in_pieces_of_any_size(left: ByteStream, right: ByteStream) -> None:
    dice = random.Random(7)
    said = {left: dice.randbytes(MEGABYTE), right: dice.randbytes(MEGABYTE)}

    async def speak(stream: ByteStream) -> None:
        position = 0
        while position < MEGABYTE:
            size = int(2 ** dice.uniform(0, 17))
            await stream.send(said[stream][position : position + size])
            position += size
        await stream.send_eof()

    async def hear(stream: ByteStream) -> bytes:
        heard = bytearray()
        while chunk := await stream.receive(int(2 ** dice.uniform(0, 17))):
            heard += chunk
        return bytes(heard)

    async with asyncio.TaskGroup() as group:
        group.create_task(speak(left))
        group.create_task(speak(right))
        heard = group.create_task(hear(left)), group.create_task(hear(right))
    assert heard[0].result() == said[right]
    assert heard[1].result() == said[left]


HALF_CLOSEABLE: list[Question] = [
    bytes_go_both_ways,
    no_more_is_received_than_was_asked_for,
    sending_nothing_is_nothing,
    each_direction_ends_by_itself,
    an_end_stays_an_end,
    an_end_said_twice_is_one_end,
    nothing_can_be_sent_after_the_end,
    an_end_wakes_who_waits,
    a_close_delivers_what_was_sent,
    who_sends_to_a_closed_stream_is_told,
    a_close_wakes_its_own_receiver,
    a_close_wakes_its_own_sender,
    an_abort_wakes_its_own_receiver,
    an_abort_wakes_its_own_sender,
    an_abort_is_no_end,
    an_abort_is_no_end_for_who_is_sending,
    a_closed_stream_takes_no_more_work,
    an_aborted_stream_takes_no_more_work,
    a_cancelled_receive_loses_nothing,
    a_cancelled_send_hurts_nobody_else,
    a_sender_waits_for_its_reader,
    one_receiver_at_a_time,
    a_megabyte_each_way_in_pieces_of_any_size,
]
