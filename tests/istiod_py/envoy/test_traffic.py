"""The real Envoy does what it is told: its resources, given in a file, carry traffic to and from our node proxies."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from hbone_py.errors import HboneError
from istiod_py.envoy.resources import resources_of
from lab_py.apps import httpbin
from lab_py.apps.caller_record import CallerRecord
from mesh_py.manifests.gateway import Listener
from mesh_py.manifests.route_filters import Cors, Header, HeaderChanges, PathModifier, RequestHeaderModifier, UrlRewrite
from mesh_py.manifests.routes import Retry, Timeouts
from mesh_py.manifests.security import Action, MutualTls, Operation, Rule, Source
from mesh_py.model.address import Cidr, parse_ip
from mesh_py.model.workload import AppProtocol, Protocol, Service
from tests.interop.callers import dial, read_exactly, read_to_end, talk
from tests.istiod_py.envoy import meshes
from tests.istiod_py.envoy.meshes import ECHO, backend, curl, http_route, policy, rule
from tests.support import tcp_apps, world
from tests.support.certificates import TestRoot
from tests.support.envoy_static import start_static_envoy
from tests.support.pods import Pod, Pods, captured
from tests.support.processes import loopback_address
from tests.support.redirected import forward, redirected
from tests.support.tcp_apps import Connection, TcpApp, echo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from istiod_py.envoy.node import EnvoyNode
    from tests.support.envoy import Envoy

pytestmark = pytest.mark.interop

HTTP_PROXY_PORT = 15007
NO_HTTP = b"\0 no HTTP \0"
"""What sniffing knows at once; words might still become a request."""


@pytest.fixture
async def pods(tmp_path: Path) -> AsyncIterator[Pods]:
    async with Pods(TestRoot(tmp_path / "root")) as found:
        yield found


def told(
    pods: Pods, folder: Path, node: EnvoyNode, *manifests: object, sidecars: tuple[str, ...] = ()
) -> AbstractContextManager[Envoy]:
    """An Envoy as this proxy of the mesh that `pods` know, with these manifests beside it."""
    resources = resources_of(meshes.mesh(*pods.objects, *manifests, sidecars=sidecars), node)
    return start_static_envoy(folder, resources, pods.authority.of(node.name), node.ip)


def a_sidecar(pods: Pods, name: str = "client", **fields: Any) -> EnvoyNode:
    """A pod with an Envoy as its sidecar, on an address of its own."""
    ip = loopback_address()
    pods.tell(world.workload(name, ip, **{"node": name, **fields}))
    return meshes.sidecar(
        ip,
        name,
        bind_address=ip,
        takes_proxy_protocol=True,
        http_proxy_port=HTTP_PROXY_PORT,
        listens_on_hbone=True,
    )


@contextlib.asynccontextmanager
async def serving(pod_ip: str, name: str, port: int = 8080) -> AsyncIterator[CallerRecord]:
    """An HTTP application; what it remembers of its callers."""
    record = CallerRecord()
    async with httpbin.serve(pod_ip, port, name, record):
        yield record


class TestSidecar:
    async def test_its_requests_reach_an_ambient_pod_by_a_tunnel(self, pods: Pods, tmp_path: Path) -> None:
        vip = loopback_address()
        pods.tell(meshes.echo_service(vip))
        server = pods.add("server", services={f"default/{ECHO}": {}})
        node = a_sidecar(pods)
        with told(pods, tmp_path, node) as envoy:
            async with serving(server.ip, "server"):
                proxied = await curl("-x", f"http://{node.ip}:{HTTP_PROXY_PORT}", f"http://{ECHO}/hostname")
                assert proxied == (200, {"hostname": "server"})
                for port in (80, 81, 82):  # HTTP, plain TCP, found out
                    assert await captured_request(node.ip, f"{vip}:{port}") == '{"hostname": "server"}'
            assert (await server.its_proxy.line())["src.identity"] == "spiffe://cluster.local/ns/default/sa/client"
            assert envoy.stat("cluster.connect_originate.upstream_cx_http2_total") == 1
            assert envoy.stat("tcp.connect_originate.downstream_cx_total") >= 3
            assert envoy.stat(f"cluster.outbound|80||{ECHO}.upstream_rq_200") == 2
            assert envoy.stat("http.outbound_" + f"{vip}_82.downstream_rq_2xx") == 1

    async def test_what_no_service_claims_goes_where_it_was_going(self, pods: Pods, tmp_path: Path) -> None:
        node = a_sidecar(pods)
        with told(pods, tmp_path, node) as envoy:
            async with (
                TcpApp(echo, loopback_address()) as app,
                captured((node.ip, 15001), node.ip, app.authority) as caller,
            ):
                await talk(caller, b"nobody's")
            assert envoy.stat("cluster.PassthroughCluster.upstream_cx_total") == 1

    async def test_a_service_of_the_outside_world_is_looked_up_by_envoy(self, pods: Pods, tmp_path: Path) -> None:
        node = a_sidecar(pods)
        async with httpbin.serve("127.0.0.1", 0, "o", CallerRecord()) as at:
            outside = world.service("api.example.org", ports={80: at[1]}, app_protocols={80: AppProtocol.HTTP11})
            served: dict[str, dict[int, int]] = {"default/api.example.org": {}}
            pods.tell(outside, world.workload("outside", hostname="localhost", services=served))
            with told(pods, tmp_path, node) as envoy:
                found = await curl("-x", f"http://{node.ip}:{HTTP_PROXY_PORT}", "http://api.example.org/hostname")
                assert found == (200, {"hostname": "o"})
                assert envoy.stat("cluster.outbound|80||api.example.org.upstream_rq_200") == 1

    async def test_tunnels_to_it_reach_its_application_as_its_policies_allow(self, pods: Pods, tmp_path: Path) -> None:
        friend, stranger = pods.add("friend"), pods.add("stranger")
        node = a_sidecar(pods, "server", native_tunnel=True)
        allowed = Rule((Source(principals=("cluster.local/ns/default/sa/friend",)),))
        with told(pods, tmp_path, node, policy(allowed)) as envoy:
            async with TcpApp(echo, node.ip) as app:
                async with friend.call(app.authority) as caller:
                    await talk(caller, NO_HTTP)
                async with stranger.call(app.authority) as caller:
                    with pytest.raises((ConnectionError, AssertionError, HboneError)):
                        await talk(caller, NO_HTTP)
                # Envoy connects ahead of its verdict, which falls with the client's first byte.
                assert [one.received for one in app.connections] == [len(NO_HTTP), 0]
            assert envoy.stat("tcp.rbac.allowed") == 1
            assert envoy.stat("tcp.rbac.denied") == 1
            assert envoy.stat("http.connect_terminate.downstream_rq_total") == 2


class TestBetweenSidecars:
    """Istio's own mutual TLS: the server tells it by ALPN, and from plaintext."""

    @pytest.fixture
    async def pair(self, pods: Pods, tmp_path: Path) -> AsyncIterator[tuple[EnvoyNode, Envoy, EnvoyNode, Envoy]]:
        """Two sidecars; the server's is STRICT but for its plain port."""
        protocols = {80: AppProtocol.HTTP11, 81: AppProtocol.TCP}
        pods.tell(
            world.service(ECHO, loopback_address(), ports={80: 8080, 81: 8081, 82: 8082}, app_protocols=protocols)
        )
        server = a_sidecar(pods, "server", protocol=Protocol.TCP, services={f"default/{ECHO}": {}})
        server = dataclasses.replace(server, labels={"app": "server"}, listens_on_hbone=False)
        client = a_sidecar(pods)
        strict = meshes.peer_authentication(
            "strict", selector={"app": "server"}, mtls=MutualTls.STRICT, port_level_mtls={8082: MutualTls.PERMISSIVE}
        )
        source = Source(principals=("cluster.local/ns/default/sa/client",))
        # Without its port the rule would deny plain connections too: nobody sees their path.
        hidden = Rule((source,), (Operation(paths=("/secret",), ports=(8080,)),))
        secret = policy(hidden, action=Action.DENY, selector={"app": "server"})
        with (
            told(pods, tmp_path, server, strict, secret, sidecars=("server",)) as its_envoy,
            told(pods, tmp_path, client, strict, sidecars=("server",)) as envoy,
        ):
            yield client, envoy, server, its_envoy

    async def test_requests_are_encrypted_and_say_who_sent_them(
        self, pair: tuple[EnvoyNode, Envoy, EnvoyNode, Envoy]
    ) -> None:
        client, envoy, server, its_envoy = pair
        async with redirected(answer_with_the_head, server.ip, 8080):
            proxy = ("-x", f"http://{client.ip}:{HTTP_PROXY_PORT}")
            status, seen = await curl(*proxy, f"http://{ECHO}/")
            assert status == 200
            assert (await curl(*proxy, f"http://{ECHO}/secret"))[0] == 403
        assert its_envoy.stat("http.inbound_0.0.0.0_8080.rbac.denied") == 1
        assert "URI=spiffe://cluster.local/ns/default/sa/client" in seen["text"]
        assert envoy.stat(f"cluster.outbound|80||{ECHO}.tlsMode-istio.total_match_count") == 1
        assert envoy.stat(f"cluster.outbound|80||{ECHO}.ssl.handshake") == 1
        assert its_envoy.stat("http.inbound_0.0.0.0_8080.downstream_cx_ssl_total") == 1

    async def test_so_are_plain_connections(self, pair: tuple[EnvoyNode, Envoy, EnvoyNode, Envoy], pods: Pods) -> None:
        client, envoy, server, its_envoy = pair
        [vip] = next(one for one in pods.objects if isinstance(one, Service)).vips
        async with (
            redirected(echo, server.ip, 8081),
            captured((client.ip, 15001), client.ip, f"{vip.ip}:81") as caller,
        ):
            await talk(caller, NO_HTTP)
        assert envoy.stat(f"cluster.outbound|81||{ECHO}.ssl.handshake") == 1
        assert its_envoy.stat("tcp.inbound|8081||.downstream_cx_total") == 1

    async def test_plaintext_is_let_in_where_it_may_be(self, pair: tuple[EnvoyNode, Envoy, EnvoyNode, Envoy]) -> None:
        _, _, server, its_envoy = pair
        async with redirected(echo, server.ip, 8081), redirected(echo, server.ip, 8082):
            async with dial(server.ip, 8082) as caller:
                await talk(caller, NO_HTTP)
            async with dial(server.ip, 8081) as caller:
                await caller.send(NO_HTTP)
                assert (await read_to_end(caller)).data == b""
        assert its_envoy.stat("no_filter_chain_match") == 1

    async def test_a_server_that_is_somebody_else_gets_nothing(
        self, pair: tuple[EnvoyNode, Envoy, EnvoyNode, Envoy], pods: Pods, tmp_path: Path
    ) -> None:
        client, envoy, server, _ = pair
        pods.authority.files["server"] = pods.authority.of("impostor")
        # The same pod, whose sidecar shows another account's certificate.
        node = dataclasses.replace(server, ip=parse_ip(loopback_address()))
        node = dataclasses.replace(node, bind_address=node.ip)
        with told(pods, tmp_path, node, sidecars=("server",)):

            async def to_the_impostor(connection: Connection) -> None:
                await forward(connection, node.ip, (server.ip, 8080))

            async with TcpApp(to_the_impostor, server.ip, 8080):
                status, _ = await curl("-x", f"http://{client.ip}:{HTTP_PROXY_PORT}", f"http://{ECHO}/")
        assert status == 503
        assert envoy.stat(f"cluster.outbound|80||{ECHO}.ssl.fail_verify_san") >= 1


async def answer_with_the_head(connection: Connection) -> None:
    """Answer requests with what they look like here."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += await connection.receive()
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(head), head))


async def captured_request(proxy: str, destination: str) -> str:
    """The body of the answer to a request that redirection brought to a sidecar."""
    async with captured((proxy, 15001), proxy, destination) as caller:
        await caller.send(b"GET /hostname HTTP/1.1\r\nHost: echo\r\nConnection: close\r\n\r\n")
        answer = b""
        while chunk := await caller.receive():
            answer += chunk
    return answer.decode().partition("\r\n\r\n")[2]


class Behind:
    """A waypoint for the service `echo`, the pods that serve it, and two that call."""

    def __init__(self, pods: Pods, *, with_workload: bool = True) -> None:
        self.pods = pods
        ip = loopback_address()
        self.vip = loopback_address()
        self.node = meshes.waypoint(ip, bind_address=ip)
        gateway = world.gateway(f"/{ip}")
        pods.tell(
            world.workload("waypoint", ip, node="elsewhere", native_tunnel=True),
            meshes.echo_service(self.vip, waypoint=gateway),
        )
        self.client = pods.add("client")
        self.other = pods.add("other")
        self.server = pods.add("server", services={f"default/{ECHO}": {}})
        if with_workload:
            self.direct = pods.add("direct", waypoint=gateway)

    async def get(self, path: str, *arguments: str, source: Pod | None = None) -> tuple[int, dict[str, object]]:
        """Ask the service over the ambient mesh."""
        ip = (source or self.client).ip
        return await curl("--interface", ip, "--socks5", f"{ip}:15080", f"http://{self.vip}{path}", *arguments)


@pytest.fixture
async def behind(pods: Pods) -> Behind:
    return Behind(pods)


class TestGateway:
    async def test_hosts_are_routed_to_ambient_pods(self, pods: Pods, tmp_path: Path) -> None:
        pods.tell(meshes.echo_service(loopback_address()))
        server = pods.add("server", services={f"default/{ECHO}": {}})
        ip = loopback_address()
        node = meshes.router(ip, bind_address=ip)
        pods.tell(world.workload("ingress", ip, node="elsewhere"))
        gateway = meshes.gateway(Listener("http", 8000, "HTTP", "*.example.org"))
        route = meshes.gateway_route(rule("/hostname"), hostnames=("echo.example.org",))
        with told(pods, tmp_path, node, gateway, route) as envoy:
            async with serving(server.ip, "server"):
                for host, path, status in (
                    ("echo.example.org", "/hostname", 200),
                    ("echo.example.org:8000", "/hostname", 200),
                    ("echo.example.org", "/ip", 404),
                    ("other.example.org", "/hostname", 404),
                ):
                    found, _ = await curl("-H", f"Host: {host}", f"http://{ip}:8000{path}")
                    assert (host, path, found) == (host, path, status)
            assert envoy.stat("tcp.connect_originate.downstream_cx_total") == 1
        assert (await server.its_proxy.line())["src.identity"] == "spiffe://cluster.local/ns/default/sa/ingress"


class TestWaypoint:
    async def test_it_routes_requests_between_two_tunnels(self, behind: Behind, pods: Pods, tmp_path: Path) -> None:
        headers = RequestHeaderModifier(HeaderChanges(set=(Header("x-share", "50%"),), remove=("x-secret",)))
        route = http_route(
            rule("=/gone", backend("nobody")),
            rule("/api", filters=(UrlRewrite(path=PathModifier("/", replaces_prefix=True)), headers)),
            rule("/delay", timeouts=Timeouts(request=0.1)),
            rule("/status/503", retry=Retry(codes=(503,), attempts=2)),
            rule("/headers", filters=(Cors(("https://*.example.org",), allow_methods=("PUT",)),)),
        )
        with told(pods, tmp_path, behind.node, route) as envoy:
            async with serving(behind.server.ip, "server") as record:
                assert (await behind.get("/gone"))[0] == 500
                assert (await behind.get("/hostname"))[0] == 404
                assert (await behind.get("/delay/0.5"))[0] == 504
                status, _seen = await behind.get("/api/anything?a=b", "-H", "x-secret: s")
                assert status == 200
                assert (await behind.get("/status/503"))[0] == 503
                preflight = ("-X", "OPTIONS", "-H", "Access-Control-Request-Method: PUT", "-i")
                for origin, is_allowed in (("https://a.example.org", True), ("https://b.example.com", False)):
                    _, answer = await behind.get("/headers", *preflight, "-H", f"Origin: {origin}")
                    assert ("access-control-allow-origin" in str(answer)) is is_allowed
            [call] = [one for one in record.calls() if one.path == "/anything?a=b"]
            assert call.headers["x-share"] == "50%"
            assert "x-secret" not in call.headers
            assert len([one for one in record.calls() if one.path == "/status/503"]) == 3
            cluster = f"cluster.inbound-vip|80|http|{ECHO}"
            assert envoy.stat(f"{cluster}.upstream_rq_retry") == 2
            assert envoy.stat(f"{cluster}.upstream_rq_timeout") == 1
            line = await behind.server.its_proxy.line()
            assert line["src.identity"] == "spiffe://cluster.local/ns/default/sa/waypoint"

    async def test_the_clients_identity_address_and_request_decide(
        self, behind: Behind, pods: Pods, tmp_path: Path
    ) -> None:
        by_name = Source(principals=("cluster.local/ns/default/sa/client",))
        by_address = Source(ip_blocks=(Cidr.parse(behind.client.ip),))
        allowed = policy(
            Rule((by_name,), (Operation(methods=("GET",), paths=("/anything*", "/hostname")),)),
            Rule((by_address,), (Operation(paths=("/ip",)),)),
            service="echo",
        )
        spoof = ("-H", f"x-forwarded-for: {behind.client.ip}")
        with told(pods, tmp_path, behind.node, allowed) as envoy:
            async with serving(behind.server.ip, "server"):
                for path, more, source, status in (
                    ("/hostname", (), behind.client, 200),
                    ("/hostname", ("-d", "a POST"), behind.client, 403),
                    ("/headers", (), behind.client, 403),
                    ("/hostname", (), behind.other, 403),
                    ("/ip", (), behind.client, 200),
                    ("/ip", (), behind.other, 403),
                    ("/ip", spoof, behind.other, 403),
                ):
                    found, _ = await behind.get(path, *more, source=source)
                    assert (path, more, source.name, found) == (path, more, source.name, status)
            assert envoy.stat(f"http.inbound-vip|80|http|{ECHO}.rbac.allowed") == 2
            assert envoy.stat(f"http.inbound-vip|80|http|{ECHO}.rbac.denied") == 5

    async def test_plain_connections_and_those_to_a_workload_go_through(
        self, behind: Behind, pods: Pods, tmp_path: Path
    ) -> None:
        with told(pods, tmp_path, behind.node) as envoy:
            async with TcpApp(echo, behind.server.ip, 8080), TcpApp(echo, behind.direct.ip, 8080):
                for destination in (f"{behind.vip}:81", f"{behind.direct.ip}:8080"):
                    async with behind.client.call(destination) as caller:
                        await talk(caller, NO_HTTP)
            assert envoy.stat(f"tcp.inbound-vip|81|tcp|{ECHO}.downstream_cx_total") == 1
            assert envoy.stat("tcp.encap.downstream_cx_total") == 1

    async def test_a_server_that_speaks_first_is_not_kept_waiting(self, pods: Pods, tmp_path: Path) -> None:
        behind = Behind(pods, with_workload=False)
        with told(pods, tmp_path, behind.node) as envoy:
            async with (
                TcpApp(tcp_apps.source(b"220 ready"), behind.server.ip, 8080),
                behind.client.call(f"{behind.vip}:81") as caller,
            ):
                assert await read_exactly(caller, 9) == b"220 ready"
            assert envoy.stat("downstream_pre_cx_timeout") == 0

    async def test_nobody_who_is_not_attached_is_served(self, behind: Behind, pods: Pods, tmp_path: Path) -> None:
        with told(pods, tmp_path, behind.node) as envoy:
            async with TcpApp(echo, behind.other.ip) as app:
                pods.change("other", waypoint=world.gateway(f"/{behind.node.ip}"))  # the node proxies think it is
                async with behind.client.call(app.authority) as caller:
                    with pytest.raises((ConnectionError, AssertionError)):
                        await talk(caller, NO_HTTP)
                assert not app.connections
            assert envoy.stat("listener.envoy_internal_main_internal.no_filter_chain_match") == 1
