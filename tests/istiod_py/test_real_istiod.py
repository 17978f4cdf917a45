"""Two node proxies of ours under Istio's own control plane: what it says is understood, what it signs is used.

ISTIOD_PEER names the control plane (tests/peers/README.md); without it this is skipped.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import pytest

from tests.interop.callers import read_to_end, talk
from tests.istiod_py.joined import NOBODY, SERVICE, JoinedMesh, logged, mesh_of
from tests.support.pods import captured
from tests.support.processes import eventually, loopback_address
from tests.support.real_istiod import start_real_istiod
from tests.support.require import real_istiod
from tests.support.tcp_apps import TcpApp, echo
from tests.ztunnel_py.worlds import START_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.istiod import Istiod

pytestmark = pytest.mark.interop

VIP = "127.9.9.9"
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


async def test_the_control_plane_may_go_and_come_back_under_traffic(mesh: RealMesh) -> None:
    async with TcpApp(echo, mesh.server.address) as app, mesh.call(app.authority) as caller:
        await talk(caller, b"before")
        mesh.istiod.process.kill()
        await eventually(lambda: "discovery stream ended" in mesh.server.log, "noticed")
        await talk(caller, b"meanwhile")
        with mesh.controlled() as back:
            await eventually(lambda: back.count("pilot_xds") == 2, "both back")
            await talk(caller, b"after")
            mesh.write("policy.yaml", NOBODY)
            assert await read_to_end(caller) == (b"", "reset")
