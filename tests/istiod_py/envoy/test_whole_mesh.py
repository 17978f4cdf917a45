"""One folder, one control plane, and all that joins it: two node proxies of ours, two real Envoys.

Nobody here has a file of the mesh or a certificate: everything comes from the control plane.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

import pytest

from istiod_py.envoy.bootstrap import ControlPlane, TokenFile, bootstrap
from lab_py.apps import httpbin
from lab_py.apps.caller_record import CallerRecord
from tests.interop.callers import talk
from tests.istiod_py.envoy import meshes
from tests.istiod_py.envoy.meshes import curl
from tests.istiod_py.joined import JoinedMesh, logged, mesh_on
from tests.support.envoy import run_envoy
from tests.support.processes import eventually, loopback_address
from tests.support.tcp_apps import TcpApp, echo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from istiod_py.envoy.node import EnvoyNode
    from tests.support.envoy import Envoy

pytestmark = pytest.mark.interop

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
metadata: {{name: server, namespace: default, labels: {{istio.io/use-waypoint: waypoint}}}}
spec: {{clusterIP: {vip}, selector: {{app: server}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: waypoint, namespace: default}}
spec: {{gatewayClassName: istio-waypoint, listeners: [{{name: mesh, port: 15008, protocol: HBONE}}]}}
"""
HOST = "server.default.svc.cluster.local"
IDENTITY = "spiffe://cluster.local/ns/default/sa/"


@pytest.fixture
def joined(tmp_path: Path) -> Iterator[JoinedMesh]:
    with mesh_on(tmp_path) as mesh, mesh.controlled():
        yield mesh


def an_envoy(mesh: JoinedMesh, node: EnvoyNode) -> AbstractContextManager[Envoy]:
    token = mesh.state / f"{node.name}.token"
    token.write_text(mesh.istiod.token(f"default/{node.name}"))
    where = ControlPlane(mesh.address, 15012, str(mesh.istiod.roots), TokenFile(str(token)))
    config = mesh.state / f"{node.name}.json"
    config.write_text(json.dumps(bootstrap(node, where)))
    return run_envoy("mesh", node.ip, config, {"ADMIN_PORT": "15000"})


async def test_everything_comes_from_one_folder_and_speaks_with_everything(joined: JoinedMesh) -> None:
    edge_ip, way_ip, vip = (loopback_address() for _ in range(3))
    edge = meshes.sidecar(
        edge_ip, "edge", service_account="edge", bind_address=edge_ip, http_proxy_port=15007, listens_on_hbone=True
    )
    waypoint = meshes.waypoint(way_ip, service_account="waypoint", bind_address=way_ip)
    labels = {"sidecar.istio.io/inject": "true", "networking.istio.io/tunnel": "http"}
    rows = POD.format(name="edge", ip=edge_ip, labels=json.dumps(labels))
    rows += POD.format(name="waypoint", ip=way_ip, labels='{"gateway.networking.k8s.io/gateway-name": "waypoint"}')
    joined.write("more.yaml", rows + SERVICE.format(vip=vip))
    for node in joined.nodes.values():
        joined.start_node(node, UNSTABLE_ENABLE_SOCKS5="true", SOCKS5_SOURCE_WORKLOAD="default/sleep")
    await joined.ready()
    await eventually(lambda: edge_ip in joined.istiod.get("/debug/ambientz"), "the Envoys' pods")

    async with contextlib.AsyncExitStack() as running:
        edges, ways = (running.enter_context(an_envoy(joined, node)) for node in (edge, waypoint))
        await running.enter_async_context(httpbin.serve(joined.server.address, 8080, "server", CallerRecord()))
        for envoy in (edges, ways):
            await eventually(envoy.is_serving, "serving")

        # sleep -> node proxy -> waypoint (Envoy) -> node proxy -> server
        proxied = await curl("--socks5-hostname", f"{joined.sleep.address}:15080", f"http://{HOST}/hostname")
        assert proxied == (200, {"hostname": "server"})
        assert ways.stat(f"http.inbound-vip|80|http|{HOST}.downstream_rq_2xx") == 1
        # edge (Envoy) -> node proxy -> server
        assert await curl("-x", f"http://{edge_ip}:15007", f"http://{HOST}/hostname") == (200, {"hostname": "server"})
        assert edges.stat("cluster.connect_originate.ssl.handshake") == 1
        # sleep -> node proxy -> edge (Envoy)
        async with TcpApp(echo, edge_ip) as app, joined.call(app.authority) as caller:
            await talk(caller, b"\0 to the edge \0")
        assert edges.stat("http.connect_terminate.downstream_rq_total") == 1

    sources = {line["src.identity"]: line["src.addr"].partition(":")[0] for line in logged(joined.server)}
    assert sources == {f"{IDENTITY}waypoint": way_ip, f"{IDENTITY}edge": edge_ip}
