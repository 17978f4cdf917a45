"""The real Envoy takes all it has from a running control plane: listeners, routes, clusters, endpoints, secrets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from typing import TYPE_CHECKING

import pytest

from istiod_py.envoy.bootstrap import ClientCertificate, ControlPlane, TokenFile, bootstrap
from lab_py.apps import httpbin
from lab_py.apps.caller_record import CallerRecord
from tests.interop.callers import talk
from tests.istiod_py.envoy import meshes
from tests.istiod_py.envoy.meshes import ECHO, curl
from tests.support import world
from tests.support.certificates import TestRoot
from tests.support.envoy import FLAGS, Envoy, run_envoy
from tests.support.istiod import Istiod, start_istiod
from tests.support.istiod_root import IstiodRoot
from tests.support.pods import Pod, Pods
from tests.support.processes import PeerProcess, eventually, loopback_address
from tests.support.require import require_envoy
from tests.support.tcp_apps import Connection, TcpApp, echo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from istiod_py.envoy.node import EnvoyNode
    from tests.support.certificates import CertificateFiles

pytestmark = pytest.mark.interop

NAMESPACE = """
apiVersion: v1
kind: Namespace
metadata: {name: default, labels: {istio.io/dataplane-mode: ambient}}
"""
POD = """---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: default, labels: {labels}}}
spec: {{serviceAccountName: {name}, nodeName: {name}, containers: [{{name: app}}]}}
status: {{podIP: {ip}}}
"""
SERVICE = """---
apiVersion: v1
kind: Service
metadata: {{name: echo, namespace: default, labels: {labels}}}
spec: {{clusterIP: {vip}, selector: {{app: echo}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
"""
GATEWAY = """---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: default}
spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}
"""
ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: echo, namespace: default}}
spec:
  parentRefs: [{{group: "", kind: Service, name: echo}}]
  rules:
  - matches: [{{headers: [{{name: x-version, value: "{version}", type: RegularExpression}}]}}]
    backendRefs: [{{name: echo, port: 80}}]
"""
POLICY = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nobody, namespace: default}
spec: {targetRefs: [{group: "", kind: Service, name: echo}]}
"""
DESTINATION_RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: echo, namespace: default}}
spec: {{host: echo, trafficPolicy: {policy}, subsets: {subsets}}}
"""
V2_POLICY = (
    "{loadBalancer: {consistentHash: {httpHeaderName: x-user}}, "
    "outlierDetection: {consecutive5xxErrors: 1, baseEjectionTime: 1h, maxEjectionPercent: 100}}"
)
SUBSETS = "[{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}, trafficPolicy: " + V2_POLICY + "}]"
ROUTE_TO_SUBSETS = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: echo, namespace: default}
spec:
  parentRefs: [{group: "", kind: Service, name: echo}]
  rules:
  - matches: [{headers: [{name: x-version, value: v2}]}]
    filters: [{type: ExtensionRef, extensionRef: {group: hbone.mesh, kind: Subset, name: v2}}]
    backendRefs: [{name: echo, port: 80}]
  - filters: [{type: ExtensionRef, extensionRef: {group: hbone.mesh, kind: Subset, name: v1}}]
    backendRefs: [{name: echo, port: 80}]
"""
BOUNDS = "{connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}}"
PATIENCE = 40.0
"""Seconds. Two back-offs of Envoy's, and a control plane that starts on a busy machine."""
NO_RE2 = "v1(?=x)"
"""Fine for us, and nothing that Envoy's regular expressions can do."""


class Joined:
    """A folder that is served, Envoys that join, and pods with node proxies of ours, under one authority."""

    def __init__(self, folder: Path, pods: Pods, istiod: Istiod, processes: contextlib.ExitStack) -> None:
        self.folder = folder
        self.pods = pods
        self.istiod = istiod
        self.vip = loopback_address()
        self._processes = processes

    def write(self, name: str, text: str) -> None:
        """A file of the folder, from now on."""
        (self.istiod.folder / f"{name}.yaml").write_text(text)

    async def serve(self, *rows: str) -> None:
        """These pods and services are the mesh; awaited until they are."""
        self.write("mesh", NAMESPACE + "".join(rows))
        await eventually(lambda: self.vip in self.istiod.get("/debug/ambientz"), "served")

    def serve_again(self) -> None:
        """Start the control plane again where it was."""
        process = start_istiod(self.istiod.folder, self.istiod.state, self.istiod.address)
        self.istiod = self._processes.enter_context(process)
        self.istiod.wait_ready()

    def envoy(self, node: EnvoyNode, *, certificate: bool = False, delta: bool = True) -> AbstractContextManager[Envoy]:
        """An Envoy with nothing but a bootstrap; without `delta` it asks for the state of the world."""
        proof = self.certificate_of(node) if certificate else self.token_of(node)
        config = self.bootstrap(node, proof, "DELTA_GRPC" if delta else "GRPC")
        return run_envoy("mesh", node.ip, config, {"ADMIN_PORT": "15000"})

    def bootstrap(self, node: EnvoyNode, proof: TokenFile | ClientCertificate, form: str = "DELTA_GRPC") -> Path:
        """The file it starts with."""
        starts_with = bootstrap(node, ControlPlane(self.istiod.address, 15012, str(self.istiod.roots), proof))
        stream = starts_with["dynamic_resources"]["ads_config"]
        stream["api_type"] = form
        stream["grpc_services"][0]["retry_policy"] = {"retry_back_off": {"base_interval": "0.2s", "max_interval": "1s"}}
        config = self.folder / f"{node.name}.json"
        config.write_text(json.dumps(starts_with))
        return config

    def token_of(self, node: EnvoyNode, token: str = "") -> TokenFile:
        """A file with a token for it, written now; a right one, unless it is given."""
        file = self.folder / f"{node.name}.token"
        file.write_text(token or self.istiod.token(f"default/{node.service_account}"))
        return TokenFile(str(file))

    def certificate_of(self, node: EnvoyNode) -> ClientCertificate:
        """A certificate of its account."""
        files = self.pods.authority.of(node.service_account)
        return ClientCertificate(str(files.chain), str(files.key))


@contextlib.contextmanager
def an_istiod(base: Path, *flags: str) -> Iterator[Istiod]:
    """A control plane over an empty folder."""
    (base / "mesh").mkdir(parents=True)
    with start_istiod(base / "mesh", base / "state", loopback_address(), *flags) as istiod:
        istiod.wait_ready()
        yield istiod


@contextlib.asynccontextmanager
async def joining(folder: Path, istiod: Istiod) -> AsyncIterator[Joined]:
    """The folder is empty again afterwards."""
    async with Pods(IstiodRoot(folder / "files", istiod.state / "ca")) as pods:
        with contextlib.ExitStack() as processes:
            yield Joined(folder, pods, istiod, processes)
    for file in istiod.folder.iterdir():
        file.unlink()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Istiod]:
    with an_istiod(tmp_path_factory.mktemp("shared")) as istiod:
        yield istiod


@pytest.fixture
async def joined(shared: Istiod, tmp_path: Path) -> AsyncIterator[Joined]:
    async with joining(tmp_path, shared) as found:
        yield found


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[Joined]:
    """With a control plane of its own, which the test may end."""
    with an_istiod(tmp_path / "istiod") as istiod:
        async with joining(tmp_path, istiod) as found:
            yield found


@pytest.fixture
async def hurried(tmp_path: Path) -> AsyncIterator[Joined]:
    """With one whose certificates last for three seconds."""
    with an_istiod(tmp_path / "istiod", "--cert-ttl", "3s") as istiod:
        async with joining(tmp_path, istiod) as found:
            yield found


def row(name: str, ip: str, **labels: str) -> str:
    """A pod of the folder."""
    return POD.format(name=name, ip=ip, labels=json.dumps(labels))


def of_pod(pod: Pod, **labels: str) -> str:
    return row(pod.name, pod.ip, **labels)


def a_sidecar(joined: Joined) -> tuple[EnvoyNode, str]:
    """`sleep`, whose sidecar takes tunnels too, and its row in the folder."""
    ip = loopback_address()
    joined.pods.tell(world.workload("sleep", ip, node="sleep", native_tunnel=True))
    labels = {"app": "sleep", "sidecar.istio.io/inject": "true"}
    node = meshes.sidecar(
        ip,
        "sleep",
        service_account="sleep",
        labels=labels,
        bind_address=ip,
        http_proxy_port=15007,
        takes_proxy_protocol=True,
        listens_on_hbone=True,
    )
    return node, row("sleep", ip, **labels, **{"networking.istio.io/tunnel": "http"})


async def ask(node: EnvoyNode, *arguments: str) -> int:
    """The status of a request by the sidecar's application."""
    status, _ = await curl("-x", f"http://{node.ip}:15007", f"http://{ECHO}/hostname", *arguments)
    return status


@pytest.mark.parametrize("usual", [True, False], ids=["delta, by token", "state of the world, by certificate"])
async def test_a_sidecar_joins_and_carries_traffic_both_ways(joined: Joined, usual: bool) -> None:
    server, friend = joined.pods.add("echo"), joined.pods.add("friend")
    node, sleep = a_sidecar(joined)
    await joined.serve(sleep, of_pod(server, app="echo"), SERVICE.format(vip=joined.vip, labels="{}"))
    with joined.envoy(node, certificate=not usual, delta=usual) as envoy:
        async with httpbin.serve(server.ip, 8080, "echo", CallerRecord()):
            await eventually(envoy.is_serving, "serving")
            assert await ask(node) == 200
        async with TcpApp(echo, node.ip) as app, friend.call(app.authority) as caller:
            await talk(caller, b"\0 and back \0")
        source = (await server.its_proxy.line())["src.identity"]
        assert source == "spiffe://cluster.local/ns/default/sa/sleep"
        for kind in ("cluster_manager.cds", "listener_manager.lds", "sds.default", "sds.ROOTCA"):
            assert envoy.stat(f"{kind}.update_success") == 1
            assert envoy.stat(f"{kind}.update_rejected") == 0
        assert envoy.stat("cluster.connect_originate.ssl.handshake") == 1
        assert envoy.stat("http.connect_terminate.downstream_cx_http2_total") == 1
        assert envoy.stat("control_plane.connected_state") == 1


async def test_an_edit_reaches_it_and_a_broken_one_leaves_what_was(joined: Joined) -> None:
    server = joined.pods.add("echo")
    node, sleep = a_sidecar(joined)
    await joined.serve(sleep, of_pod(server, app="echo"), SERVICE.format(vip=joined.vip, labels="{}"))
    routes = "http.outbound_http_proxy.rds.http_proxy"
    with joined.envoy(node) as envoy:
        async with httpbin.serve(server.ip, 8080, "echo", CallerRecord()):
            await eventually(lambda: envoy.stat(f"{routes}.update_success") == 1, "routes")
            joined.write("route", ROUTE.format(version="v1"))
            await eventually(lambda: envoy.stat(f"{routes}.update_success") == 2, "the edit")
            assert (await ask(node), await ask(node, "-H", "x-version: v1")) == (404, 200)

            refused = joined.istiod.count("pilot_total_xds_rejects", "rds")
            joined.write("route", ROUTE.format(version=NO_RE2))
            await eventually(lambda: envoy.stat(f"{routes}.update_rejected") == 1, "a refusal")
            await eventually(lambda: joined.istiod.count("pilot_total_xds_rejects", "rds") > refused, "counted")
            for said in ("NACK rds from sleep.default", "invalid perl operator"):
                await eventually(lambda: said in joined.istiod.process.output, "logged")  # noqa: B023
            assert (await ask(node), await ask(node, "-H", "x-version: v1")) == (404, 200)

            joined.write("route", ROUTE.format(version="v2"))
            await eventually(lambda: envoy.stat(f"{routes}.update_success") == 3, "the repair")
            assert (await ask(node, "-H", "x-version: v1"), await ask(node, "-H", "x-version: v2")) == (404, 200)
        # Of all that, clusters and listeners have heard nothing.
        assert envoy.stat("cluster_manager.cds.update_success") == 1
        assert envoy.stat("listener_manager.lds.update_success") == 1


async def test_without_a_control_plane_it_goes_on_and_then_hears_what_it_missed(alone: Joined) -> None:
    server = alone.pods.add("echo")
    node, sleep = a_sidecar(alone)
    await alone.serve(sleep, of_pod(server, app="echo"), SERVICE.format(vip=alone.vip, labels="{}"))
    with alone.envoy(node, certificate=True) as envoy:
        async with httpbin.serve(server.ip, 8080, "echo", CallerRecord()):
            await eventually(envoy.is_serving, "serving")
            alone.istiod.process.stop()
            await eventually(lambda: envoy.stat("control_plane.connected_state") == 0, "alone")
            assert await ask(node) == 200
            alone.write("route", ROUTE.format(version="v1"))
            alone.serve_again()
            await eventually(lambda: envoy.stat("control_plane.connected_state") == 1, "joined again", PATIENCE)
            reloads = "http.outbound_http_proxy.rds.http_proxy.config_reload"
            await eventually(lambda: envoy.stat(reloads) == 2, "news", PATIENCE)
            assert (await ask(node), await ask(node, "-H", "x-version: v1")) == (404, 200)
        # What it said it had was not sent again.
        assert envoy.stat("cluster_manager.cluster_added") == envoy.stat("cluster_manager.active_clusters")
        assert envoy.stat("cluster_manager.cluster_modified") == 0


async def test_a_new_certificate_arrives_before_the_old_one_ends(hurried: Joined) -> None:
    server = hurried.pods.add("echo")
    node, sleep = a_sidecar(hurried)
    await hurried.serve(sleep, of_pod(server, app="echo"), SERVICE.format(vip=hurried.vip, labels="{}"))
    with hurried.envoy(node) as envoy:
        async with httpbin.serve(server.ip, 8080, "echo", CallerRecord()):
            await eventually(lambda: envoy.stat("sds.default.update_success") == 1, "a certificate")
            first = envoy.stat("cluster.connect_originate.ssl.certificate.default.expiration_unix_time_seconds")
            assert await ask(node) == 200
            await eventually(lambda: envoy.stat("sds.default.update_success") >= 2, "another")
            assert await ask(node) == 200
        expires = envoy.stat("cluster.connect_originate.ssl.certificate.default.expiration_unix_time_seconds")
        assert expires > first
        assert envoy.stat("sds.default.update_rejected") == 0


async def test_a_wrong_token_is_refused_and_a_right_one_read_without_a_restart(joined: Joined) -> None:
    node, sleep = a_sidecar(joined)
    await joined.serve(sleep, SERVICE.format(vip=joined.vip, labels="{}"))
    refusals = "citadel_server_authentication_failure_count"
    before = joined.istiod.count(refusals, "malformed")
    config = joined.bootstrap(node, joined.token_of(node, "no.such.token"))
    command = [str(require_envoy()), "-c", str(config), *FLAGS]
    process = PeerProcess(command, joined.folder / "envoy.log")
    try:
        await eventually(lambda: joined.istiod.count(refusals, "malformed") > before, "refused")
        await eventually(lambda: "closed: 16, request authenticate failure" in process.output, "told why")
        joined.token_of(node)
        envoy = Envoy("mesh", node.ip, process, {"ADMIN_PORT": "15000"})
        await eventually(envoy.is_ready, "joined", PATIENCE)
        assert envoy.stat("sds.default.update_success") == 1
    finally:
        process.stop()


async def test_a_waypoint_joins_between_two_node_proxies(joined: Joined) -> None:
    ip = loopback_address()
    node = meshes.waypoint(ip, service_account="waypoint", bind_address=ip)
    joined.pods.tell(
        world.workload("waypoint", ip, node="elsewhere", native_tunnel=True),
        meshes.echo_service(joined.vip, waypoint=world.gateway(f"/{ip}")),
    )
    client, server = joined.pods.add("client"), joined.pods.add("echo", services={f"default/{ECHO}": {}})
    await joined.serve(
        row("waypoint", ip, **{"gateway.networking.k8s.io/gateway-name": "waypoint"}),
        of_pod(client),
        of_pod(server, app="echo"),
        SERVICE.format(vip=joined.vip, labels='{"istio.io/use-waypoint": "waypoint"}'),
        GATEWAY,
    )
    call = ("--interface", client.ip, "--socks5", f"{client.ip}:15080", f"http://{joined.vip}/hostname")
    with joined.envoy(node) as envoy:
        async with httpbin.serve(server.ip, 8080, "echo", CallerRecord()):
            await eventually(envoy.is_serving, "serving")
            assert await curl(*call) == (200, {"hostname": "echo"})
            joined.write("policy", POLICY)
            await eventually(lambda: envoy.stat("listener_manager.lds.update_success") == 2, "the policy")
            status, _ = await curl(*call)
            assert status == 403
        assert envoy.stat(f"http.inbound-vip|80|http|{ECHO}.rbac.denied") == 1
        line = await server.its_proxy.line()
        assert line["src.identity"] == "spiffe://cluster.local/ns/default/sa/waypoint"


NO_MESH = {"istio.io/dataplane-mode": "none"}


async def named(node: EnvoyNode, *headers: str, path: str = "hostname") -> str:
    """Which pod answers the application's request."""
    asked = [word for header in headers for word in ("-H", header)]
    _, answer = await curl("-x", f"http://{node.ip}:15007", f"http://{ECHO}/{path}", *asked)
    return str(answer.get("hostname"))


async def test_requests_reach_the_pods_of_the_subset_that_their_route_names(joined: Joined) -> None:
    node, sleep = a_sidecar(joined)
    pods = {name: loopback_address() for name in ("one", "two", "three")}
    rows = [row(name, ip, app="echo", version="v1" if name == "one" else "v2", **NO_MESH) for name, ip in pods.items()]
    await joined.serve(sleep, *rows, SERVICE.format(vip=joined.vip, labels="{}"))
    joined.write("rule", DESTINATION_RULE.format(policy="{}", subsets=SUBSETS))
    joined.write("route", ROUTE_TO_SUBSETS)
    subset = f"cluster.outbound|80|v2|{ECHO}"
    async with contextlib.AsyncExitStack() as running:
        envoy = running.enter_context(joined.envoy(node))
        for name, ip in pods.items():
            await running.enter_async_context(httpbin.serve(ip, 8080, name, CallerRecord()))
        await eventually(lambda: envoy.stat(f"{subset}.membership_total") == 2, "subsets")
        await eventually(envoy.is_serving, "serving")
        assert {await named(node) for _ in range(4)} == {"one"}
        by_user = {user: await named(node, "x-version: v2", f"x-user: {user}") for user in "abcdefgh"}
        assert set(by_user.values()) == {"two", "three"}
        assert [await named(node, "x-version: v2", f"x-user: {user}") for user in by_user] == list(by_user.values())
        assert envoy.stat(f"{subset}.upstream_rq_200") == 2 * len(by_user)
        assert envoy.stat(f"cluster.outbound|80|v1|{ECHO}.upstream_rq_200") == 4
        # Who fails once is left out; its users go to the other.
        await named(node, "x-version: v2", "x-user: a", path="status/503")
        assert envoy.stat(f"{subset}.outlier_detection.ejections_active") == 1
        others = {"two", "three"} - {by_user["a"]}
        assert {await named(node, "x-version: v2", f"x-user: {user}") for user in by_user} == others
        listed = [line for line in envoy.admin("/clusters").splitlines() if line.startswith(f"outbound|80|v2|{ECHO}::")]
        failed = f"{pods[by_user['a']]}:8080::health_flags::/failed_outlier_check"
        assert f"outbound|80|v2|{ECHO}::{failed}" in listed


async def test_what_a_rule_bounds_envoy_bounds_from_the_edit_on(joined: Joined) -> None:
    node, sleep = a_sidecar(joined)
    ip, gate = loopback_address(), asyncio.Event()

    async def held(connection: Connection) -> None:
        while await connection.receive():
            await gate.wait()
            await connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    await joined.serve(sleep, row("echo", ip, app="echo", **NO_MESH), SERVICE.format(vip=joined.vip, labels="{}"))
    cluster = f"cluster.outbound|80||{ECHO}"
    async with contextlib.AsyncExitStack() as running:
        envoy = running.enter_context(joined.envoy(node))
        await running.enter_async_context(TcpApp(held, ip, 8080))
        await eventually(envoy.is_serving, "serving")
        assert envoy.stat(f"{cluster}.circuit_breakers.default.remaining_cx") > 1_000_000
        joined.write("rule", DESTINATION_RULE.format(policy=BOUNDS, subsets="[]"))
        await eventually(lambda: envoy.stat(f"{cluster}.circuit_breakers.default.remaining_cx") == 1, "the edit")
        async with asyncio.TaskGroup() as asking:
            first = asking.create_task(ask(node))
            await eventually(lambda: envoy.stat(f"{cluster}.upstream_rq_active") == 1, "one is served")
            second = asking.create_task(ask(node))
            await eventually(lambda: envoy.stat(f"{cluster}.upstream_rq_pending_active") == 1, "one waits")
            assert await ask(node) == 503
            gate.set()
        assert (first.result(), second.result()) == (200, 200)
        assert envoy.stat(f"{cluster}.upstream_rq_pending_overflow") == 1


async def test_it_begins_tls_as_a_rule_asks_and_takes_nobody_else(joined: Joined) -> None:
    node, sleep = a_sidecar(joined)
    ip, root = loopback_address(), TestRoot(joined.folder / "outside")
    server, client = root.issue_server("its", ECHO), root.issue_server("ours", "client.example")
    stranger = TestRoot(joined.folder / "stranger")
    await joined.serve(sleep, row("echo", ip, app="echo", **NO_MESH), SERVICE.format(vip=joined.vip, labels="{}"))
    shown = f"clientCertificate: {client.chain}, privateKey: {client.key}"
    cluster = f"cluster.outbound|80||{ECHO}"
    async with contextlib.AsyncExitStack() as running:
        envoy = running.enter_context(joined.envoy(node))
        callers: list[str] = []
        await running.enter_async_context(tls_server(ip, server, callers))

        async def answer(tls: str) -> int:
            before = envoy.stat("cluster_manager.cds.update_success")
            joined.write("rule", DESTINATION_RULE.format(policy=f"{{tls: {{{tls}}}}}", subsets="[]"))
            await eventually(lambda: envoy.stat("cluster_manager.cds.update_success") > before, "the edit")
            await eventually(lambda: envoy.stat("cluster_manager.warming_clusters") == 0, "in use")
            return await ask(node)

        await eventually(envoy.is_serving, "serving")
        assert await answer(f"mode: MUTUAL, caCertificates: {root.roots}, {shown}") == 200
        assert callers == ["client.example"]
        assert await answer(f"mode: MUTUAL, caCertificates: {root.roots}, {shown}, sni: another.example") == 503
        assert envoy.stat(f"{cluster}.ssl.fail_verify_san") > 0
        assert await answer(f"mode: MUTUAL, caCertificates: {stranger.roots}, {shown}") == 503
        assert envoy.stat(f"{cluster}.ssl.fail_verify_error") > 0
        assert len(callers) == 1


@contextlib.asynccontextmanager
async def tls_server(ip: str, files: CertificateFiles, callers: list[str]) -> AsyncIterator[None]:
    """Python's own TLS on 8080, which demands a certificate; `callers` gets the name in each."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(files.roots))
    context.load_cert_chain(files.chain, files.key)
    context.verify_mode = ssl.CERT_REQUIRED

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        [[_, name]] = writer.get_extra_info("peercert")["subjectAltName"]
        callers.append(name)
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, ip, 8080, ssl=context):
        yield
