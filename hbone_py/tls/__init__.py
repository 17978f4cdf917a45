"""TLS over memory buffers: contexts from credentials, an engine per connection, who the peer is."""

from hbone_py.tls.buffers import SharedBuffer
from hbone_py.tls.context import TlsContext, TlsSettings, client_context, server_context
from hbone_py.tls.credentials import Credentials
from hbone_py.tls.engine import TlsEngine
from hbone_py.tls.verify import peer_identities, verify_inbound, verify_outbound

__all__ = [
    "Credentials",
    "SharedBuffer",
    "TlsContext",
    "TlsEngine",
    "TlsSettings",
    "client_context",
    "peer_identities",
    "server_context",
    "verify_inbound",
    "verify_outbound",
]
