"""Two sidecars of ours and an application: requests and bytes, by Istio's mutual TLS, HBONE and plain TCP."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from lab_py.apps import httpbin
from lab_py.apps.caller_record import CallerRecord
from tests.sidecar_py.sidecars import HOST, PORT, Addresses, SidecarUnderTest, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.support.certificates import CertificateFiles

URL = f"http://{HOST}:{PORT}"
KINDS = {"mutual TLS": "mutualTls: true", "HBONE": "protocol: HBONE", "plain TCP": "protocol: TCP"}


@contextlib.asynccontextmanager
async def pair(
    certificates: Mapping[str, CertificateFiles], kind: str = "mutualTls: true", further: str = "", **flags: str
) -> AsyncIterator[tuple[SidecarUnderTest, SidecarUnderTest, Addresses]]:
    """sleep's sidecar, httpbin's in front of the application, and where they are."""
    at = Addresses()
    mesh = at.mesh(kind=kind, further=further)
    inbound = {"CAPTURED_PORTS": str(at.port), "APP_ADDRESS": at.app, "INBOUND_PORT": "15008"}
    async with (
        httpbin.serve(at.app, at.port, "httpbin", CallerRecord()),
        sidecar(mesh, "httpbin", at.httpbin, certificates["httpbin"], **inbound, **flags) as server,
        sidecar(mesh, "sleep", at.sleep, certificates["sleep"], INBOUND_PORT="0") as client,
    ):
        yield client, server, at


@pytest.mark.parametrize("kind", KINDS)
async def test_a_request(certificates: Mapping[str, CertificateFiles], kind: str) -> None:
    async with pair(certificates, KINDS[kind]) as (client, server, at), client.client() as http:
        answer = await http.get(f"{URL}/headers")
        assert answer.status_code == 200
        headers = answer.json()["headers"]
        assert headers["host"] == f"{HOST}:{PORT}"
        told = headers.get("x-forwarded-client-cert", "")
        assert ("URI=spiffe://cluster.local/ns/default/sa/sleep" in told) is (kind != "plain TCP")
        assert (await http.get(f"{URL}/ip")).json() == {"origin": "127.0.0.6"}
        policy = "none" if kind == "plain TCP" else "mutual_tls"
        labels = {"response_code": "200", "request_protocol": "http", "destination_service": HOST}
        assert client.counted("istio_requests_total", reporter="source", **labels) == 2
        assert server.counted("istio_requests_total", connection_security_policy=policy, **labels) == 2
        assert f"{at.vip}:{PORT}" in client.lines[0]


DENY = """\
manifests:
- apiVersion: security.istio.io/v1
  kind: AuthorizationPolicy
  metadata: {name: no-headers, namespace: default}
  spec:
    action: DENY
    selector: {matchLabels: {app: httpbin}}
    rules: [{to: [{operation: {paths: ["/headers"]}}]}]
labels: {default/httpbin: {app: httpbin}}
"""


@pytest.mark.parametrize("kind", KINDS)
async def test_policies_judge_requests(certificates: Mapping[str, CertificateFiles], kind: str) -> None:
    async with pair(certificates, KINDS[kind], DENY) as (client, server, _), client.client() as http:
        denied = await http.get(f"{URL}/x/../headers")
        assert (denied.status_code, denied.text) == (403, "RBAC: access denied"), [client.lines, server.lines]
        assert (await http.get(f"{URL}/ip")).status_code == 200
        assert "rbac_access_denied_matched_policy[ns[default]-policy[no-headers]-rule[0]]" in server.lines[0]
        assert server.counted("istio_requests_total", response_code="403") == 1


async def test_strict_takes_no_plaintext(certificates: Mapping[str, CertificateFiles]) -> None:
    async with pair(certificates, INBOUND_MTLS="STRICT") as (client, _, at), client.client() as http:
        assert (await http.get(f"{URL}/ip")).status_code == 200
        client.take(at.mesh(kind="protocol: TCP"))
        refused = await http.get(f"{URL}/ip")
        assert refused.status_code == 503
        assert "UC" in client.lines[1]
