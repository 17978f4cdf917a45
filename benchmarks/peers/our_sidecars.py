"""Our sidecars as a pair: a route by host and path, Istio's mutual TLS, a policy, metrics; the log if asked for."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from benchmarks import interpreter
from benchmarks.certificates import CLIENT, NAMESPACE, SERVER, TRUST_DOMAIN
from benchmarks.peers.base import Pair, Surroundings, answers_ok
from benchmarks.plan import Logging
from benchmarks.processes import wait_until
from benchmarks.world import WEB_HOST, WEB_PORT, Capture, inside

if TYPE_CHECKING:
    import subprocess

_READINESS_PORT = 15021


class OurSidecars:
    """`python -m sidecar_py` on both sides."""

    def start(self, given: Surroundings) -> Pair:
        """Starts both sidecars and waits for their readiness endpoints."""
        world = given.world
        (given.folder / "mesh.yaml").write_text(_mesh(world.client_ip, world.server_ip))
        before_application = {"CAPTURED_PORTS": str(WEB_PORT), "APP_ADDRESS": world.application_ip}
        captured = {"PROXY_PROTOCOL_CAPTURE": "true" if world.capture is Capture.PROXY else "false"}
        inbound = _start(given, SERVER, world.server_ip, world.server_namespace, before_application)
        outbound = _start(given, CLIENT, world.client_ip, world.client_namespace, captured)
        _await_ready(given, SERVER, world.server_ip, world.server_namespace, inbound)
        _await_ready(given, CLIENT, world.client_ip, world.client_namespace, outbound)
        return Pair(outbound, inbound, metadata.version("hbone-mesh"), "-", peer_port=WEB_PORT)


def _start(
    given: Surroundings, account: str, address: str, namespace: int | None, more: dict[str, str]
) -> subprocess.Popen[bytes]:
    command = [interpreter.command(), "-m", "sidecar_py", "--bind", address, "--local-bind", _local(address)]
    environment = {
        **interpreter.environment(),
        "PROXY_WORKLOAD_INFO": f"{NAMESPACE}/{account}/{account}",
        "LOCAL_XDS_PATH": str(given.folder / "mesh.yaml"),
        "XDS_ADDRESS": "",
        "WORKLOAD_CERT_DIR": str(given.certificates),
        "RUST_LOG": "info" if given.logging is Logging.TUNNEL else "warn",
        **more,
    }
    with inside(namespace):
        return given.processes.start(command, environment=environment, log=given.folder / f"{account}.log")


def _local(address: str) -> str:
    return address if address.startswith("127.") else "127.0.0.1"


def _await_ready(
    given: Surroundings, account: str, address: str, namespace: int | None, process: subprocess.Popen[bytes]
) -> None:
    def ready() -> bool:
        return answers_ok(namespace, address, _READINESS_PORT, "/healthz/ready")

    wait_until(ready, "sidecar_py's readiness", 20, process, given.folder / f"{account}.log")


def _mesh(client_ip: str, server_ip: str) -> str:
    service = f"{NAMESPACE}/{WEB_HOST}"
    return f"""\
workloads:
{_workload(CLIENT, client_ip, "{}")}
{_workload(SERVER, server_ip, f'{{"{service}": {{{WEB_PORT}: {WEB_PORT}}}}}')}
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


def _workload(account: str, address: str, services: str) -> str:
    return f"""\
- uid: bench//Pod/{NAMESPACE}/{account}
  name: {account}
  namespace: {NAMESPACE}
  serviceAccount: {account}
  trustDomain: {TRUST_DOMAIN}
  workloadIps: ["{address}"]
  mutualTls: true
  network: ""
  services: {services}"""
