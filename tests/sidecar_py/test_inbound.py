"""Connections of bytes to the application: judged when they come, and again when policies change."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.sidecar_py.doors import dialled_by_socks
from tests.sidecar_py.pairs import KINDS, pair
from tests.sidecar_py.sidecars import HOST, PORT
from tests.support.processes import eventually
from tests.support.tcp_apps import TcpApp, drop, echo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.certificates import CertificateFiles

LAYER_4 = "policies: [{{name: p, namespace: default, scope: Namespace, action: {0}, rules: {1}, dryRun: false}}]\n"
MANIFEST = """\
manifests:
- apiVersion: security.istio.io/v1
  kind: AuthorizationPolicy
  metadata: {{name: p, namespace: default}}
  spec: {{action: {0}, rules: {1}}}
"""
ELSEWHERE = "[{to: [{operation: {ports: ['1']}}]}]"
CHANGES = {
    "a policy of layer 4": (LAYER_4.format("Deny", "[[]]"), ""),
    "an AuthorizationPolicy": (MANIFEST.format("DENY", "[{}]"), MANIFEST.format("DENY", ELSEWHERE)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("change", CHANGES)
async def test_what_policies_no_longer_allow_is_cut(
    certificates: Mapping[str, CertificateFiles], kind: str, change: str
) -> None:
    closed, harmless = CHANGES[change]
    async with pair(certificates, KINDS[kind]) as (client, server, at), TcpApp(echo, at.app, at.port):
        reader, writer = await dialled_by_socks(client.socks, HOST, PORT)
        writer.write(bytes(4))
        assert await reader.readexactly(4) == bytes(4)
        server.take(at.mesh(kind=KINDS[kind], further=harmless))
        writer.write(b"\0more")
        assert await reader.readexactly(5) == b"\0more"  # nothing has changed for it

        server.take(at.mesh(kind=KINDS[kind], further=closed))
        async with asyncio.timeout(8):
            with pytest.raises(ConnectionResetError):
                await reader.read()
        await eventually(lambda: any("policy" in line for line in server.lines), "logged")
        await server.counts(1, "istio_tcp_connections_closed_total")
        drop(writer)
