"""An outbound tunnel against peers of bytes: what is sent, what is asked again, what is given up."""

from __future__ import annotations

import contextlib
import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from hbone_py.config import KIB, MIB
from mesh_py.model.workload import Locality
from tests.interop.callers import read_exactly, read_to_end
from tests.support import world
from tests.support.pods import HBONE
from tests.support.processes import eventually, loopback_address
from tests.support.raw_peer import (
    LARGE_WINDOWS,
    Code,
    Kind,
    RawPeer,
    RawServer,
    Setting,
    data,
    goaway,
    rst_stream,
    server_tls,
    settings,
)
from tests.support.require import require_tool
from tests.support.tcp_apps import echo, source

if TYPE_CHECKING:
    from tests.interop.callers import TcpCaller
    from tests.support.pods import Pod, Pods

FAILED = "istio_tcp_connections_failed_total"


class Meeting:
    """`sleep` calls a server that is no proxy of ours."""

    def __init__(self, pods: Pods, opening: bytes = LARGE_WINDOWS, **sleep: object) -> None:
        self.sleep: Pod = pods.add("sleep", **sleep)  # type: ignore[arg-type]
        self.server: Pod = pods.add("server", proxied=False)
        self.there = RawServer(self.server.ip, HBONE, server_tls(pods.authority.of("server")), opening)
        self.destination = f"{self.server.ip}:80"


async def test_the_request_is_a_bare_connect_with_three_headers(pods: Pods) -> None:
    """hbone-dataplane 1.4; nothing that HTTP clients add by habit."""
    meeting = Meeting(
        pods,
        cluster_id="Kubernetes",
        workload_name="deploy",
        workload_type="cronjob",
        canonical_name="app",
        canonical_revision="v1",
        locality=Locality("east", "east-1"),
    )
    async with meeting.there, meeting.sleep.call(meeting.destination) as caller:
        peer = await meeting.there.accept()
        asked = await peer.expect(Kind.HEADERS)
        headers = dict(asked.headers)
        assert not asked.is_last
        caller.abort()
    source = (await meeting.sleep.its_proxy.line(message="connection opened"))["src.addr"]
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-00", headers.pop("traceparent"))
    assert headers == {
        ":method": "CONNECT",
        ":authority": meeting.destination,
        "baggage": "k8s.cluster.name=Kubernetes,k8s.namespace.name=default,k8s.cronjob.name=deploy,service.name=app,"
        "service.version=v1,cloud.region=east,cloud.availability_zone=east-1",
        "forwarded": f'for="{source}"',
    }


async def test_the_service_that_was_meant_is_named(pods: Pods) -> None:
    meeting, vip = Meeting(pods), loopback_address()
    pods.change("server", services={world.service("shop.example").key: {80: 80}})
    pods.tell(world.service("shop.example", vip))
    async with meeting.there, meeting.sleep.call(f"{vip}:80"):
        peer = await meeting.there.accept()
        assert dict((await peer.expect(Kind.HEADERS)).headers)["forwarded"].endswith(";host=shop.example")


async def answered(peer: RawPeer, caller: TcpCaller) -> None:
    """The next CONNECT becomes a tunnel that says hello."""
    asked = await peer.accept_tunnel()
    await peer.send(data(asked.stream, b"hello", end=True))
    assert await read_exactly(caller, 5) == b"hello"


async def test_a_refused_stream_is_asked_for_again(pods: Pods) -> None:
    """REFUSED_STREAM says that nobody has looked at the request (RFC 9113 section 8.7)."""
    meeting = Meeting(pods)
    async with meeting.there, meeting.sleep.call(meeting.destination) as caller:
        peer = await meeting.there.accept()
        first = await peer.expect(Kind.HEADERS)
        await peer.send(rst_stream(first.stream, Code.REFUSED_STREAM))
        await answered(peer, caller)


async def test_and_not_for_ever(pods: Pods) -> None:
    meeting = Meeting(pods)
    async with meeting.there, meeting.sleep.call(meeting.destination) as caller:
        peer = await meeting.there.accept()
        for _ in range(2):
            await peer.send(rst_stream((await peer.expect(Kind.HEADERS)).stream, Code.REFUSED_STREAM))
        assert await read_to_end(caller) == (b"", "reset")
    assert (await meeting.sleep.its_proxy.line())["error"] == "h2 failed: stream reset by the peer: REFUSED_STREAM"


async def test_a_request_that_a_goaway_left_out_goes_to_a_new_connection(pods: Pods) -> None:
    meeting = Meeting(pods)
    async with meeting.there, meeting.sleep.call(meeting.destination) as caller:
        old = await meeting.there.accept()
        await old.expect(Kind.HEADERS)
        await old.send(goaway(0))
        await answered(await meeting.there.accept(), caller)


@pytest.mark.parametrize("code", [Code.INTERNAL_ERROR, Code.CANCEL, Code.PROTOCOL_ERROR])
async def test_any_other_reset_is_a_failure(pods: Pods, code: Code) -> None:
    meeting = Meeting(pods)
    async with meeting.there, meeting.sleep.call(meeting.destination) as caller:
        peer = await meeting.there.accept()
        await peer.send(rst_stream((await peer.expect(Kind.HEADERS)).stream, code))
        assert await read_to_end(caller) == (b"", "reset")
    assert (await meeting.sleep.its_proxy.line())["error"] == f"h2 failed: stream reset by the peer: {code.name}"
    assert meeting.sleep.its_proxy.total(FAILED, response_flags="H2_HANDSHAKE_FAILURE") == 1


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("401", "401 Unauthorized"),
        ("403", "403 Forbidden"),
        ("503", "503 Service Unavailable"),
        ("204", "204 No Content"),
        ("599", "599"),
    ],
)
async def test_any_answer_but_200_is_a_failure(pods: Pods, status: str, text: str) -> None:
    """The connection it came over stays in use."""
    meeting = Meeting(pods)
    async with meeting.there:
        async with meeting.sleep.call(meeting.destination) as caller:
            peer = await meeting.there.accept()
            asked = await peer.expect(Kind.HEADERS)
            await peer.send(peer.headers(asked.stream, [(":status", status)], end=True))
            assert await read_to_end(caller) == (b"", "reset")
        assert (await meeting.sleep.its_proxy.line())["error"] == f"http status: {text}"
        assert meeting.sleep.its_proxy.total(FAILED, response_flags="CONNECT") == 1
        async with meeting.sleep.call(meeting.destination) as caller:
            await answered(peer, caller)


async def test_a_connection_lost_before_the_answer(pods: Pods) -> None:
    meeting = Meeting(pods)
    async with meeting.there, meeting.sleep.call(meeting.destination) as caller:
        peer = await meeting.there.accept()
        await peer.expect(Kind.HEADERS)
        peer.abort()
        assert await read_to_end(caller) == (b"", "reset")
    line = await meeting.sleep.its_proxy.line()
    assert line["error"].startswith("h2 failed: ")
    assert meeting.sleep.its_proxy.total(FAILED, response_flags="H2_HANDSHAKE_FAILURE") == 1


async def silent(meeting: Meeting) -> RawPeer:
    """The next connection, to which nothing is said that the test does not say."""
    peer = await meeting.there.accept()
    peer.polite = False
    return peer


async def test_the_first_request_does_not_wait_for_the_peers_settings_and_only_the_first(pods: Pods) -> None:
    """RFC 9113 section 3.4: a client may ask at once. How many more the peer takes, it has yet to say."""
    meeting = Meeting(pods, opening=b"")
    call = meeting.sleep.call
    async with meeting.there, call(meeting.destination) as one, call(meeting.destination) as two:
        peer = await silent(meeting)
        first = await peer.expect(Kind.HEADERS)
        await eventually(lambda: meeting.sleep.its_proxy.open_connections == 2, "the second call is there")
        assert [got.kind for got in peer.received].count(Kind.HEADERS) == 1
        await peer.send(settings({}), peer.headers(first.stream, [(":status", "200")]), data(first.stream, b"hello"))
        assert await read_exactly(one, 5) == b"hello"
        await answered(peer, two)


async def test_a_connection_lost_before_its_settings_never_came_up(pods: Pods) -> None:
    """Not the request has failed then, but the connection."""
    meeting = Meeting(pods, opening=b"")
    async with meeting.there, meeting.sleep.call(meeting.destination) as caller:
        peer = await silent(meeting)
        await peer.expect(Kind.HEADERS)
        peer.abort()
        assert await read_to_end(caller) == (b"", "reset")
    assert (await meeting.sleep.its_proxy.line())["error"].startswith("connection ")


async def test_a_peer_without_room_is_left_for_another_connection(pods: Pods) -> None:
    """The peer's own limit counts, once it is known."""
    meeting = Meeting(pods, settings({Setting.MAX_CONCURRENT_STREAMS: 1}))
    async with (
        meeting.there,
        meeting.sleep.call(meeting.destination) as one,
        meeting.sleep.call(meeting.destination) as two,
    ):
        for caller in (one, two):
            await answered(await meeting.there.accept(), caller)


def bytes_received(pod: Pod) -> list[int]:
    """What each connection to the pod's port 15008 has brought its client, as the kernel says, least first."""
    filters = ("state", "established", "dst", f"{pod.ip}:{HBONE}")
    said = subprocess.run([require_tool("ss"), "-Htni", *filters], capture_output=True, text=True, check=True).stdout
    return sorted(int(found) for found in re.findall(r"bytes_received:(\d+)", said))


async def ask(caller: TcpCaller) -> None:
    await caller.send(b"anybody?")
    assert await read_exactly(caller, 8) == b"anybody?"


async def test_one_connection_serves_all_but_who_would_stand_behind_bulk(pods: Pods) -> None:
    """The judge is the kernel: how many connections there are, and which of them carried what."""
    sleep, server = pods.add("sleep"), pods.add("server")
    said = 8 * MIB
    async with server.app(echo) as app, server.app(source(bytes(said))) as bulk, contextlib.AsyncExitStack() as calls:
        for _ in range(5):
            await ask(await calls.enter_async_context(sleep.call(app.authority)))
        assert len(bytes_received(server)) == 1
        flood = await calls.enter_async_context(sleep.call(bulk.authority))
        await read_exactly(flood, 2 * MIB)
        for _ in range(5):
            await ask(await calls.enter_async_context(sleep.call(app.authority)))
        quiet, loud = bytes_received(server)
        assert quiet < 64 * KIB < 2 * MIB < loud
        await read_exactly(flood, said - 2 * MIB)
