"""Two node proxies of ours under Istio's own control plane: what it says is understood, what it signs is used.

ISTIOD_PEER names the control plane (tests/peers/README.md); without it this is skipped.
"""

from __future__ import annotations

import contextlib
import json
import sys
import urllib.request
from typing import TYPE_CHECKING

import pytest

from mesh_py.xds.types import ADDRESS
from tests.interop.callers import read_to_end, talk
from tests.istiod_py.joined import NOBODY, SERVICE, JoinedMesh, logged, mesh_of
from tests.support.istiod import start_istiod
from tests.support.pods import captured
from tests.support.processes import PeerProcess, eventually, loopback_address
from tests.support.real_istiod import start_real_istiod
from tests.support.require import real_istiod
from tests.support.tcp_apps import TcpApp, echo
from tests.ztunnel_py.worlds import CLEAN, START_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.istiod import Istiod

pytestmark = pytest.mark.interop

VIP = "127.9.9.9"
SENT = "pilot_xds_config_size_bytes_sum"
ISSUED = "citadel_server_success_cert_issuance_count"
ZTUNNEL = """---
apiVersion: v1
kind: Pod
metadata: {{name: ztunnel-{name}, namespace: istio-system, uid: uid-of-ztunnel-{name}}}
spec: {{serviceAccountName: ztunnel, nodeName: {name}, containers: [{{name: istio-proxy}}]}}
status: {{podIP: {ip}, phase: Running}}
"""
"""Istio's authority looks a node proxy's own pod up, with its UID."""
STRICT = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: default}
spec: {mtls: {mode: STRICT}}
"""


WAYPOINT = """
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: wp, namespace: default, labels: {{istio.io/waypoint-for: service}}}}
spec: {{gatewayClassName: istio-waypoint, listeners: [{{name: mesh, port: 15008, protocol: HBONE}}]}}
status: {{addresses: [{{type: Hostname, value: wp.default.svc.cluster.local}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: wp, namespace: default, labels: {{gateway.networking.k8s.io/gateway-name: wp}}}}
spec:
  clusterIP: 127.9.9.8
  selector: {{gateway.networking.k8s.io/gateway-name: wp}}
  ports: [{{name: mesh, port: 15008}}]
---
apiVersion: v1
kind: Pod
metadata:
  name: wp-1
  namespace: default
  labels: {{gateway.networking.k8s.io/gateway-name: wp, istio.io/dataplane-mode: none}}
spec: {{serviceAccountName: wp, nodeName: server, containers: [{{name: istio-proxy}}]}}
status: {{podIP: {ip}, phase: Running}}
---
apiVersion: v1
kind: Service
metadata: {{name: behind, namespace: default, labels: {{istio.io/use-waypoint: wp}}}}
spec: {{clusterIP: {vip}, selector: {{app: server}}, ports: [{{name: tcp, port: 80, targetPort: {port}}}]}}
"""
"""As Istio deploys one, for a service of bytes."""


class RealMesh(JoinedMesh):
    """The same mesh, told by Istio."""

    @contextlib.contextmanager
    def controlled(self) -> Iterator[Istiod]:
        self.starts += 1
        log = f"istiod-{self.starts}.log"
        with start_real_istiod(self.folder, self.state, self.address, log) as self.istiod:
            self.istiod.wait_ready()
            yield self.istiod


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealMesh]:
    """Both proxies, ready."""
    real_istiod()
    with mesh_of(RealMesh, tmp_path_factory.mktemp("mesh")) as mesh:
        proxies = "".join(ZTUNNEL.format(name=name, ip=loopback_address()) for name in mesh.nodes)
        mesh.write("proxies.yaml", proxies)
        with mesh.controlled():
            for node in mesh.nodes.values():
                mesh.start_node(node)
            for node in mesh.nodes.values():
                node.process.wait_until(node.is_ready, "ready", START_SECONDS)
            yield mesh


async def test_edits_reach_the_mesh_while_traffic_flows(mesh: RealMesh) -> None:
    async with TcpApp(echo, mesh.server.address) as app, mesh.call(app.authority) as caller:
        await talk(caller, b"hello")
        mesh.write("service.yaml", SERVICE.format(vip=VIP, port=app.port))
        await eventually(lambda: VIP in mesh.sleep.get("/config_dump"), "the service known")
        async with mesh.call(f"{VIP}:80") as by_service:
            await talk(by_service, b"by its address")
        await talk(caller, b"still here")

        mesh.write("policy.yaml", NOBODY)
        assert await read_to_end(caller) == (b"", "reset")
        mesh.remove("policy.yaml")
        await eventually(lambda: "default/nobody" not in mesh.server.get("/config_dump"), "the policy gone")
        async with mesh.call(app.authority) as again:
            await talk(again, b"hello again")
        mesh.remove("service.yaml")
        await eventually(lambda: VIP not in mesh.sleep.get("/config_dump"), "the service gone")
    await eventually(lambda: len(logged(mesh.server)) >= 3, "logged")
    [first, *_] = [one for one in logged(mesh.server) if "error" not in one]
    assert first["src.identity"] == "spiffe://cluster.local/ns/default/sa/sleep"
    assert mesh.istiod.count("pilot_total_xds_rejects") == 0


async def test_its_authority_signs_for_the_pods_of_a_node(mesh: RealMesh) -> None:
    assert mesh.istiod.count(ISSUED) >= 2
    for node in (mesh.sleep, mesh.server):
        [entry] = json.loads(node.get("/config_dump"))["certificates"]
        assert entry["identity"] == f"spiffe://cluster.local/ns/default/sa/{node.name}"
        assert entry["state"] == "Available"


async def test_a_strict_namespace_refuses_plaintext(mesh: RealMesh) -> None:
    async with TcpApp(echo, mesh.server.address) as app:
        async with captured((mesh.server.address, 15006), loopback_address(), app.authority) as stranger:
            await talk(stranger, b"in the clear")
            mesh.write("strict.yaml", STRICT)
            assert await read_to_end(stranger) == (b"", "reset")
        async with mesh.call(app.authority) as caller:
            await talk(caller, b"in a tunnel")
    mesh.remove("strict.yaml")
    await eventually(lambda: "static_strict" not in mesh.server.get("/config_dump"), "the policy gone")


async def test_on_demand_an_address_is_asked_for_and_answered(mesh: RealMesh) -> None:
    async with TcpApp(echo, mesh.server.address) as app:
        with mesh.spare(on="sleep", pod="ztunnel-sleep", XDS_ON_DEMAND="true") as node:
            await eventually(node.is_ready, "ready", START_SECONDS)
            assert mesh.server.address not in node.get("/config_dump")
            async with mesh.call(app.authority, through=node) as caller:
                await talk(caller, b"hello")
            async with (
                TcpApp(echo, loopback_address()) as stranger,
                mesh.call(stranger.authority, through=node) as caller,
            ):
                await talk(caller, b"hello, stranger")


async def test_a_node_proxy_gets_nothing_for_the_pods_of_another_node(mesh: RealMesh) -> None:
    with mesh.spare(on="sleep", pod="ztunnel-server", claims="server") as node:
        await eventually(lambda: "found on node" in mesh.istiod.process.output, "refused")
        await eventually(lambda: "request impersonation authentication failure" in node.log, "told")


async def test_its_node_proxies_go_through_a_waypoint_that_follows_our_control_plane(mesh: RealMesh) -> None:
    """Two control planes over one folder, with one authority: each tells its proxies the same of the other's."""
    way = loopback_address()
    async with TcpApp(echo, mesh.server.address) as app:
        mesh.write("waypoint.yaml", WAYPOINT.format(ip=way, vip=VIP, port=app.port))
        with start_istiod(mesh.folder, mesh.state, loopback_address(), log="ours.log") as ours:
            ours.wait_ready()
            process = _proxy("waypoint_py", "default/wp-1/wp", way, ours)
            try:
                await eventually(lambda: "every type has been answered" in process.output, "the waypoint told")
                await eventually(lambda: VIP in mesh.sleep.get("/config_dump"), "the service known")
                async with mesh.call(f"{VIP}:80") as caller:
                    await talk(caller, b"through the waypoint")
                await eventually(lambda: "/sa/wp" in mesh.server.log, "logged")
            finally:
                process.stop()
    [asked] = [one for one in logged(mesh.sleep) if one.get("dst.service") == "behind.default.svc.cluster.local"]
    assert (asked["dst.hbone_addr"], asked["dst.workload"]) == (f"{VIP}:80", "wp-1")
    assert asked["dst.identity"] == "spiffe://cluster.local/ns/default/sa/wp"
    mesh.remove("waypoint.yaml")


def _proxy(role: str, workload: str, where: str, istiod: Istiod) -> PeerProcess:
    """A proxy of layer 7 for `namespace/pod/account`, joined."""
    namespace, _, account = workload.split("/")
    token = istiod.state / f"{role}.token"
    token.write_text(istiod.token(f"{namespace}/{account}"))
    url, roots = istiod.url, str(istiod.roots)
    told = {"XDS_ADDRESS": url, "XDS_ROOT_CA": roots, "CA_ADDRESS": url, "CA_ROOT_CA": roots, "AUTH_TOKEN": str(token)}
    own = {"PROXY_WORKLOAD_INFO": workload, "PROXY_BIND_ADDRESS": where}
    return PeerProcess([sys.executable, "-m", role], istiod.state / f"{role}.log", {**CLEAN, **told, **own})


@pytest.mark.parametrize("role", ["sidecar_py", "waypoint_py"])
def test_a_proxy_of_layer_7_says_that_it_needs_more_than_istio_tells(mesh: RealMesh, role: str) -> None:
    """It lets nobody in without the policies that it would have to keep."""
    where = loopback_address()
    process = _proxy(role, "default/sleep/sleep", where, mesh.istiod)
    try:
        process.wait_until(lambda: "follow ours (python -m istiod_py), or a mesh file" in process.output, "told")
        with pytest.raises(OSError, match="500"):
            urllib.request.urlopen(f"http://{where}:15021/healthz/ready", timeout=5)
    finally:
        process.stop()


async def test_the_control_plane_may_go_and_come_back_under_traffic(mesh: RealMesh) -> None:
    async with TcpApp(echo, mesh.server.address) as app, mesh.call(app.authority) as caller:
        await talk(caller, b"before")
        assert mesh.istiod.count(SENT, ADDRESS) > 1000
        mesh.istiod.process.kill()
        await eventually(lambda: "discovery stream ended" in mesh.server.log, "noticed")
        await talk(caller, b"meanwhile")
        with mesh.controlled() as back:
            await eventually(lambda: back.count("pilot_xds") == 2, "both back")
            await talk(caller, b"after")
            # Both said what they had kept, and in which versions: there is nothing new.
            assert back.count(SENT, ADDRESS) < 100
            mesh.write("policy.yaml", NOBODY)
            assert await read_to_end(caller) == (b"", "reset")
