"""Bytes of a call, and how much of the window is given back for them."""

from __future__ import annotations

import asyncio

import pytest

from mesh_py.rpc.message_buffer import CutShort, MessageBuffer


class Call:
    """A buffer, and what it has acknowledged."""

    def __init__(self) -> None:
        self.acknowledged: list[int] = []
        self.buffer = MessageBuffer(self.acknowledged.append)

    def comes(self, data: bytes, padding: int = 0) -> None:
        self.buffer.add(data, len(data) + padding)


@pytest.fixture
def call():
    return Call()


async def test_what_nobody_reads_is_not_given_back(call):
    call.comes(b"abc")
    call.comes(b"defg")
    assert call.acknowledged == []
    assert await call.buffer.read(2) == b"ab"
    assert await call.buffer.read(3) == b"cde"
    assert call.acknowledged == [2, 3]
    assert call.buffer.unacked_size() == 2
    assert call.buffer.unacked_size() == 0


async def test_who_waits_for_more_gives_back_what_is_there(call):
    """A message may be larger than the window."""
    call.comes(b"abc")
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(call.buffer.read(6))
        await asyncio.sleep(0)
        assert call.acknowledged == [3]
        call.comes(b"de")
        await asyncio.sleep(0)
        assert call.acknowledged == [3, 2]
        call.comes(b"fgh")
    assert reading.result() == b"abcdef"
    assert call.acknowledged == [3, 2, 1]
    assert call.buffer.unacked_size() == 2


async def test_frames_without_content_are_nothing(call):
    call.comes(b"")
    call.comes(b"a")
    call.comes(b"", padding=10)
    call.comes(b"b")
    assert call.acknowledged == [10]
    assert await call.buffer.read(2) == b"ab"
    assert call.acknowledged == [10, 2]


async def test_the_end(call):
    call.comes(b"abc")
    call.buffer.eof()
    assert await call.buffer.read(3) == b"abc"
    assert await call.buffer.read(0) == b""
    assert await call.buffer.read(5) == b""


async def test_an_end_in_the_middle(call):
    call.comes(b"abc")
    call.buffer.eof()
    with pytest.raises(CutShort):
        await call.buffer.read(5)


async def test_an_end_that_is_waited_for(call):
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(call.buffer.read(5))
        await asyncio.sleep(0)
        call.buffer.eof()
    assert reading.result() == b""
