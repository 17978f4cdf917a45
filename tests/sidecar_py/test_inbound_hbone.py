"""15008 of a sidecar: its application sees one connection for one request, and none for one that is refused."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.mesh_py.exchange.servers import answering
from tests.sidecar_py.pairs import KINDS, URL, pair
from tests.sidecar_py.sidecars import PORT
from tests.support.tcp_apps import TcpApp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import httpx

    from tests.support.certificates import CertificateFiles

    Certificates = Mapping[str, CertificateFiles]

SAID = {"the service says HTTP": f", appProtocols: {{{PORT}: HTTP11}}", "the service says nothing": ""}
DENY = """\
manifests:
- apiVersion: security.istio.io/v1
  kind: AuthorizationPolicy
  metadata: {{name: p, namespace: default}}
  spec: {{action: DENY, rules: [{0}]}}
"""
REFUSALS = {
    "by method": DENY.format("{to: [{operation: {methods: [GET]}}]}"),
    "by caller": DENY.format("{from: [{source: {namespaces: [default]}}]}"),
}


@contextlib.asynccontextmanager
async def application(
    certificates: Certificates, said: str, further: str = ""
) -> AsyncIterator[tuple[httpx.AsyncClient, TcpApp]]:
    async with (
        pair(certificates, KINDS["HBONE"], further, SAID[said]) as (client, _, at),
        TcpApp(answering, at.app, at.port) as app,
        client.client() as http,
    ):
        yield http, app


@pytest.mark.parametrize("said", SAID)
async def test_one_connection_serves_the_requests_of_a_tunnel(certificates: Certificates, said: str) -> None:
    async with application(certificates, said) as (http, app):
        assert [(await http.get(URL)).text for _ in range(3)] == ["ok"] * 3
        assert len(app.connections) == 1


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("said", SAID)
async def test_what_is_refused_never_reaches_it(certificates: Certificates, said: str, refusal: str) -> None:
    async with application(certificates, said, REFUSALS[refusal]) as (http, app):
        assert (await http.get(URL)).status_code == 403
        assert app.connections == []
