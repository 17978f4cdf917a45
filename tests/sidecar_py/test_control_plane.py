"""Two sidecars that have all they know, and their certificates, from a control plane of ours: real processes."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from lab_py.apps import httpbin
from lab_py.apps.caller_record import CallerRecord
from tests.support.istiod import Istiod, start_istiod
from tests.support.processes import PeerProcess, answers, loopback_address
from tests.ztunnel_py.worlds import CLEAN, START_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.interop

VIP = "127.9.9.8"
XFCC = "x-forwarded-client-cert"
HOST = "httpbin.default.svc.cluster.local"
POD = """---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: default, labels: {{app: {name}, sidecar.istio.io/inject: "true"}}}}
spec: {{serviceAccountName: {name}, nodeName: node-a, containers: [{{name: app}}]}}
status: {{podIP: {ip}, phase: Running}}
"""
SERVICE = f"""---
apiVersion: v1
kind: Service
metadata: {{name: httpbin, namespace: default}}
spec: {{clusterIP: {VIP}, selector: {{app: httpbin}}, ports: [{{name: http, port: 8000, targetPort: 8080}}]}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default, namespace: default}}
spec: {{mtls: {{mode: STRICT}}}}
"""
DENY = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny, namespace: default}
spec:
  action: DENY
  selector: {matchLabels: {app: httpbin}}
  rules: [{to: [{operation: {paths: ["/ip"]}}]}]
"""
ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: only-headers, namespace: default}
spec:
  parentRefs: [{kind: Service, group: "", name: httpbin, port: 8000}]
  rules: [{matches: [{path: {value: /headers}}], backendRefs: [{name: httpbin, port: 8000}]}]
"""


@contextlib.contextmanager
def sidecar_process(name: str, address: str, istiod: Istiod, state: Path, **more: str) -> Iterator[PeerProcess]:
    """A sidecar that joins, with a token for its own account."""
    token = state / f"{name}.token"
    token.write_text(istiod.token(f"default/{name}"))
    environment = {
        **CLEAN,
        "PROXY_WORKLOAD_INFO": f"default/{name}/{name}",
        "PROXY_BIND_ADDRESS": address,
        "XDS_ADDRESS": istiod.url,
        "XDS_ROOT_CA": str(istiod.roots),
        "CA_ADDRESS": istiod.url,
        "CA_ROOT_CA": str(istiod.roots),
        "AUTH_TOKEN": str(token),
        "UNSTABLE_ENABLE_SOCKS5": "true",
        **more,
    }
    process = PeerProcess([sys.executable, "-m", "sidecar_py"], state / f"{name}.log", environment)
    try:
        yield process
    finally:
        process.stop()


def is_ready(address: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"http://{address}:15021/healthz/ready", trust_env=False, verify=False).status_code == 200
    return False


async def test_sidecars_join_the_control_plane(tmp_path: Path) -> None:
    (folder := tmp_path / "mesh").mkdir()
    (state := tmp_path / "state").mkdir()
    sleep, pod, app = loopback_address(), loopback_address(), loopback_address()
    pods = POD.format(name="sleep", ip=sleep) + POD.format(name="httpbin", ip=pod)
    (folder / "mesh.yaml").write_text(pods + SERVICE)
    with start_istiod(folder, state, loopback_address()) as istiod:
        istiod.wait_ready()
        inbound = {"CAPTURED_PORTS": "8080", "APP_ADDRESS": app}
        with (
            sidecar_process("httpbin", pod, istiod, state, **inbound) as server,
            sidecar_process("sleep", sleep, istiod, state) as client,
        ):
            for process, address in ((server, pod), (client, sleep)):
                process.wait_until(lambda where=address: is_ready(where), "ready", START_SECONDS)  # type: ignore[misc]
            async with (
                httpbin.serve(app, 8080, "httpbin", CallerRecord()),
                httpx.AsyncClient(proxy=f"socks5h://{sleep}:15080", trust_env=False, verify=False, timeout=10) as http,
            ):
                answer = await http.get(f"http://{HOST}:8000/headers")
                assert "URI=spiffe://cluster.local/ns/default/sa/sleep" in answer.json()["headers"][XFCC]
                assert (await http.get(f"http://{HOST}:8000/ip")).status_code == 200

                (folder / "policy.yaml").write_text(DENY)
                (folder / "route.yaml").write_text(ROUTE)

                async def status(path: str) -> int:
                    return (await http.get(f"http://{HOST}:8000{path}")).status_code

                await answers(lambda: status("/ip"), lambda code: code == 404, "routed")
                (folder / "route.yaml").unlink()
                await answers(lambda: status("/ip"), lambda code: code == 403, "denied")
                assert await status("/headers") == 200
                assert istiod.count("pilot_total_xds_rejects") == 0
