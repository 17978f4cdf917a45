"""A TCP stream before anybody knows what is spoken on it, and at its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hbone_py.aio.tcp_stream import TcpStream
from hbone_py.errors import HboneError
from tests.support.sockets import tcp_pair
from tests.support.streams import waiting

if TYPE_CHECKING:
    from hbone_py.aio.reactor import Reactor


async def test_a_look_takes_nothing(reactor: Reactor) -> None:
    near, far = (TcpStream(reactor, sock) for sock in tcp_pair())
    await near.send(b"GET ")
    assert await far.peek() == b"GET "
    looking = await waiting(far.peek(4))
    await near.send(b"/ HTTP/1.1")
    assert await looking == b"GET / HTTP/1.1"
    assert await far.receive() == b"GET / HTTP/1.1"
    await near.aclose()
    assert await far.peek() == b""
    await far.aclose()


async def test_a_look_ends_where_nothing_more_can_come(reactor: Reactor) -> None:
    near, far = (TcpStream(reactor, sock) for sock in tcp_pair())
    await near.send(b"PRI")
    looking = await waiting(far.peek(3))
    await near.send_eof()
    assert await looking == b"PRI"
    near.abort()
    await far.aclose()


async def test_a_socket_given_away_has_all_that_was_looked_at(reactor: Reactor) -> None:
    near, far = (TcpStream(reactor, sock) for sock in tcp_pair())
    await near.send(b"hello")
    await far.peek()
    again = TcpStream(reactor, far.release())
    assert await again.receive() == b"hello"
    with pytest.raises(HboneError):
        await far.send(b"x")
    await again.aclose()
    await near.aclose()


async def test_an_end_that_came_with_the_last_bytes_is_seen(reactor: Reactor) -> None:
    """A short read empties the kernel, and the edge of the end is the only word of it."""
    near, far = tcp_pair()
    stream = TcpStream(reactor, near)
    far.sendall(b"all")
    far.close()
    async with asyncio.timeout(10):
        assert [await stream.receive(), await stream.receive()] == [b"all", b""]
    await stream.aclose()
