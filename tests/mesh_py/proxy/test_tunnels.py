"""15008 of sidecars and waypoints: who is let in, how a tunnel is answered, and how it all ends."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

import hbone_py
from hbone_py.errors import HboneError, StreamReset, TunnelRefused
from mesh_py.model.errors import PolicyDenied
from tests.support.certificates import TestRoot
from tests.support.peers import credentials_of
from tests.support.processes import eventually
from tests.support.raw_peer import Code, Kind, client_tls, data, raw_client
from tests.waypoint_py.waypoints import Addresses, waypoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from mesh_py.proxy.tunnels import Incoming, Serve
    from tests.support.certificates import CertificateFiles
    from tests.waypoint_py.waypoints import WaypointUnderTest

    Certificates = Mapping[str, CertificateFiles]

ASKED = "10.9.9.9:80"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    root = TestRoot(tmp_path_factory.mktemp("certificates") / "mesh")
    found = {name: root.issue(name, f"default/{name}") for name in ("sleep", "waypoint")}
    return found | {"alien": root.issue("alien", "default/sleep", trust_domain="other.example")}


class Scene:
    """A server of tunnels, in a waypoint's place."""

    def __init__(self, one: WaypointUnderTest, at: Addresses, certificates: Certificates) -> None:
        self.logged, self.server, self.address = one.logged, one.plane.tunnels, at.waypoint
        self.certificates = certificates

    async def connect(self, who: str = "sleep") -> hbone_py.TunnelStream:
        credentials = credentials_of(self.certificates[who])
        return await hbone_py.connect(self.address, authority=ASKED, credentials=credentials)


@contextlib.asynccontextmanager
async def scene(certificates: Certificates, serve: Serve, **flags: str) -> AsyncIterator[Scene]:
    at = Addresses()
    async with waypoint(at.mesh(), at.waypoint, certificates["waypoint"], **flags) as one:
        one.plane.tunnels.serve = serve
        yield Scene(one, at, certificates)


async def echo(tunnel: Incoming) -> None:
    tunnel.accept()
    while data := await tunnel.stream.receive():
        await tunnel.stream.send(bytes(data))
    await tunnel.stream.send_eof()


async def test_a_tunnel_says_who_asks_for_what(certificates: Certificates) -> None:
    seen: list[str] = []

    async def serve(tunnel: Incoming) -> None:
        seen.append(f"{tunnel.request.authority} {tunnel.identity} {tunnel.client[0]} {tunnel.local}")
        await echo(tunnel)

    async with scene(certificates, serve) as one:
        tunnel = await one.connect()
        await tunnel.send(b"hello")
        assert await tunnel.receive() == b"hello"
        await tunnel.aclose()
        sleep = "spiffe://cluster.local/ns/default/sa/sleep"
        assert seen == [f"{ASKED} {sleep} 127.0.0.1 {(one.address, 15008)}"]


async def test_before_the_200_an_error_is_a_status(certificates: Certificates) -> None:
    async def serve(tunnel: Incoming) -> None:
        raise PolicyDenied("nobody may")

    async with scene(certificates, serve) as one:
        with pytest.raises(TunnelRefused) as caught:
            await one.connect()
        assert caught.value.answered == PolicyDenied.status
        await one.logged(f"CONNECT {ASKED}: connection closed due to policy rejection: nobody may")


async def test_behind_the_200_an_error_is_a_reset(certificates: Certificates) -> None:
    async def serve(tunnel: Incoming) -> None:
        tunnel.accept()
        raise PolicyDenied("nobody may any more")

    async with scene(certificates, serve) as one:
        with pytest.raises(StreamReset):
            await (await one.connect()).receive()


async def test_a_bug_of_ours_ends_one_tunnel(certificates: Certificates, caplog: pytest.LogCaptureFixture) -> None:
    tunnels = 0

    async def serve(tunnel: Incoming) -> None:
        nonlocal tunnels
        tunnels += 1
        if tunnels == 1:
            raise ZeroDivisionError
        await echo(tunnel)

    async with scene(certificates, serve) as one:
        with pytest.raises(TunnelRefused) as caught:
            await one.connect()
        assert caught.value.answered == 503
        assert f"! CONNECT {ASKED}: unexpected error" in caplog.messages
        tunnel = await one.connect()
        await tunnel.send(b"the next one")
        assert await tunnel.receive() == b"the next one"
        await tunnel.aclose()


async def test_who_is_of_another_mesh_is_not_let_in(certificates: Certificates) -> None:
    async with scene(certificates, echo) as one:
        with pytest.raises(HboneError):
            await one.connect("alien")
        await one.logged("tls handshake error")
        await eventually(lambda: not one.server.clients, "forgotten")


async def say_nothing(address: str) -> None:
    """To whoever listens there, until he ends it."""
    reader, writer = await asyncio.open_connection(address, 15008)
    try:
        await reader.readexactly(1)
    finally:
        writer.close()


async def test_one_client_too_many_is_reset(certificates: Certificates) -> None:
    async with scene(certificates, echo, MAX_CONNECTIONS="1") as one:
        tunnel = await one.connect()
        with pytest.raises(ConnectionResetError):
            await say_nothing(one.address)
        await tunnel.send(b"unharmed")
        assert await tunnel.receive() == b"unharmed"
        await tunnel.aclose()


async def test_what_is_no_tunnel_is_answered_and_told(certificates: Certificates) -> None:
    async with (
        scene(certificates, echo) as one,
        raw_client(one.address, 15008, client_tls(certificates["sleep"])) as peer,
    ):
        asked = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")]
        stream = await peer.request(asked)
        answer = await peer.expect(Kind.HEADERS, stream=stream)
        assert answer.status == "400"
        await one.logged("expected method CONNECT, got GET")


async def test_a_drain_says_goaway_lets_tunnels_end_and_then_closes(certificates: Certificates) -> None:
    async with (
        scene(certificates, echo) as one,
        raw_client(one.address, 15008, client_tls(certificates["sleep"])) as peer,
    ):
        stream = await peer.open_tunnel(ASKED)
        one.server.drain()
        assert (await peer.expect(Kind.GOAWAY)).code == Code.NO_ERROR
        assert len(one.server.clients) == 1, "a tunnel is open"
        await peer.send(data(stream, end=True))
        await peer.expect_end()
        await eventually(lambda: not one.server.clients, "gone")


async def test_who_never_shakes_hands_keeps_nobody_out(certificates: Certificates) -> None:
    async with scene(certificates, echo, MAX_CONNECTIONS="2") as one:
        silent = [await asyncio.open_connection(one.address, 15008) for _ in range(2)]
        await eventually(lambda: len(one.server.clients) == 2, "both places taken")
        tunnel = await one.connect()
        assert await silent[0][0].read() == b""  # the first to come was the first to go
        second = await one.connect("waypoint")
        with pytest.raises(HboneError):  # and where all have proved who they are, who comes is one too many
            await one.connect()
        assert len(one.server.clients) == 2
        assert not one.server.strangers
        for connected in (tunnel, second):
            await connected.send(b"still there")
            assert await connected.receive() == b"still there"
            await connected.aclose()
        for _, writer in silent:
            writer.close()
