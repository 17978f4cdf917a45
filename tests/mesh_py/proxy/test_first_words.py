"""First bytes with a CONNECT, through a sidecar, whose client is a socket, and a waypoint, whose client is a tunnel."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import pytest

from hbone_py.aio.outbox import SMALL
from hbone_py.config import KIB
from tests.sidecar_py import sidecars
from tests.sidecar_py.doors import dialled_by_socks
from tests.support.certificates import TestRoot
from tests.support.processes import eventually
from tests.support.raw_peer import (
    Code,
    Kind,
    RawPeer,
    RawServer,
    client_tls,
    connect_request,
    data,
    goaway,
    raw_client,
    rst_stream,
    server_tls,
)
from tests.support.tcp_apps import payload, reset
from tests.waypoint_py import waypoints
from tests.waypoint_py.waypoints import PORT

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Mapping

    from tests.support.certificates import CertificateFiles

    Certificates = Mapping[str, CertificateFiles]

OFF = {"FIRST_BYTES_WITH_CONNECT": "false"}
HBONE = 15_008


class Caller(Protocol):
    """Who has bytes to say."""

    async def say(self, words: bytes) -> None: ...

    async def end(self) -> None: ...

    async def hear(self, count: int) -> bytes:
        """So many bytes, or what there is before the end; empty where there is no tunnel."""

    def leave(self) -> None:
        """By a reset."""


class Meeting(NamedTuple):
    """A caller, the proxy under test, and a pod whose proxy is none of ours."""

    caller: Caller
    proxy: Any
    there: RawServer


class SocketCaller:
    """A sidecar's application."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def say(self, words: bytes) -> None:
        self._writer.write(words)
        await self._writer.drain()

    async def end(self) -> None:
        self._writer.write_eof()

    async def hear(self, count: int) -> bytes:
        heard = b""
        with contextlib.suppress(ConnectionError):
            while len(heard) < count and (more := await self._reader.read(count - len(heard))):
                heard += more
        return heard

    def leave(self) -> None:
        if not self._writer.is_closing():
            reset(self._writer)


class TunnelCaller:
    """A waypoint's client, on stream 1 of a connection of its own."""

    def __init__(self, peer: RawPeer) -> None:
        self._peer = peer

    async def say(self, words: bytes) -> None:
        while words:
            await self._peer.send(data(1, words[:SMALL]))
            words = words[SMALL:]

    async def end(self) -> None:
        await self._peer.send(data(1, end=True))

    async def hear(self, count: int) -> bytes:
        heard = b""
        while len(heard) < count:
            got = await self._peer.expect(Kind.DATA, Kind.HEADERS, Kind.RST_STREAM, stream=1)
            heard += got.payload if got.kind == Kind.DATA else b""
            if got.is_last or got.kind == Kind.RST_STREAM:
                break
        return heard

    def leave(self) -> None:
        self._peer.abort()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    root = TestRoot(tmp_path_factory.mktemp("certificates") / "mesh")
    return {name: root.issue(name, f"default/{name}") for name in ("sleep", "httpbin", "waypoint")}


@contextlib.asynccontextmanager
async def by_sidecar(certificates: Certificates, flags: Mapping[str, str]) -> AsyncIterator[Meeting]:
    at = sidecars.Addresses()
    mesh = at.mesh(kind="protocol: HBONE", service=f", appProtocols: {{{PORT}: TCP}}")
    async with (
        RawServer(at.httpbin, HBONE, server_tls(certificates["httpbin"])) as there,
        sidecars.sidecar(mesh, "sleep", at.sleep, certificates["sleep"], INBOUND_PORT="0", **flags) as proxy,
    ):
        caller = SocketCaller(*await dialled_by_socks(proxy.socks, sidecars.HOST, PORT))
        try:
            yield Meeting(caller, proxy, there)
        finally:
            caller.leave()


@contextlib.asynccontextmanager
async def by_waypoint(certificates: Certificates, flags: Mapping[str, str]) -> AsyncIterator[Meeting]:
    at = waypoints.Addresses()
    async with (
        RawServer(at.v1, HBONE, server_tls(certificates["httpbin"])) as there,
        waypoints.waypoint(at.mesh(speaks="TCP"), at.waypoint, certificates["waypoint"], **flags) as proxy,
        raw_client(at.waypoint, HBONE, client_tls(certificates["sleep"])) as peer,
    ):
        await peer.request(connect_request(f"{at.vip}:{PORT}"))
        yield Meeting(TunnelCaller(peer), proxy, there)


ROLES = {"sidecar": by_sidecar, "waypoint": by_waypoint}
by_both = pytest.mark.parametrize("role", ROLES)


async def asked_with(peer: RawPeer, words: bytes) -> int:
    """The next CONNECT, and behind it, before any answer, these words; the stream's number."""
    asked = await peer.expect(Kind.HEADERS)
    assert await all_of(peer, asked.stream, len(words)) == words
    return asked.stream


async def all_of(peer: RawPeer, stream: int, count: int) -> bytes:
    came = b""
    while len(came) < count:
        came += (await peer.expect(Kind.DATA, stream=stream)).payload
    return came


async def accept(peer: RawPeer, stream: int) -> None:
    await peer.send(peer.headers(stream, [(":status", "200")]))


async def check_counted(proxy: Any, sent: int, received: int) -> None:
    await eventually(lambda: bool(proxy.lines), "logged")
    assert proxy.counted("istio_tcp_received_bytes_total") == sent
    assert proxy.counted("istio_tcp_sent_bytes_total") == received


@by_both
async def test_they_come_before_the_answer_and_once(certificates: Certificates, role: str) -> None:
    async with ROLES[role](certificates, {}) as (caller, proxy, there):
        await caller.say(b"hello")
        peer = await there.accept()
        stream = await asked_with(peer, b"hello")
        await caller.say(b" there")
        await peer.round_trip()
        await accept(peer, stream)
        await caller.end()
        assert await peer.read_stream(stream) == (b" there", None)
        await peer.send(data(stream, b"and hello to you", end=True))
        assert await caller.hear(16) == b"and hello to you"
        await check_counted(proxy, 11, 16)


@by_both
async def test_they_may_come_later_than_the_request(certificates: Certificates, role: str) -> None:
    async with ROLES[role](certificates, {}) as (caller, _, there):
        peer = await there.accept()
        asked = await peer.expect(Kind.HEADERS)
        await caller.say(b"hello")
        assert await all_of(peer, asked.stream, 5) == b"hello"
        await accept(peer, asked.stream)
        await caller.say(b" there")
        assert await all_of(peer, asked.stream, 6) == b" there"


@by_both
async def test_of_much_one_frame_goes_first(certificates: Certificates, role: str) -> None:
    said = payload(200 * KIB)
    async with ROLES[role](certificates, {}) as (caller, _, there):
        await caller.say(said)
        peer = await there.accept()
        stream = await asked_with(peer, said[:SMALL])
        await peer.round_trip()
        assert sum(len(got.payload) for got in peer.received if got.kind == Kind.DATA) == SMALL
        await accept(peer, stream)
        assert await all_of(peer, stream, len(said) - SMALL) == said[SMALL:]


@by_both
async def test_a_client_that_only_listens_is_served_as_ever(certificates: Certificates, role: str) -> None:
    async with ROLES[role](certificates, {}) as (caller, _, there):
        peer = await there.accept()
        asked = await peer.accept_tunnel()
        await peer.send(data(asked.stream, b"220 ready"))
        assert await caller.hear(9) == b"220 ready"
        assert all(got.kind != Kind.DATA for got in peer.received)


@by_both
@pytest.mark.parametrize("how", ["refused", "leaving"])
async def test_who_did_not_look_is_told_again(certificates: Certificates, role: str, how: str) -> None:
    """RFC 9113 8.7, 6.8: on the next stream, or on the next connection."""
    async with ROLES[role](certificates, {}) as (caller, proxy, there):
        await caller.say(b"hello")
        peer = await there.accept()
        stream = await asked_with(peer, b"hello")
        if how == "refused":
            await peer.send(rst_stream(stream, Code.REFUSED_STREAM))
        else:
            await peer.send(goaway(0))
            peer = await there.accept()
        again = await asked_with(peer, b"hello")
        await accept(peer, again)
        await caller.end()
        assert await peer.read_stream(again) == (b"", None)
        await peer.send(data(again, b"bye", end=True))
        assert await caller.hear(3) == b"bye"
        await check_counted(proxy, 5, 3)


@by_both
@pytest.mark.parametrize("answer", ["503", "reset", "gone"])
async def test_a_tunnel_that_never_was_has_carried_nothing(certificates: Certificates, role: str, answer: str) -> None:
    async with ROLES[role](certificates, {}) as (caller, proxy, there):
        await caller.say(b"hello")
        peer = await there.accept()
        stream = await asked_with(peer, b"hello")
        if answer == "503":
            await peer.send(peer.headers(stream, [(":status", "503")], end=True))
        elif answer == "reset":
            await peer.send(rst_stream(stream, Code.CANCEL))
        else:
            peer.abort()
        assert await caller.hear(1) == b""
        await check_counted(proxy, 0, 0)


@by_both
async def test_a_client_that_is_gone_meanwhile_resets_its_tunnel(certificates: Certificates, role: str) -> None:
    async with ROLES[role](certificates, {}) as (caller, _, there):
        await caller.say(b"hello")
        peer = await there.accept()
        stream = await asked_with(peer, b"hello")
        caller.leave()
        await accept(peer, stream)
        await peer.expect(Kind.RST_STREAM, stream=stream)


@by_both
async def test_switched_off_they_wait_for_the_answer(certificates: Certificates, role: str) -> None:
    async with ROLES[role](certificates, OFF) as (caller, _, there):
        await caller.say(b"hello")
        peer = await there.accept()
        asked = await peer.expect(Kind.HEADERS)
        await peer.round_trip()
        assert all(got.kind != Kind.DATA for got in peer.received)
        await accept(peer, asked.stream)
        assert await all_of(peer, asked.stream, 5) == b"hello"
