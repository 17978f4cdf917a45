"""A client's first bytes go with its CONNECT: what peers see that answer, refuse, put off or are never reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from hbone_py.aio.outbox import SMALL
from hbone_py.config import KIB
from mesh_py.model.authorization import Action, Match, MatchKind, Policy, Scope, StringMatch
from tests.interop.callers import read_exactly, read_to_end
from tests.support.pods import HBONE
from tests.support.raw_peer import (
    LARGE_WINDOWS,
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
from tests.support.tcp_apps import answer_at_end, digest, echo, payload, source

if TYPE_CHECKING:
    from tests.support.pods import Pod, Pods

OFF = {"FIRST_BYTES_WITH_CONNECT": "false"}


class Meeting(NamedTuple):
    """`sleep` calls a server that is no proxy of ours."""

    sleep: Pod
    there: RawServer
    destination: str


def meeting(pods: Pods, environment: dict[str, str] | None = None) -> Meeting:
    sleep, server = pods.add("sleep", environment=environment), pods.add("server", proxied=False)
    there = RawServer(server.ip, HBONE, server_tls(pods.authority.of("server")), LARGE_WINDOWS)
    return Meeting(sleep, there, f"{server.ip}:80")


async def asked_with(peer: RawPeer, said: bytes) -> int:
    """The next CONNECT, and behind it, before any answer, `said`; the stream's number."""
    asked = await peer.expect(Kind.HEADERS)
    came = b""
    while len(came) < len(said):
        came += (await peer.expect(Kind.DATA, stream=asked.stream)).payload
    assert came == said
    return asked.stream


async def accept(peer: RawPeer, stream: int) -> None:
    await peer.send(peer.headers(stream, [(":status", "200")]))


async def all_of(peer: RawPeer, stream: int, count: int) -> bytes:
    """So many bytes of the stream."""
    came = b""
    while len(came) < count:
        came += (await peer.expect(Kind.DATA, stream=stream)).payload
    return came


def payload_of(peer: RawPeer, stream: int) -> bytes:
    """All that has come on a stream."""
    return b"".join(got.payload for got in peer.received if got.kind == Kind.DATA and got.stream == stream)


async def test_they_come_before_the_answer_and_once(pods: Pods) -> None:
    met = meeting(pods)
    async with met.there, met.sleep.call(met.destination) as caller:
        await caller.send(b"hello")
        peer = await met.there.accept()
        stream = await asked_with(peer, b"hello")
        await accept(peer, stream)
        await caller.send(b" there")
        await caller.send_eof()
        assert await peer.read_stream(stream) == (b" there", None)
        await peer.send(data(stream, b"and hello to you", end=True))
        assert await read_to_end(caller) == (b"and hello to you", "eof")
    line = await met.sleep.its_proxy.line()
    assert (line["bytes_sent"], line["bytes_recv"]) == ("11", "16")
    assert "error" not in line


async def test_a_client_that_only_listens_is_served_as_ever(pods: Pods) -> None:
    met = meeting(pods)
    async with met.there, met.sleep.call(met.destination) as caller:
        peer = await met.there.accept()
        asked = await peer.accept_tunnel()
        await peer.send(data(asked.stream, b"220 ready"))
        assert await read_exactly(caller, 9) == b"220 ready"
        assert payload_of(peer, asked.stream) == b""


async def test_of_much_one_frame_goes_first(pods: Pods) -> None:
    met, said = meeting(pods), payload(300 * KIB)
    async with met.there, met.sleep.call(met.destination) as caller:
        await caller.send(said)
        peer = await met.there.accept()
        stream = await asked_with(peer, said[:SMALL])
        await peer.round_trip()
        assert payload_of(peer, stream) == said[:SMALL]
        await accept(peer, stream)
        assert await all_of(peer, stream, len(said) - SMALL) == said[SMALL:]


async def test_a_refused_stream_s_are_said_again_on_the_next_one(pods: Pods) -> None:
    """RFC 9113 section 8.7: nobody has looked at the first."""
    met = meeting(pods)
    async with met.there, met.sleep.call(met.destination) as caller:
        await caller.send(b"hello")
        peer = await met.there.accept()
        await peer.send(rst_stream(await asked_with(peer, b"hello"), Code.REFUSED_STREAM))
        again = await asked_with(peer, b"hello")
        await accept(peer, again)
        await caller.send_eof()
        assert await peer.read_stream(again) == (b"", None)
        assert payload_of(peer, again) == b"hello"


async def test_and_on_the_next_connection(pods: Pods) -> None:
    met = meeting(pods)
    async with met.there, met.sleep.call(met.destination) as caller:
        await caller.send(b"hello")
        old = await met.there.accept()
        await asked_with(old, b"hello")
        await old.send(goaway(0))
        peer = await met.there.accept()
        stream = await asked_with(peer, b"hello")
        await accept(peer, stream)
        await caller.send(b" there")
        assert await all_of(peer, stream, 6) == b" there"


@pytest.mark.parametrize(
    ("answer", "error", "flag"),
    [
        ("503", "http status: 503 Service Unavailable", "CONNECT"),
        ("reset", "h2 failed: stream reset by the peer: CANCEL", "H2_HANDSHAKE_FAILURE"),
        ("gone", "h2 failed: ", "H2_HANDSHAKE_FAILURE"),
    ],
)
async def test_a_tunnel_that_never_was_has_carried_nothing(pods: Pods, answer: str, error: str, flag: str) -> None:
    """The client hears what it hears without first bytes, and so do the log and the counters."""
    met = meeting(pods)
    async with met.there, met.sleep.call(met.destination) as caller:
        await caller.send(b"hello")
        peer = await met.there.accept()
        stream = await asked_with(peer, b"hello")
        match answer:
            case "503":
                await peer.send(peer.headers(stream, [(":status", "503")], end=True))
            case "reset":
                await peer.send(rst_stream(stream, Code.CANCEL))
            case _:
                peer.abort()
        assert await read_to_end(caller) == (b"", "reset")
    line = await met.sleep.its_proxy.line()
    assert line["error"].startswith(error)
    assert (line["bytes_sent"], line["bytes_recv"]) == ("0", "0")
    assert met.sleep.its_proxy.total("istio_tcp_connections_failed_total", response_flags=flag) == 1
    assert met.sleep.its_proxy.total("istio_tcp_received_bytes_total") == 0


async def test_a_client_that_is_gone_meanwhile_resets_its_tunnel(pods: Pods) -> None:
    met = meeting(pods)
    async with met.there:
        async with met.sleep.call(met.destination) as caller:
            await caller.send(b"hello")
            peer = await met.there.accept()
            stream = await asked_with(peer, b"hello")
            caller.abort()
        await accept(peer, stream)
        assert (await peer.expect(Kind.RST_STREAM, stream=stream)).code == Code.CONNECT_ERROR
    assert "application connection broke" in (await met.sleep.its_proxy.line())["error"]


async def test_switched_off_they_wait_for_the_answer(pods: Pods) -> None:
    met = meeting(pods, OFF)
    async with met.there, met.sleep.call(met.destination) as caller:
        await caller.send(b"hello")
        peer = await met.there.accept()
        asked = await peer.expect(Kind.HEADERS)
        await peer.round_trip()
        assert payload_of(peer, asked.stream) == b""
        await accept(peer, asked.stream)
        assert await all_of(peer, asked.stream, 5) == b"hello"


# What our own inbound side does with them ---------------------------------------------------------------------------


async def test_an_application_has_them_once_it_is_reached(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    said = payload(100 * KIB)
    async with server.app(answer_at_end) as app, sleep.call(app.authority) as caller:
        await caller.send(said)
        await caller.send_eof()
        assert await read_to_end(caller) == (digest(said).encode(), "eof")
    assert (await sleep.its_proxy.line())["bytes_sent"] == str(len(said))
    assert (await server.its_proxy.line())["bytes_recv"] == str(len(said))


async def test_who_may_not_in_reaches_no_application_with_them(pods: Pods) -> None:
    """And what they took of the connection's window is given back: others go on over it."""
    sleep, server = pods.add("sleep"), pods.add("server")
    match = Match(principals=(StringMatch(MatchKind.EXACT, "cluster.local/ns/default/sa/sleep"),))
    pods.tell(Policy("no-sleep", "default", Scope.NAMESPACE, Action.DENY, ((((match,),)),)))
    async with server.app(echo) as app:
        async with raw_client(server.ip, HBONE, client_tls(pods.authority.of("sleep"))) as peer:
            request = peer.headers(1, connect_request(app.authority))
            await peer.send(request, data(1, b"let me in"), data(1, b" please"))
            answer = await peer.expect(Kind.HEADERS, stream=1)
            assert (answer.status, answer.is_last) == ("401", True)
            await peer.send(data(1, b"!"))
            await peer.round_trip()
            assert all(got.kind != Kind.GOAWAY for got in peer.received)
        async with sleep.call(app.authority) as caller:
            await caller.send(b"let me in")
            assert await read_to_end(caller) == (b"", "reset")
        line = await server.its_proxy.line()
        assert app.connections == []
    assert (line["bytes_sent"], line["bytes_recv"]) == ("0", "0")


async def test_an_application_that_speaks_first_is_heard_first(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    async with server.app(source(b"220 ready")) as app, sleep.call(app.authority) as caller:
        assert await read_exactly(caller, 9) == b"220 ready"
