"""Istio's mutual TLS: what is offered, what is taken, and contexts for both sides.

A client's ALPN tells its sidecar what is inside: `istio-http/1.1` or `istio-h2` for HTTP, `istio-peer-exchange` for
bytes, with `istio` and the protocol's own name behind. A server answers with the latter, as Envoy does: what counts is
what was offered.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from hbone_py.tls.context import client_context, server_context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hbone_py.tls.context import TlsContext, TlsSettings
    from hbone_py.tls.credentials import Credentials
    from mesh_py.identity.certificates import Contexts

HTTP1 = (b"istio-http/1.1", b"istio", b"http/1.1")
HTTP2 = (b"istio-h2", b"istio", b"h2")
TCP = (b"istio-peer-exchange", b"istio")
_ACCEPTED = (b"h2", b"http/1.1", b"http/1.0", b"istio-peer-exchange", b"istio")


def is_istio(offered: Sequence[str]) -> bool:
    """Whether a ClientHello comes from a sidecar."""
    return any(protocol.startswith("istio") for protocol in offered)


class Sides(NamedTuple):
    """Contexts for one certificate."""

    client: TlsContext
    server: TlsContext


class IstioTls:
    """Contexts by credentials, made when first needed; they change when a certificate is renewed."""

    def __init__(self, settings: TlsSettings) -> None:
        # Sidecars of every age are spoken to: TLS 1.2 and 1.3, unless a promise rules it out.
        self._settings = replace(settings, tls12=not settings.post_quantum_only, alpn=_ACCEPTED, alpn_is_demanded=False)
        self._credentials: Credentials | None = None
        self._sides: Sides

    def sides(self, contexts: Contexts) -> Sides:
        """For the certificate that is in use now. Raises TlsConfigError."""
        credentials = contexts.credentials
        if credentials is not self._credentials:
            self._sides = Sides(
                client_context(credentials, self._settings), server_context(credentials, self._settings)
            )
            self._credentials = credentials
        return self._sides
