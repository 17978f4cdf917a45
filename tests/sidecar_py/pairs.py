"""sleep's sidecar and httpbin's, in one loop."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tests.sidecar_py.sidecars import HOST, PORT, Addresses, SidecarUnderTest, sidecar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.support.certificates import CertificateFiles

URL = f"http://{HOST}:{PORT}"
KINDS = {"mutual TLS": "mutualTls: true", "HBONE": "protocol: HBONE", "plain TCP": "protocol: TCP"}


@contextlib.asynccontextmanager
async def pair(
    certificates: Mapping[str, CertificateFiles],
    kind: str = "mutualTls: true",
    further: str = "",
    service: str = "",
    client_flags: Mapping[str, str] | None = None,
    **flags: str,
) -> AsyncIterator[tuple[SidecarUnderTest, SidecarUnderTest, Addresses]]:
    """The two, and where they and the application are."""
    at = Addresses()
    mesh = at.mesh(kind=kind, further=further, service=service)
    inbound = {"CAPTURED_PORTS": str(at.port), "APP_ADDRESS": at.app, "INBOUND_PORT": "15008", **flags}
    outbound = {"INBOUND_PORT": "0", **(client_flags or {})}
    async with (
        sidecar(mesh, "httpbin", at.httpbin, certificates["httpbin"], **inbound) as server,
        sidecar(mesh, "sleep", at.sleep, certificates["sleep"], **outbound) as client,
    ):
        yield client, server, at
