"""Our sidecar, waypoint and node proxy in a row: HBONE on both legs, a route and a policy at the waypoint."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from benchmarks.certificates import CLIENT, NAMESPACE, SERVER, WAYPOINT
from benchmarks.mesh_file import workload
from benchmarks.peers.base import Leg, Running
from benchmarks.peers.our_process import await_ready, start_for_workload, start_node
from benchmarks.peers.ours import WINDOWS
from benchmarks.world import WEB_HOST, WEB_PORT, Capture

if TYPE_CHECKING:
    from benchmarks.peers.base import Surroundings
    from benchmarks.world import World


class OurChain:
    """`sidecar_py`, `waypoint_py` and `ztunnel_py`, one process each."""

    def start(self, given: Surroundings) -> Running:
        """Starts the last one first, and waits for all."""
        world = given.world
        plain, further = given.folder / "node-mesh.yaml", given.folder / "mesh.yaml"
        plain.write_text(_mesh(world))
        further.write_text(_mesh(world) + _FURTHER)
        node = start_node(
            given, "node-b", SERVER, *world.place_of(SERVER), more={"LOCAL_XDS_PATH": str(plain), **_source(world)}
        )
        waypoint = start_for_workload(
            given, "waypoint_py", WAYPOINT, *world.place_of(WAYPOINT), more={"LOCAL_XDS_PATH": str(further)}
        )
        captured = {
            "LOCAL_XDS_PATH": str(further),
            "WAYPOINT_FORM": "service",
            "PROXY_PROTOCOL_CAPTURE": "true" if world.capture is Capture.PROXY else "false",
        }
        sidecar = start_for_workload(given, "sidecar_py", CLIENT, *world.place_of(CLIENT), more=captured)
        for account, process in ((SERVER, node), (WAYPOINT, waypoint), (CLIENT, sidecar)):
            await_ready(given, account, *world.place_of(account), process)
        return Running(
            {"sidecar": sidecar, "waypoint": waypoint, "node": node},
            metadata.version("hbone-mesh"),
            WINDOWS,
            (Leg("to the waypoint", world.waypoint_ip), Leg("to the node proxy", world.server_ip)),
        )


def _source(world: World) -> dict[str, str]:
    """Across a veth the application's answers to a client's own address would leave by the cable, past the proxy."""
    return {} if world.client_namespace == world.server_namespace else {"ENABLE_ORIG_SRC": "false"}


def _mesh(world: World) -> str:
    service = f'{{"{NAMESPACE}/{WEB_HOST}": {{{WEB_PORT}: {WEB_PORT}}}}}'
    return f"""\
workloads:
{workload(CLIENT, world.client_ip, "node-a", way="mutualTls: true")}\
{workload(WAYPOINT, world.waypoint_ip, "node-w")}\
{workload(SERVER, world.server_ip, "node-b", services=service)}\
services:
- name: {SERVER}
  namespace: {NAMESPACE}
  hostname: {WEB_HOST}
  vips: ["/{world.service_ip}"]
  ports: {{{WEB_PORT}: {WEB_PORT}}}
  waypoint: {{destination: "/{world.waypoint_ip}", hboneMtlsPort: 15008}}
  canonical: true
"""


_FURTHER = f"""\
manifests:
- apiVersion: gateway.networking.k8s.io/v1
  kind: HTTPRoute
  metadata: {{name: web, namespace: {NAMESPACE}}}
  spec:
    parentRefs: [{{group: "", kind: Service, name: {SERVER}, port: {WEB_PORT}}}]
    rules:
    - matches: [{{headers: [{{name: x-version, value: none}}]}}]
      backendRefs: [{{name: elsewhere, port: {WEB_PORT}}}]
    - backendRefs: [{{name: {SERVER}, port: {WEB_PORT}}}]
- apiVersion: security.istio.io/v1
  kind: AuthorizationPolicy
  metadata: {{name: deny, namespace: {NAMESPACE}}}
  spec:
    targetRefs: [{{kind: Service, group: "", name: {SERVER}}}]
    action: DENY
    rules:
    - to: [{{operation: {{paths: ["/forbidden*"]}}}}]
"""
