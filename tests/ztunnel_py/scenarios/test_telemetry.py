"""What both proxies say of a connection: log lines, metrics, and the list of live ones (hbone-dataplane 7)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from mesh_py.model.workload import Locality, Protocol
from tests.interop.callers import read_exactly, read_to_end, talk
from tests.support import world
from tests.support.processes import eventually, free_port, loopback_address
from tests.support.raw_peer import client_tls, connect_request, data, raw_client
from tests.support.tcp_apps import Connection, TcpApp, echo

if TYPE_CHECKING:
    from tests.support.pods import Pod, Pods, Proxy

HOSTNAME = "server.default.svc.cluster.local"
FULL: dict[str, Any] = {
    "workload_name": "deploy",
    "workload_type": "deployment",
    "canonical_name": "app",
    "canonical_revision": "v1",
    "cluster_id": "Kubernetes",
}
COMPLETE = [
    "src.addr",
    "src.workload",
    "src.namespace",
    "src.identity",
    "src.cluster",
    "dst.addr",
    "dst.hbone_addr",
    "dst.service",
    "dst.workload",
    "dst.namespace",
    "dst.identity",
    "dst.cluster",
    "direction",
    "bytes_sent",
    "bytes_recv",
    "duration",
]
OPENED, CLOSED = "istio_tcp_connections_opened_total", "istio_tcp_connections_closed_total"
RECEIVED, SENT = "istio_tcp_received_bytes_total", "istio_tcp_sent_bytes_total"


async def twenty_two(connection: Connection) -> None:
    """Hear eleven bytes, say twenty-two."""
    while connection.received < 11:
        await connection.receive()
    await connection.send(b"b" * 22)
    while await connection.receive():
        pass


async def eleven_for_twenty_two(source: Pod, destination: str) -> None:
    async with source.call(destination) as caller:
        await caller.send(b"a" * 11)
        await read_exactly(caller, 22)
        await caller.send_eof()
        assert await caller.receive() == b""


def named(pods: Pods) -> tuple[Pod, Pod, str]:
    """Two pods with all their fields, the second behind a service; its virtual address."""
    vip = loopback_address()
    sleep = pods.add("sleep", locality=Locality("east", "east-1"), **FULL)
    server = pods.add("server", services={f"default/{HOSTNAME}": {80: 8080}}, **FULL)
    pods.tell(world.service(HOSTNAME, vip))
    return sleep, server, vip


async def test_both_access_log_lines_have_every_field_in_its_place(pods: Pods) -> None:
    sleep, server, vip = named(pods)
    async with server.app(twenty_two, 8080):
        await eleven_for_twenty_two(sleep, f"{vip}:80")
        outbound, inbound = await sleep.its_proxy.line(), await server.its_proxy.line()
    for line in (outbound, inbound):
        assert list(line)[1:] == COMPLETE
        assert line["level"] == "info"
        assert re.fullmatch(r"\d+ms", line["duration"])
        assert line["src.identity"] == "spiffe://cluster.local/ns/default/sa/sleep"
        assert line["dst.identity"] == "spiffe://cluster.local/ns/default/sa/server"
        assert (line["src.workload"], line["dst.workload"]) == ("sleep", "server")
        assert (line["dst.addr"], line["dst.hbone_addr"]) == (f"{server.ip}:15008", f"{server.ip}:8080")
    assert (outbound["direction"], outbound["bytes_sent"], outbound["bytes_recv"]) == ("outbound", "11", "22")
    assert (inbound["direction"], inbound["bytes_sent"], inbound["bytes_recv"]) == ("inbound", "22", "11")


async def test_both_reporters_count_the_same_bytes(pods: Pods) -> None:
    sleep, server, vip = named(pods)
    async with server.app(twenty_two, 8080):
        await eleven_for_twenty_two(sleep, f"{vip}:80")
        await sleep.its_proxy.line()
        await server.its_proxy.line()
    for reporter, proxy in (("source", sleep.its_proxy), ("destination", server.its_proxy)):
        assert proxy.total(RECEIVED, reporter=reporter) == 11
        assert proxy.total(SENT, reporter=reporter) == 22
        assert proxy.total(OPENED, reporter=reporter) == proxy.total(CLOSED, reporter=reporter) == 1
        [(labels, _)] = proxy.samples(OPENED)
        assert labels == {
            "reporter": reporter,
            "source_workload": "deploy",
            "source_canonical_service": "app",
            "source_canonical_revision": "v1",
            "source_workload_namespace": "default",
            "source_principal": "spiffe://cluster.local/ns/default/sa/sleep",
            "source_app": "app",
            "source_version": "v1",
            "source_cluster": "Kubernetes",
            "destination_service": HOSTNAME,
            "destination_service_namespace": "default",
            "destination_service_name": "server",
            "destination_workload": "deploy",
            "destination_canonical_service": "app",
            "destination_canonical_revision": "v1",
            "destination_workload_namespace": "default",
            "destination_principal": "spiffe://cluster.local/ns/default/sa/server",
            "destination_app": "app",
            "destination_version": "v1",
            "destination_cluster": "Kubernetes",
            "request_protocol": "tcp",
            "response_flags": "-",
            "connection_security_policy": "mutual_tls",
            "source_region": "east",
            "source_zone": "east-1",
            "destination_region": "unknown",
            "destination_zone": "unknown",
        }


async def test_counters_are_live_while_the_connection_is(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    proxies = (sleep.its_proxy, server.its_proxy)
    async with server.app(echo) as app:
        async with sleep.call(app.authority) as caller:
            await talk(caller, b"hello")
            for proxy in proxies:
                assert (proxy.total(RECEIVED), proxy.total(SENT)) == (5, 5)
                assert (proxy.total(OPENED), proxy.total(CLOSED)) == (1, 0)
            assert sleep.its_proxy.total("istio_tcp_sockets_open", reporter="source") == 1
            assert server.its_proxy.total("istio_tcp_sockets_open", reporter="destination") == 1
        for proxy in proxies:
            await proxy.line()
            assert (proxy.total(OPENED), proxy.total(CLOSED)) == (1, 1)


async def test_plaintext_is_told_of_the_destination_only(pods: Pods) -> None:
    stranger, server = loopback_address(), pods.add("server", services={f"default/{HOSTNAME}": {80: 8080}})
    pods.tell(world.service(HOSTNAME, loopback_address()))
    async with server.app(twenty_two, 8080) as app:
        async with server.call_plain(stranger, app.authority) as caller:
            await caller.send(b"a" * 11)
            await read_exactly(caller, 22)
        line = await server.its_proxy.line()
    assert not {key for key in line if key.startswith("src.")} - {"src.addr"}
    assert not {"dst.hbone_addr", "dst.identity"} & line.keys()
    assert (line["dst.addr"], line["dst.service"], line["direction"]) == (app.authority, HOSTNAME, "inbound")
    [(labels, _)] = server.its_proxy.samples(OPENED)
    assert (labels["source_workload"], labels["connection_security_policy"]) == ("unknown", "unknown")
    assert labels["destination_principal"] == "spiffe://cluster.local/ns/default/sa/server"


async def test_plaintext_from_a_known_address_has_a_source(pods: Pods) -> None:
    sleep, server = pods.add("sleep", proxied=False, protocol=Protocol.TCP), pods.add("server")
    async with server.app(echo) as app:
        async with server.call_plain(sleep.ip, app.authority) as caller:
            await talk(caller, b"hello")
        line = await server.its_proxy.line()
    assert line["src.workload"] == "sleep"
    [(labels, _)] = server.its_proxy.samples(OPENED)
    assert labels["source_principal"] == "unknown"


BAGGAGE = (
    "k8s.cluster.name=far,k8s.namespace.name=there,k8s.deployment.name=claimed,service.name=shop,service.version=v7,"
    "cloud.region=west,cloud.availability_zone=west-2"
)


async def hear_a_raw_client(
    pods: Pods, server: Pod, *headers: tuple[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """One tunnel of a client that is no proxy of ours: the log line, and the labels of the series."""
    tls = client_tls(pods.authority.of("sleep"))
    async with server.app(echo) as app:
        async with raw_client(server.ip, 15008, tls) as peer:
            stream = await peer.request(connect_request(app.authority, *headers))
            assert (await peer.expect(1, stream=stream)).status == "200"  # type: ignore[arg-type]
            await peer.send(data(stream, b"hello", end=True))
            assert await peer.read_stream(stream) == (b"hello", None)
        line = await server.its_proxy.line()
    [(labels, _)] = server.its_proxy.samples(OPENED)
    return line, labels


async def test_an_unknown_source_is_who_its_baggage_says(pods: Pods) -> None:
    line, labels = await hear_a_raw_client(pods, pods.add("server"), ("baggage", BAGGAGE))
    assert (line["src.workload"], line["src.namespace"], line["src.cluster"]) == ("shop", "there", "far")
    assert labels["source_workload"] == "claimed"
    assert labels["source_app"] == "claimed"
    assert labels["source_canonical_service"] == "shop"
    assert labels["source_region"] == "west"
    assert labels["source_principal"] == "spiffe://cluster.local/ns/default/sa/sleep"


async def test_baggage_is_nothing_where_it_is_switched_off(pods: Pods) -> None:
    server = pods.add("server", environment={"ENABLE_RESPONSE_BAGGAGE": "false"})
    line, labels = await hear_a_raw_client(pods, server, ("baggage", BAGGAGE))
    assert "src.workload" not in line
    assert labels["source_workload"] == "unknown"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param(None, "known", id="the address is known"),
        pytest.param("", "known", id="from our own network"),
        pytest.param("elsewhere", "shop", id="from another network the address says nothing"),
    ],
)
async def test_who_the_source_is(pods: Pods, header: str | None, expected: str) -> None:
    server = pods.add("server")
    pods.tell(world.workload("known", "127.0.0.1", protocol=Protocol.TCP))
    network = () if header is None else (("x-forwarded-network", header),)
    line, _ = await hear_a_raw_client(pods, server, ("baggage", BAGGAGE), *network)
    assert line["src.workload"] == expected


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        pytest.param('for="1.2.3.4:5";host=second.example', "second.example", id="named"),
        pytest.param('host="second.example"', "second.example", id="named without for, quoted"),
        pytest.param('for="1.2.3.4:5"', "first.example", id="not named"),
        pytest.param('for="1.2.3.4:5";host=nobody.example', "first.example", id="named and unknown"),
        pytest.param("host=", "first.example", id="empty"),
        pytest.param("h\x80st=x", "first.example", id="not ASCII"),
    ],
)
async def test_which_service_was_meant(pods: Pods, forwarded: str, expected: str) -> None:
    server = pods.add("server", services={"default/first.example": {}, "default/second.example": {}})
    port = free_port(server.ip)
    pods.tell(*(world.service(f"{name}.example", loopback_address(), ports={80: port}) for name in ("first", "second")))
    tls = client_tls(pods.authority.of("sleep"))
    async with server.app(echo, port) as app, raw_client(server.ip, 15008, tls) as peer:
        # A tunnel that means another comes first: what is remembered of it must not answer for this one.
        await peer.request(connect_request(app.authority, ("forwarded", "host=first.example")), end=True)
        await server.its_proxy.line(0)
        await peer.request(connect_request(app.authority, ("forwarded", forwarded)), end=True)
        assert (await server.its_proxy.line(1))["dst.service"] == expected


async def test_the_answer_says_who_the_destination_is(pods: Pods) -> None:
    server = pods.add("server", **FULL, locality=Locality("east", "east-1"))
    async with server.app(echo) as app, raw_client(server.ip, 15008, client_tls(pods.authority.of("x"))) as peer:
        await peer.open_tunnel(app.authority)
        await app.connection()
        answer = dict(next(got.headers for got in peer.received if got.headers))
    assert answer == {
        ":status": "200",
        "baggage": "k8s.cluster.name=Kubernetes,k8s.namespace.name=default,k8s.deployment.name=deploy,"
        "service.name=app,service.version=v1,cloud.region=east,cloud.availability_zone=east-1",
    }


async def test_a_failed_connection_is_counted_with_its_flag(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    nobody = f"{server.ip}:{free_port(server.ip)}"
    async with sleep.call(nobody) as caller:
        assert await read_to_end(caller) == (b"", "reset")
    source, destination = await sleep.its_proxy.line(), await server.its_proxy.line()
    assert (source["level"], source["error"]) == ("error", "http status: 503 Service Unavailable")
    assert destination["level"] == "error"
    assert destination["error"].startswith("io error: Connection refused (os error 111)")
    for proxy in (sleep.its_proxy, server.its_proxy):
        assert proxy.total("istio_tcp_connections_failed_total", response_flags="CONNECT") == 1
        assert proxy.total(CLOSED, response_flags="CONNECT") == proxy.total(OPENED, response_flags="-") == 1


async def test_a_connection_that_waits_is_logged_as_opened(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    async with server.app(echo) as app, sleep.call(app.authority) as caller:
        await talk(caller, b"hello")
        for pod in (sleep, server):
            line = await pod.its_proxy.line(message="connection opened")
            assert line["level"] == "debug"
            assert "bytes_sent" not in line


def live(proxy: Proxy) -> list[dict[str, object]]:
    state = proxy.plane.workload_state()
    [entry] = state.values()
    connections: dict[str, list[dict[str, object]]] = entry["connections"]
    return connections["inbound"] + connections["outbound"]


async def test_live_connections_are_listed(pods: Pods) -> None:
    sleep, server, vip = named(pods)
    elsewhere = TcpApp(echo, loopback_address())
    async with server.app(echo, 8080) as app, elsewhere:
        async with sleep.call(f"{vip}:80") as caller, sleep.call(elsewhere.authority) as plain:
            await talk(caller, b"hello")
            await talk(plain, b"hello")
            tunnel, direct = sorted(live(sleep.its_proxy), key=lambda entry: str(entry["protocol"]))
            assert (tunnel["originalDst"], tunnel["protocol"]) == (f"{vip}:80", "HBONE")
            assert tunnel["actualDst"] == f"{server.ip}:15008"
            assert (direct["originalDst"], direct["actualDst"]) == (elsewhere.authority, elsewhere.authority)
            assert direct["protocol"] == "TCP"
            [inbound] = live(server.its_proxy)
            assert (inbound["originalDst"], inbound["protocol"]) == (HOSTNAME, "HBONE")
            assert inbound["actualDst"] == app.authority
        await eventually(lambda: not live(sleep.its_proxy) + live(server.its_proxy), "nothing left")
