"""CUSTOM policies: an authorizer is asked before a request reaches the application, and nobody gets by it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from tests.sidecar_py.applications import web_application
from tests.sidecar_py.pairs import URL, pair
from tests.support.processes import loopback_address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.support.certificates import CertificateFiles

SERVICE = """\
- {{name: asker, namespace: default, hostname: asker.default.svc.cluster.local, vips: ["/{0}"], ports: {{9000: 9000}}}}
"""
WORKLOAD = """
- {{uid: asker, name: asker, namespace: default, serviceAccount: asker, trustDomain: cluster.local,
    workloadIps: ["{0}"], services: {{"default/asker.default.svc.cluster.local": {{9000: 9000}}}}}}"""
CUSTOM = """\
manifests:
- apiVersion: security.istio.io/v1
  kind: AuthorizationPolicy
  metadata: {name: custom, namespace: default}
  spec: {action: CUSTOM, provider: {name: asker}, rules: [{to: [{operation: {paths: ["/headers"]}}]}]}
"""
PROVIDER = """\
extensionProviders:
- name: asker
  envoyExtAuthzHttp:
    {service: asker.default.svc.cluster.local, port: 9000, timeout: TIMEOUT, failOpen: OPEN,
     includeRequestHeadersInCheck: [x-pass, x-forwarded-client-cert], headersToUpstreamOnAllow: [x-user],
     headersToDownstreamOnAllow: [x-told]}
"""


def further(address: str, *, timeout: str = "5s", fails_open: str = "false") -> str:
    return SERVICE.format(address) + CUSTOM + PROVIDER.replace("TIMEOUT", timeout).replace("OPEN", fails_open)


@contextlib.asynccontextmanager
async def authorizer(address: str) -> AsyncIterator[list[str]]:
    """Lets pass who brings `x-pass: yes`, is silent towards `x-pass: never`; notes who asks, and about what."""
    asked: list[str] = []

    async def judge(request: web.Request) -> web.StreamResponse:
        asked.append(f"{request.method} {request.path_qs} {request.headers.get('x-forwarded-client-cert', '')}")
        match request.headers.get("x-pass"):
            case "yes":
                return web.Response(headers={"x-user": "ann", "x-told": "so", "x-other": "no"})
            case "broken":
                return web.Response(status=500)
            case "never":
                await asyncio.Event().wait()
        return web.Response(status=401, headers={"x-why": "no pass"}, body="café".encode("latin-1"))

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", judge)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, address, 9000).start()
    try:
        yield asked
    finally:
        await runner.cleanup()


async def test_an_authorizer_has_the_last_word(certificates: Mapping[str, CertificateFiles]) -> None:
    address = loopback_address()
    async with (
        pair(certificates) as (client, server, at),
        web_application(at.app, at.port) as record,
        authorizer(address) as asked,
        client.client() as http,
    ):
        server.take(at.mesh(further=further(address), more=WORKLOAD.format(address)))
        refused = await http.get(f"{URL}/headers?a=b", headers={"x-forwarded-client-cert": "URI=forged"})
        assert (refused.status_code, refused.headers["x-why"]) == (401, "no pass")
        assert refused.content == "café".encode("latin-1")
        assert record.calls("headers") == []
        answer = await http.get(f"{URL}/headers", headers={"x-pass": "yes", "x-user": "forged"})
        assert answer.json()["headers"]["x-user"] == "ann"
        assert (answer.headers["x-told"], answer.headers.get("x-other")) == ("so", None)
        assert (await http.get(f"{URL}/ip")).status_code == 200  # the policy does not mean it
        assert [line.split()[:2] for line in asked] == [["GET", "/headers?a=b"], ["GET", "/headers"]]
        assert "forged" not in asked[0]
        assert "spiffe://cluster.local/ns/default/sa/sleep" in asked[0]
    await server.logged(" 401 UAEX ")


async def test_a_grpc_call_hears_the_refusal_as_its_status(certificates: Mapping[str, CertificateFiles]) -> None:
    address = loopback_address()
    async with (
        pair(certificates) as (client, server, at),
        web_application(at.app, at.port) as record,
        authorizer(address),
        client.client(http1=False, http2=True) as http,
    ):
        server.take(at.mesh(further=further(address), more=WORKLOAD.format(address)))
        headers = {"content-type": "application/grpc", "te": "trailers"}
        answer = await http.post(f"{URL}/headers", content=b"\0\0\0\0\0", headers=headers)
        assert record.calls("headers") == []
    assert (answer.status_code, answer.content, answer.headers["x-why"]) == (200, b"", "no pass")
    assert (answer.headers["grpc-status"], answer.headers["grpc-message"]) == ("16", "caf%EF%BF%BD")
    await server.logged(" 200 UAEX ")


@pytest.mark.parametrize("said", ["broken", "never"])
@pytest.mark.parametrize(("fails_open", "status"), [("false", 403), ("true", 200)])
async def test_an_authorizer_that_does_not_answer(
    certificates: Mapping[str, CertificateFiles], said: str, fails_open: str, status: int
) -> None:
    address = loopback_address()
    async with (
        pair(certificates) as (client, server, at),
        web_application(at.app, at.port),
        authorizer(address),
        client.client() as http,
    ):
        told = further(address, timeout="100ms" if said == "never" else "5s", fails_open=fails_open)
        server.take(at.mesh(further=told, more=WORKLOAD.format(address)))
        assert (await http.get(f"{URL}/headers", headers={"x-pass": said})).status_code == status


async def test_nobody_passes_where_nobody_can_be_asked(certificates: Mapping[str, CertificateFiles]) -> None:
    async with pair(certificates) as (client, server, at), web_application(at.app, at.port) as record:
        async with client.client() as http:
            server.take(at.mesh(further=CUSTOM))
            assert (await http.get(f"{URL}/headers")).status_code == 403
            address = loopback_address()  # nobody listens there
            server.take(at.mesh(further=further(address), more=WORKLOAD.format(address)))
            assert (await http.get(f"{URL}/headers")).status_code == 403
        assert record.calls("headers") == []
