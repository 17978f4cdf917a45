"""What a node proxy refuses on 15008, in status, frame and log line (hbone-dataplane 1.5, 2.9, 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.interop.callers import read_to_end, talk
from tests.support import world
from tests.support.pods import HBONE, OUTBOUND, PLAINTEXT, SOCKS, dialled
from tests.support.processes import eventually, free_port, loopback_address
from tests.support.raw_peer import Code, Kind, client_tls, connect_request, data, raw_client
from tests.support.tcp_apps import echo

if TYPE_CHECKING:
    from tests.support.pods import Pod, Pods
    from tests.support.raw_peer import Headers, RawPeer

HOSTNAME = "server.default.svc.cluster.local"


def server_pod(pods: Pods) -> Pod:
    """A pod behind a service that maps 80 to 8080 and 81 to nothing."""
    server = pods.add("server", services={f"default/{HOSTNAME}": {80: 8080}})
    pods.tell(world.service(HOSTNAME, loopback_address(), ports={80: 8080, 81: 0}))
    return server


async def status_of(peer: RawPeer, request: Headers) -> str:
    """The status a request is answered with, or the code of its reset."""
    stream = await peer.request(request)
    answer = await peer.expect(Kind.HEADERS, Kind.RST_STREAM, stream=stream)
    return answer.status if answer.kind == Kind.HEADERS else answer.code.name


@pytest.mark.parametrize(
    ("authority", "status", "error"),
    [
        pytest.param("{other}:8080", "400", "ip mismatch: {server} != {other}", id="another address"),
        pytest.param("[::1]:8080", "400", "ip mismatch: {server} != ::1", id="of another family"),
        pytest.param("nothing", "400", "no valid authority pseudo header: nothing", id="no port"),
        pytest.param("{server}:http", "400", "no valid authority pseudo header: {server}:http", id="port is no number"),
        pytest.param("{server}:65536", "400", "no valid authority pseudo header: {server}:65536", id="port too high"),
        pytest.param("nobody.example:80", "503", "no service or workload for hostname: nobody.example", id="no name"),
        pytest.param(
            f"{HOSTNAME}:82", "503", f"requested service {HOSTNAME}:82 found, but cannot resolve port", id="no port"
        ),
        pytest.param(
            f"{HOSTNAME}:81", "503", f"requested service {HOSTNAME}:81 found, but cannot resolve port", id="port 0"
        ),
        pytest.param(f"{{server}}:{OUTBOUND}", "503", "attempted recursive call to ourselves", id="15001"),
        pytest.param(f"{{server}}:{PLAINTEXT}", "503", "attempted recursive call to ourselves", id="15006"),
        pytest.param(f"{{server}}:{HBONE}", "503", "attempted recursive call to ourselves", id="15008"),
        pytest.param(f"{{server}}:{SOCKS}", "503", "attempted recursive call to ourselves", id="15080"),
    ],
)
async def test_refused_before_policy(pods: Pods, authority: str, status: str, error: str) -> None:
    server = server_pod(pods)
    names = {"server": server.ip, "other": "127.63.0.1"}
    async with raw_client(server.ip, HBONE, client_tls(pods.authority.of("sleep"))) as peer:
        assert await status_of(peer, connect_request(authority.format(**names))) == status
        line = await server.its_proxy.line(message="connection failed")
        await peer.round_trip()
    assert (line["level"], line["error"], line["direction"]) == ("warn", error.format(**names), "inbound")
    assert line["dst.addr"] == f"{server.ip}:{HBONE}"
    assert server.its_proxy.samples("istio_tcp_connections_opened_total") == []


@pytest.mark.parametrize(
    ("request_headers", "answer", "error"),
    [
        pytest.param(
            [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "x")],
            "400",
            "expected method CONNECT, got GET",
            id="another method",
        ),
        pytest.param(
            [*connect_request("10.0.0.1:80"), (":path", "/")],
            "PROTOCOL_ERROR",
            "CONNECT takes :method and :authority and no other pseudo-header",
            id="a path",
        ),
    ],
)
async def test_refused_by_the_engine(pods: Pods, request_headers: Headers, answer: str, error: str) -> None:
    server = server_pod(pods)
    async with raw_client(server.ip, HBONE, client_tls(pods.authority.of("sleep"))) as peer:
        assert await status_of(peer, request_headers) == answer
        line = await server.its_proxy.line(message="connection failed")
        await peer.round_trip()
    assert (line["level"], line["error"], line["direction"]) == ("warn", error, "inbound")


async def test_a_hostname_leads_to_the_services_port(pods: Pods) -> None:
    server = server_pod(pods)
    async with (
        server.app(echo, 8080) as app,
        raw_client(server.ip, HBONE, client_tls(pods.authority.of("sleep"))) as peer,
    ):
        stream = await peer.open_tunnel(f"{HOSTNAME}:80")
        await peer.send(data(stream, b"hello", end=True))
        assert await peer.read_stream(stream) == (b"hello", None)
        assert await app.ended() == "eof"
    line = await server.its_proxy.line()
    assert (line["dst.hbone_addr"], line["dst.service"]) == (f"{HOSTNAME}:80", HOSTNAME)


async def test_a_named_target_port_leads_to_the_endpoints_own(pods: Pods) -> None:
    server = pods.add("server", services={f"default/{HOSTNAME}": {80: 9090}})
    pods.tell(world.service(HOSTNAME, loopback_address(), ports={80: 0}))
    async with (
        server.app(echo, 9090),
        raw_client(server.ip, HBONE, client_tls(pods.authority.of("sleep"))) as peer,
    ):
        await peer.send(data(await peer.open_tunnel(f"{HOSTNAME}:80"), b"hello"))
        assert (await peer.expect(Kind.DATA)).payload == b"hello"


async def test_nobody_listens(pods: Pods) -> None:
    server = server_pod(pods)
    authority = f"{server.ip}:{free_port(server.ip)}"
    async with raw_client(server.ip, HBONE, client_tls(pods.authority.of("sleep"))) as peer:
        assert await status_of(peer, connect_request(authority)) == "503"
    line = await server.its_proxy.line()
    assert line["error"] == f"io error: Connection refused (os error 111): {authority}"
    assert server.its_proxy.total("istio_tcp_connections_failed_total", response_flags="CONNECT") == 1


ODD = [
    pytest.param(("baggage", "k8s.cluster.name==;;,=,%zz,\x7f"), id="baggage"),
    pytest.param(("baggage", "a" * 20_000), id="much baggage"),
    pytest.param(("forwarded", 'for="[::1;host="'), id="forwarded"),
    pytest.param(("traceparent", "00-" + "-" * 52), id="traceparent"),
    pytest.param(("x-forwarded-network", "\xff\xfe"), id="network"),
    pytest.param(("x-nobody-knows", "me"), id="unknown header"),
]


@pytest.mark.parametrize("header", ODD)
async def test_odd_headers_hurt_nobody(pods: Pods, header: tuple[str, str]) -> None:
    server = server_pod(pods)
    async with (
        server.app(echo) as app,
        raw_client(server.ip, HBONE, client_tls(pods.authority.of("sleep"))) as peer,
    ):
        neighbour = await peer.open_tunnel(app.authority)
        assert await status_of(peer, connect_request(app.authority, header)) == "200"
        await peer.send(data(neighbour, b"hello"))
        assert (await peer.expect(Kind.DATA, stream=neighbour)).payload == b"hello"
        await app.connection(1)


async def test_a_bad_request_among_good_ones_harms_none(pods: Pods) -> None:
    server = server_pod(pods)
    async with (
        server.app(echo) as app,
        raw_client(server.ip, HBONE, client_tls(pods.authority.of("sleep"))) as peer,
    ):
        good = [await peer.open_tunnel(app.authority) for _ in range(20)]
        with_path = [*connect_request(app.authority), (":path", "/")]
        assert await status_of(peer, with_path) == Code.PROTOCOL_ERROR.name
        assert await status_of(peer, connect_request("nothing")) == "400"
        for stream in good:
            await peer.send(data(stream, b"hello"))
            assert (await peer.expect(Kind.DATA, stream=stream)).payload == b"hello"


# Who is there -----------------------------------------------------------------------------------------------------


async def test_an_address_that_is_no_workload_of_ours(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    pods.tell(world.workload("server", server.ip, node="elsewhere"))
    async with sleep.call(f"{server.ip}:80") as caller:
        assert (await read_to_end(caller)).data == b""
    line = await server.its_proxy.line(message="connection failed")
    assert line["error"] == f"unknown destination: no workload of this proxy has the address {server.ip}"


async def test_the_wrong_workload_is_there(pods: Pods) -> None:
    """The mesh says another service account than the certificate."""
    sleep, server = pods.add("sleep"), pods.add("server")
    sleep.its_proxy.state.upsert_workload(world.workload("server", server.ip, service_account="other", node="server"))
    async with server.app(echo) as app:
        async with sleep.call(app.authority) as caller:
            assert await read_to_end(caller) == (b"", "reset")
        assert app.connections == []
    line = await sleep.its_proxy.line()
    assert line["error"] == (
        "identity verification error: peer did not present the expected SAN "
        "(spiffe://cluster.local/ns/default/sa/other), got spiffe://cluster.local/ns/default/sa/server"
    )
    assert sleep.its_proxy.total("istio_tcp_connections_failed_total", response_flags="CONNECT") == 1


async def test_without_a_certificate_nothing_is_sent(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    pods.authority.refuses.add("sleep")
    async with server.app(echo) as app:
        async with sleep.call(app.authority) as caller:
            assert await read_to_end(caller) == (b"", "reset")
        assert app.connections == []
    line = await sleep.its_proxy.line()
    assert line["error"].startswith("identity error: no certificate for spiffe://cluster.local/ns/default/sa/sleep")
    assert sleep.its_proxy.total("istio_tcp_connections_failed_total", response_flags="IDENTITY_ERROR") == 1


async def test_without_a_certificate_nobody_is_let_in(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    pods.authority.refuses.add("server")
    async with sleep.call(f"{server.ip}:80") as caller:
        assert await read_to_end(caller) == (b"", "reset")
    line = await server.its_proxy.line(message="connection failed")
    assert line["error"].startswith("identity error: no certificate for spiffe://cluster.local/ns/default/sa/server")


async def test_a_client_that_is_no_tls_client(pods: Pods) -> None:
    server = pods.add("server")
    async with dialled((server.ip, HBONE), loopback_address()) as (caller, _):
        await caller.send(b"GET / HTTP/1.1\r\n\r\n")
        await read_to_end(caller)
    line = await server.its_proxy.line(message="connection failed")
    assert line["error"].startswith("tls handshake error: ")
    await eventually(lambda: not server.its_proxy.plane.inbound.peers, "gone")


async def test_an_unknown_source_is_refused(pods: Pods) -> None:
    sleep, server, stranger = pods.add("sleep"), pods.add("server"), loopback_address()
    async with server.app(echo) as app:
        async with sleep.call(app.authority, source=stranger) as caller:
            assert await read_to_end(caller) == (b"", "reset")
        assert app.connections == []
    line = await sleep.its_proxy.line(message="connection failed")
    assert line["error"] == f"unknown source: no workload of this proxy has the address {stranger}"
    assert (line["dst.addr"], line["direction"]) == (app.authority, "outbound")


async def test_a_pod_of_another_node_is_no_source_of_ours(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    async with server.app(echo) as app, sleep.call(app.authority, source=server.ip) as caller:
        assert await read_to_end(caller) == (b"", "reset")


async def test_a_service_without_endpoints(pods: Pods) -> None:
    sleep, vip = pods.add("sleep"), loopback_address()
    pods.tell(world.service(HOSTNAME, vip))
    async with sleep.call(f"{vip}:80") as caller:
        assert await read_to_end(caller) == (b"", "reset")
    line = await sleep.its_proxy.line(message="connection failed")
    assert line["error"] == f"no healthy upstream: {vip}:80"
    assert sleep.its_proxy.samples("istio_tcp_connections_opened_total") == []


async def test_an_unknown_waypoint_is_not_gone_around(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server", waypoint=world.gateway("default/waypoint.example"))
    async with server.app(echo) as app:
        async with sleep.call(app.authority) as caller:
            assert await read_to_end(caller) == (b"", "reset")
        assert app.connections == []
    error = (await sleep.its_proxy.line(message="connection failed"))["error"]
    assert error == "unknown waypoint: waypoint waypoint.example not found"


async def test_nobody_answers_at_the_peers_port(pods: Pods) -> None:
    sleep = pods.add("sleep")
    server = pods.add("server", proxied=False)
    async with server.app(echo) as app, sleep.call(app.authority) as caller:
        assert await read_to_end(caller) == (b"", "reset")
    line = await sleep.its_proxy.line()
    assert line["error"] == f"io error: Connection refused (os error 111): {server.ip}:{HBONE}"


async def test_one_failure_is_not_held_against_the_next(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    pods.authority.refuses.add("server")
    async with server.app(echo) as app:
        async with sleep.call(app.authority) as caller:
            await read_to_end(caller)
        pods.authority.refuses.clear()
        pods.authority.versions["server"] = 1
        await server.its_proxy.refresh()
        async with sleep.call(app.authority) as caller:
            await talk(caller, b"hello")
