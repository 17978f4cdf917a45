"""An independent witness of who is at 15008: the standard library's TLS, which shares no code with our own."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

from mesh_py.identity.layout import CERT_CHAIN, KEY, ROOT_CERT

if TYPE_CHECKING:
    from pathlib import Path

DEADLINE = 10.0
"""Seconds for each question."""
_SETTINGS = 4


async def shown_identity(host: str, port: int, own: Path) -> str:
    """Who a listener proves to be; empty if it is no HTTP/2 behind mutual TLS.

    Args:
        own: the folder with the certificate that the witness shows, and the roots it trusts.
    """
    context = _tls_context(own)
    context.load_cert_chain(own / CERT_CHAIN, own / KEY)
    try:
        certificate, first_frame = await _hello(host, port, context)
    except (OSError, EOFError, TimeoutError):
        return ""
    names = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "URI"]
    return names[0] if len(names) == 1 and first_frame[3] == _SETTINGS else ""


async def refuses_strangers(host: str, port: int, own: Path) -> bool:
    """Whether a listener says nothing to a client that shows no certificate. `own` has the roots."""
    try:
        await _hello(host, port, _tls_context(own))
    except ssl.SSLError:
        return True
    except (OSError, EOFError, TimeoutError):
        return False
    return False


def _tls_context(own: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # SPIFFE names no hosts; the caller looks at the URI
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])
    context.load_verify_locations(own / ROOT_CERT)
    return context


async def _hello(host: str, port: int, context: ssl.SSLContext) -> tuple[dict[str, Any], bytes]:
    """The certificate it shows, and the header of the first frame that it sends."""
    async with asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection(host, port, ssl=context)
        try:
            frame = await reader.readexactly(9)
            return writer.get_extra_info("peercert"), frame
        finally:
            writer.transport.abort()
