"""TLS of the control plane: a server known by its DNS name, a client known by its token or its certificate.

Versions, suites and groups are those of the tunnel (hbone_py/tls): TLS 1.3 unless 1.2 is asked for, AES-GCM only, and
what `COMPLIANCE_POLICY` promises (hbone-controlplane 2.1). Whom to believe is what differs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from OpenSSL import SSL

from hbone_py.tls.context import ALPN, TlsContext, bare_context, select_protocol, show_certificate, trust
from mesh_py.rpc.server_name import sni

if TYPE_CHECKING:
    from hbone_py.tls.context import TlsSettings
    from hbone_py.tls.credentials import Credentials
    from mesh_py.rpc.roots import Roots


def client_context(host: str, roots: Roots, settings: TlsSettings) -> TlsContext:
    """To dial `host` with: names it (unless it is an address), offers h2, believes `roots`, shows nothing.

    Raises:
        RootsError: there are no roots to be read.
        TlsConfigError: the library cannot do what `settings` asks.
    """
    context = bare_context(settings)
    if roots.is_system:
        context.set_default_verify_paths()
    else:
        trust(context, roots.read())
    context.set_verify(SSL.VERIFY_PEER)
    context.set_alpn_protos([ALPN])
    return TlsContext(context, is_server=False, server_name=sni(host))


def server_context(credentials: Credentials, settings: TlsSettings) -> TlsContext:
    """To serve with. A client may show a certificate; one that `credentials.roots` do not vouch for ends it.

    Raises:
        TlsConfigError: the library cannot do what `settings` asks, or has no use for the certificate.
    """
    context = bare_context(settings)
    show_certificate(context, credentials)
    trust(context, credentials.roots)
    context.set_verify(SSL.VERIFY_PEER)
    context.set_alpn_select_callback(select_protocol)
    return TlsContext(context, is_server=True)
