"""Copies of requests: carried beside the original, and given up rather than holding it up."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from mesh_py.exchange.body import Body
from mesh_py.exchange.mirror import HELD, BodyCopy, Mirror
from mesh_py.exchange.replay import Replay
from mesh_py.http.errors import HttpError, UpstreamFailure, UpstreamOverflow
from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpRequest
from tests.mesh_py.exchange.servers import OK, Asked, asked

if TYPE_CHECKING:
    from mesh_py.exchange.upstream import Upstream
    from tests.support.tcp_apps import Connection


class Backend:
    """One server, which may be full."""

    def __init__(self, server: Asked, *, is_full: bool = False) -> None:
        self._server, self._is_full = server, is_full
        self.statuses: list[int | None] = []

    def choose(self, tried: frozenset[str]) -> str:
        return "server"

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


def post(authority: str = "web", length: int = 6) -> HttpRequest:
    return HttpRequest("POST", "/", authority, Headers([("content-length", str(length))]))


async def test_a_copy_is_filled_as_the_original_is_read() -> None:
    heard = bytearray()

    async def behaviour(connection: Connection) -> None:
        while not heard.endswith(b"onetwo"):
            heard.extend(await connection.receive())
        await connection.send(OK)

    async with asked(behaviour) as server:
        backend = Backend(server)
        mirror = Mirror(post("web:8080"), backend, has_body=True)
        original = Body(lambda _: None)
        replay = Replay(original, copies=[mirror.body])
        for piece in (b"one", b"two"):
            original.put(piece, 3)
            assert await replay.read() == piece
        replay.restart()
        assert [await replay.read(), await replay.read()] == [b"one", b"two"]  # copied once
        original.end()
        assert await replay.read() == b""
        await mirror.send()
    assert b"host: web-shadow:8080\r\n" in bytes(heard).lower()
    assert backend.statuses == [200]


@pytest.mark.parametrize(
    ("authority", "expected"), [("web", "web-shadow"), ("[::1]", "[::1]-shadow"), ("[::1]:80", "[::1]-shadow:80")]
)
async def test_what_it_says_behind_its_host(authority: str, expected: str) -> None:
    async with asked() as server:
        mirror = Mirror(post(authority), Backend(server), has_body=False)
    assert mirror._request.authority == expected


async def test_a_copy_that_is_too_slow_is_given_up() -> None:
    copy = BodyCopy()
    copy.take(bytes(HELD))
    copy.take(b"x")
    copy.take(b"more")
    with pytest.raises(UpstreamFailure):
        await copy.read()


async def test_its_failures_are_nobodys() -> None:
    async def leaving(connection: Connection) -> None:
        with contextlib.suppress(ConnectionError):
            await connection.receive()

    async with asked(leaving) as server:
        backend = Backend(server)
        await Mirror(HttpRequest("GET", "/", "web", Headers()), backend, has_body=False).send()
        assert backend.statuses == [None]
        full = Backend(server, is_full=True)
        await Mirror(post(), full, has_body=True).send()
        assert full.statuses == []
        cut = Mirror(post(), backend, has_body=True)
        cut.body.take(b"one")
        cut.body.fail(HttpError("the original is gone"))
        await cut.send()
        assert backend.statuses == [None, None]
