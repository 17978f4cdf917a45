"""A body between who brings it and who reads it: pieces in order, an end or a failure, credit when it is read."""

from __future__ import annotations

import asyncio

import pytest

from mesh_py.exchange.body import Body
from mesh_py.http.errors import HttpError, UpstreamReset
from mesh_py.http.headers import Headers


async def test_pieces_then_the_end() -> None:
    credits: list[int] = []
    body = Body(credits.append)
    body.put(b"one", 5)
    body.put(b"two", 4)
    body.end(Headers([("x", "y")]))
    assert (body.held, body.size, body.is_whole) == (6, 6, True)
    assert [await body.read() for _ in range(4)] == [b"one", b"two", b"", b""]
    assert (body.held, credits) == (0, [5, 4])
    assert body.trailers == Headers([("x", "y")])


async def test_a_reader_waits() -> None:
    body = Body(lambda _: None)
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(body.read())
        await asyncio.sleep(0)
        assert not reading.done()
        body.put(b"late", 4)
    assert reading.result() == b"late"


async def test_what_came_before_a_failure_is_worth_nothing() -> None:
    body = Body(lambda _: None)
    body.put(b"half", 4)
    body.fail(UpstreamReset("gone"))
    for _ in range(2):
        with pytest.raises(UpstreamReset):
            await body.read()


async def test_a_failure_after_the_end_is_none() -> None:
    body = Body(lambda _: None)
    body.end()
    body.fail(UpstreamReset("gone"))
    assert await body.read() == b""


async def test_a_cancelled_read_loses_nothing() -> None:
    body = Body(lambda _: None)
    reading = asyncio.get_running_loop().create_task(body.read())
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    body.put(b"kept", 4)
    assert await body.read() == b"kept"


async def test_a_copy_has_what_came_and_what_comes() -> None:
    body = Body(lambda _: None)
    body.put(b"before", 6)
    copy = body.copy(100)
    body.put(b"after", 5)
    body.end()
    assert [await copy.read() for _ in range(3)] == [b"before", b"after", b""]
    assert [await body.read() for _ in range(3)] == [b"before", b"after", b""]


async def test_a_copy_that_falls_behind_fails_alone() -> None:
    body = Body(lambda _: None)
    copy = body.copy(10)
    body.put(b"x" * 11, 11)
    body.end()
    with pytest.raises(HttpError, match="fallen behind"):
        await copy.read()
    assert await body.read() == b"x" * 11


async def test_a_copy_of_a_broken_body_is_broken() -> None:
    body = Body(lambda _: None)
    copy = body.copy(10)
    body.fail(UpstreamReset("gone"))
    with pytest.raises(HttpError, match="gone"):
        await copy.read()
