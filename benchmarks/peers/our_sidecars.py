"""Our sidecars as a pair: a route by host and path, Istio's mutual TLS, a policy, metrics; the log if asked for."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from benchmarks.certificates import CLIENT, NAMESPACE, SERVER
from benchmarks.mesh_file import workload
from benchmarks.peers.base import Leg, Running
from benchmarks.peers.our_process import await_ready, start_for_workload
from benchmarks.world import WEB_HOST, WEB_PORT, Capture

if TYPE_CHECKING:
    from benchmarks.peers.base import Surroundings


class OurSidecars:
    """`python -m sidecar_py` on both sides."""

    def start(self, given: Surroundings) -> Running:
        """Starts both sidecars and waits for their readiness endpoints."""
        world, mesh = given.world, given.folder / "mesh.yaml"
        mesh.write_text(_mesh(world.client_ip, world.server_ip))
        before_application = {
            "LOCAL_XDS_PATH": str(mesh),
            "CAPTURED_PORTS": str(WEB_PORT),
            "APP_ADDRESS": world.application_ip,
        }
        captured = {
            "LOCAL_XDS_PATH": str(mesh),
            "PROXY_PROTOCOL_CAPTURE": "true" if world.capture is Capture.PROXY else "false",
        }
        inbound = start_for_workload(
            given, "sidecar_py", SERVER, world.server_ip, world.server_namespace, more=before_application
        )
        outbound = start_for_workload(
            given, "sidecar_py", CLIENT, world.client_ip, world.client_namespace, more=captured
        )
        await_ready(given, SERVER, world.server_ip, world.server_namespace, inbound)
        await_ready(given, CLIENT, world.client_ip, world.client_namespace, outbound)
        legs = (Leg("mutual TLS", world.server_ip, WEB_PORT),)
        return Running({"outbound": outbound, "inbound": inbound}, metadata.version("hbone-mesh"), "-", legs)


def _mesh(client_ip: str, server_ip: str) -> str:
    services = f'{{"{NAMESPACE}/{WEB_HOST}": {{{WEB_PORT}: {WEB_PORT}}}}}'
    return f"""\
workloads:
{workload(CLIENT, client_ip, "node-a", way="mutualTls: true")}\
{workload(SERVER, server_ip, "node-b", way="mutualTls: true", services=services)}\
services:
- name: {SERVER}
  namespace: {NAMESPACE}
  hostname: {WEB_HOST}
  vips: ["/{server_ip}"]
  ports: {{{WEB_PORT}: {WEB_PORT}}}
  canonical: true
manifests:
- apiVersion: gateway.networking.k8s.io/v1
  kind: HTTPRoute
  metadata: {{name: web, namespace: {NAMESPACE}}}
  spec:
    parentRefs: [{{group: "", kind: Service, name: {SERVER}, port: {WEB_PORT}}}]
    rules:
    - matches: [{{path: {{value: /elsewhere}}}}]
      backendRefs: [{{name: elsewhere, port: {WEB_PORT}}}]
    - backendRefs: [{{name: {SERVER}, port: {WEB_PORT}}}]
- apiVersion: security.istio.io/v1
  kind: AuthorizationPolicy
  metadata: {{name: deny, namespace: {NAMESPACE}}}
  spec:
    action: DENY
    rules:
    - to: [{{operation: {{paths: ["/forbidden*"]}}}}]
- apiVersion: security.istio.io/v1
  kind: PeerAuthentication
  metadata: {{name: strict, namespace: {NAMESPACE}}}
  spec: {{mtls: {{mode: STRICT}}}}
"""
