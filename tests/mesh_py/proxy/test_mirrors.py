"""Copies of requests: carried beside the original, and given up rather than holding it up."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hbone_py.aio.reactor import Reactor
from mesh_py.exchange.body import Body
from mesh_py.http.errors import HttpError, UpstreamOverflow
from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpRequest
from mesh_py.process.background import background
from mesh_py.proxy.connections import Connections
from mesh_py.proxy.mirrors import HELD, MOST, Mirrors
from tests.mesh_py.exchange.servers import OK, Asked, asked
from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mesh_py.exchange.upstream import Upstream
    from tests.support.tcp_apps import Connection


class Backend:
    """One server, which may be full."""

    def __init__(self, server: Asked, *, is_full: bool = False) -> None:
        self._server, self._is_full = server, is_full
        self.statuses: list[int | None] = []

    def choose(self, tried: frozenset[str]) -> str:
        return "server"

    def lease_now(self, target: str) -> Upstream | None:
        return None

    async def lease(self, target: str) -> Upstream:
        return await self._server.lease()

    def begun(self, target: str) -> None:
        if self._is_full:
            raise UpstreamOverflow("too many")

    def ended(self, target: str, status: int | None) -> None:
        self.statuses.append(status)

    def may_retry(self) -> bool:
        return False

    def retried(self) -> None:
        raise AssertionError("a copy is not tried again")


@contextlib.asynccontextmanager
async def mirrors(most: int = 1000) -> AsyncIterator[tuple[Mirrors, Connections]]:
    connections = Connections(Reactor.current(), most)
    async with background(connections.serve()):
        await eventually(lambda: connections._tasks is not None, "served")
        yield Mirrors(connections), connections
        await eventually(lambda: len(connections) == 0, "copies over")


def exchange(authority: str = "web", body: Body | None = None) -> Any:
    """As much of an exchange as a copy is made of."""
    fields = [("content-length", "6")] if body is not None else []
    request = HttpRequest("POST" if fields else "GET", "/", authority, Headers(fields))
    return SimpleNamespace(request=request, body=body, has_body=body is not None)


async def test_a_copy_has_the_whole_body_whatever_becomes_of_the_original() -> None:
    heard = bytearray()

    async def behaviour(connection: Connection) -> None:
        while not heard.endswith(b"onetwo"):
            heard.extend(await connection.receive())
        await connection.send(OK)

    async with asked(behaviour) as server, mirrors() as (found, _):
        backend, original = Backend(server), Body(lambda _: None)
        original.put(b"one", 3)
        found.send(exchange("web:8080", original), backend, "copies")
        assert await original.read() == b"one"
        original.put(b"two", 3)
        original.end()
        await eventually(lambda: bool(backend.statuses), "answered")
    assert b"host: web-shadow:8080\r\n" in bytes(heard).lower()
    assert backend.statuses == [200]


@pytest.mark.parametrize(
    ("authority", "expected"),
    [
        ("web", "web-shadow"),
        ("web:80", "web-shadow:80"),
        ("10.0.0.1:80", "10.0.0.1:80"),
        ("10.0.0.1", "10.0.0.1"),
        ("[::1]:80", "[::1]:80"),
        ("[::1]", "[::1]"),
    ],
)
async def test_what_a_copy_says_behind_its_host(authority: str, expected: str) -> None:
    heard: list[bytes] = []

    async def behaviour(connection: Connection) -> None:
        heard.append(await connection.receive())
        await connection.send(OK)

    async with asked(behaviour) as server, mirrors() as (found, _):
        backend = Backend(server)
        found.send(exchange(authority), backend, "copies")
        await eventually(lambda: backend.statuses == [200], "answered")
    assert f"host: {expected}\r\n" in heard[0].decode().lower()


async def test_a_copy_that_falls_behind_is_given_up() -> None:
    async with asked() as server, mirrors() as (found, _):
        backend, original = Backend(server), Body(lambda _: None)
        found.send(exchange(body=original), backend, "copies")
        original.put(bytes(HELD), HELD)
        original.put(b"x", 1)
        await eventually(lambda: backend.statuses == [None], "given up")
        assert original.held == HELD + 1  # the original has it all


async def test_failures_are_nobodys() -> None:
    async def leaving(connection: Connection) -> None:
        with contextlib.suppress(ConnectionError):
            await connection.receive()

    async with asked(leaving) as server, mirrors() as (found, connections):
        backend, full = Backend(server), Backend(server, is_full=True)
        found.send(exchange(), backend, "gone")
        found.send(exchange(), full, "full")
        cut = Body(lambda _: None)
        found.send(exchange(body=cut), backend, "cut")
        cut.put(b"one", 3)
        cut.fail(HttpError("the original is gone"))
        await eventually(lambda: len(connections) == 0, "over")
        assert backend.statuses == [None, None]
        assert full.statuses == []


async def test_copies_are_bounded_and_tunnels_have_none() -> None:
    async with asked() as server:
        async with mirrors() as (found, connections):
            endless = Body(lambda _: None)
            for _ in range(MOST + 5):
                found.send(exchange(body=endless), Backend(server), "copies")
            assert len(connections) == MOST
            endless.fail(HttpError("over"))
        async with mirrors(most=0) as (found, connections):
            found.send(exchange(), Backend(server), "no room")
            assert len(connections) == 0
        async with mirrors() as (found, connections):
            tunnel = exchange()
            tunnel.request = HttpRequest("CONNECT", "", "web:80", Headers())
            found.send(tunnel, Backend(server), "a tunnel")
            assert len(connections) == 0
