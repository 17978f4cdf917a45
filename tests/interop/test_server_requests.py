"""Our server against requests that Envoy never makes, byte by byte: each ends alone, its neighbours go on."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.interop.pairs import HBONE_PORT, our_server
from tests.support.processes import free_port
from tests.support.raw_peer import (
    Code,
    Headers,
    Kind,
    RawPeer,
    Setting,
    client_tls,
    connect_request,
    data,
    raw_client,
    rst_stream,
    setting_values,
    settings,
)
from tests.support.tcp_apps import TcpApp, echo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.support.certificates import MeshCertificates

pytestmark = pytest.mark.interop

AUTHORITY = "127.0.0.1:8080"
GET = [(":method", "GET"), (":scheme", "https"), (":authority", AUTHORITY), (":path", "/")]


class Pod(NamedTuple):
    """A server of ours, an echo behind it, and a raw connection to it with one good tunnel."""

    peer: RawPeer
    app: TcpApp
    neighbour: int

    @property
    def authority(self) -> str:
        return self.app.authority

    async def neighbour_is_well(self) -> None:
        await echoes(self.peer, self.neighbour, b"still here")


@pytest.fixture(params=["library", "ztunnel"])
async def pod(request: pytest.FixtureRequest, certificates: MeshCertificates, pod_address: str) -> AsyncIterator[Pod]:
    """Behind the library's server, and behind our node proxy."""
    async with contextlib.AsyncExitStack() as stack:
        address = pod_address
        if request.param == "library":
            await stack.enter_async_context(our_server(address, certificates.server))
        else:
            address = request.getfixturevalue("node_proxies").here().server.address
        app = await stack.enter_async_context(TcpApp(echo, address))
        tls = client_tls(certificates.client)
        peer = await stack.enter_async_context(raw_client(address, HBONE_PORT, tls))
        yield Pod(peer, app, await peer.open_tunnel(app.authority))


async def echoes(peer: RawPeer, stream: int, words: bytes) -> None:
    await peer.send(data(stream, words))
    heard = b""
    while len(heard) < len(words):
        heard += (await peer.expect(Kind.DATA, stream=stream)).payload
    assert heard == words


ANSWERED = [
    pytest.param(GET, "400", id="a well-formed GET"),
    pytest.param([(":method", "OPTIONS"), *GET[1:]], "400", id="a well-formed OPTIONS"),
    pytest.param(connect_request("127.0.0.1"), "400", id="no port"),
    pytest.param(connect_request("127.0.0.1:http"), "400", id="a port that is no number"),
    pytest.param(connect_request("127.0.0.1:70000"), "400", id="a port above 65535"),
    pytest.param(connect_request(AUTHORITY, ("x-long", "x" * 70_000)), "431", id="headers over 64 KiB"),
]

RESET = [
    pytest.param([*connect_request(AUTHORITY), (":path", "/")], id=":path on CONNECT"),
    pytest.param([*connect_request(AUTHORITY), (":scheme", "https")], id=":scheme on CONNECT"),
    pytest.param([*connect_request(AUTHORITY), (":protocol", "websocket")], id="extended CONNECT"),
    pytest.param([(":method", "CONNECT")], id="CONNECT without authority"),
    pytest.param(connect_request(AUTHORITY, ("X-Upper", "1")), id="upper-case name"),
    pytest.param(connect_request(AUTHORITY, ("connection", "close")), id="connection header"),
    pytest.param(connect_request(AUTHORITY, ("transfer-encoding", "chunked")), id="transfer-encoding"),
]


@pytest.mark.parametrize(("request_headers", "status"), ANSWERED)
async def test_a_request_that_is_answered(pod: Pod, request_headers: Headers, status: str) -> None:
    stream = await pod.peer.request(request_headers)
    answer = await pod.peer.expect(Kind.HEADERS, Kind.RST_STREAM, stream=stream)
    assert (answer.status, answer.is_last) == (status, True)
    # The client's side is still open: it is told, without blame, that nobody listens (hbone-dataplane 1.6).
    assert (await pod.peer.expect(Kind.RST_STREAM, stream=stream)).code == Code.NO_ERROR
    await pod.neighbour_is_well()


async def test_503_where_nobody_listens(pod: Pod) -> None:
    stream = await pod.peer.request(connect_request(f"{pod.app.host}:{free_port(pod.app.host)}"))
    answer = await pod.peer.expect(Kind.HEADERS, Kind.RST_STREAM, stream=stream)
    assert (answer.status, answer.is_last) == ("503", True)
    await pod.neighbour_is_well()


@pytest.mark.parametrize("request_headers", RESET)
async def test_a_request_that_is_reset(pod: Pod, request_headers: Headers) -> None:
    stream = await pod.peer.request(request_headers)
    answer = await pod.peer.expect(Kind.HEADERS, Kind.RST_STREAM, stream=stream)
    assert (answer.kind, answer.code) == (Kind.RST_STREAM, Code.PROTOCOL_ERROR)
    await pod.neighbour_is_well()


async def test_one_bad_connect_among_a_hundred_good_tunnels_harms_none(pod: Pod) -> None:
    good = [await pod.peer.open_tunnel(pod.authority) for _ in range(99)]
    bad = await pod.peer.request([*connect_request(pod.authority), (":path", "/")])
    assert (await pod.peer.expect(Kind.RST_STREAM, stream=bad)).code == Code.PROTOCOL_ERROR
    for stream in (pod.neighbour, *good):
        await echoes(pod.peer, stream, b"tunnel %d" % stream)


async def test_the_stream_over_the_limit_is_refused_and_no_other(pod: Pod) -> None:
    limit = setting_values(pod.peer.received[0])[Setting.MAX_CONCURRENT_STREAMS]
    for _ in range(limit - 1):
        await pod.peer.open_tunnel(pod.authority)
    extra = await pod.peer.request(connect_request(pod.authority))
    assert (await pod.peer.expect(Kind.RST_STREAM, stream=extra)).code == Code.REFUSED_STREAM
    await pod.neighbour_is_well()
    await pod.peer.send(rst_stream(pod.neighbour, Code.CANCEL))
    await pod.peer.round_trip()
    await echoes(pod.peer, await pod.peer.open_tunnel(pod.authority), b"room again")


async def test_data_before_the_200_is_kept(pod: Pod) -> None:
    peer = pod.peer
    stream = 2 * 1 + pod.neighbour
    await peer.send(peer.headers(stream, connect_request(pod.authority)), data(stream, b"early"))
    assert (await peer.expect(Kind.HEADERS, stream=stream)).status == "200"
    assert (await peer.expect(Kind.DATA, stream=stream)).payload == b"early"


async def test_a_connect_that_ends_its_stream_at_once_still_hears_the_application(pod: Pod) -> None:
    stream = await pod.peer.request(connect_request(pod.authority), end=True)
    assert (await pod.peer.expect(Kind.HEADERS, stream=stream)).status == "200"
    assert await pod.peer.read_stream(stream) == (b"", None)


async def test_the_200_names_no_server_and_no_date(pod: Pod) -> None:
    answer = next(frame for frame in pod.peer.received if frame.kind == Kind.HEADERS)
    assert not answer.is_last
    assert {name for name, _ in answer.headers} <= {":status", "baggage"}


async def test_settings_announce_what_the_data_plane_promises(pod: Pod) -> None:
    first = pod.peer.received[0]
    assert first.kind == Kind.SETTINGS
    assert setting_values(first) == {
        Setting.MAX_CONCURRENT_STREAMS: 200,
        Setting.INITIAL_WINDOW_SIZE: 16 << 20,
        Setting.MAX_FRAME_SIZE: 1 << 20,
        Setting.MAX_HEADER_LIST_SIZE: 65_536,
    }


async def test_a_ping_is_answered_even_when_no_stream_may_move(pod: Pod) -> None:
    """Its payload fills every window, its answers wait for ours; PINGs go through all the same."""
    peer = pod.peer
    await peer.send(settings({Setting.INITIAL_WINDOW_SIZE: 0}))
    stream = await peer.open_tunnel(pod.authority)
    await peer.send(*(data(stream, bytes(16_384)) for _ in range(64)))
    await peer.round_trip()
    assert not [frame for frame in peer.received if (frame.kind, frame.stream) == (Kind.DATA, stream)]
    await peer.send(settings({Setting.INITIAL_WINDOW_SIZE: 1}))
    assert len((await peer.expect(Kind.DATA, stream=stream)).payload) == 1


async def test_unknown_frames_and_settings_are_ignored(pod: Pod) -> None:
    await pod.peer.send(bytes.fromhex("000003 ef 00 00000000") + b"abc")
    await pod.peer.send(bytes.fromhex("000006 04 00 00000000 00ff 00000001"))
    await pod.neighbour_is_well()
