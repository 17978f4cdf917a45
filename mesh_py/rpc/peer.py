"""Who calls: the address, and what a client certificate proves."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from grpclib.protocol import Peer

from hbone_py.tls.verify import peer_identities
from mesh_py.rpc.tls import TlsTransport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509

    from hbone_py.identity import SpiffeId


class RpcPeer(Peer):
    """The other end of a connection. In a handler: `peer_of(stream)`."""

    def __init__(self, transport: asyncio.Transport, draining: asyncio.Event | None = None) -> None:
        super().__init__(transport)
        self.draining = draining or asyncio.Event()
        """Set once the server says farewell: a call without an end of its own is to end now, by itself."""

    @property
    def address(self) -> str:
        """`host:port`; empty once the connection is gone."""
        name = self.addr()
        if not name:
            return ""
        return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"

    @property
    def is_secure(self) -> bool:
        """Whether TLS is spoken."""
        return isinstance(self._transport, TlsTransport)

    @property
    def chain(self) -> Sequence[x509.Certificate]:
        """The client's certificates, verified against our roots, the leaf first; empty if it showed none."""
        return self._transport.engine.peer_chain() if isinstance(self._transport, TlsTransport) else ()

    @property
    def identities(self) -> tuple[SpiffeId, ...]:
        """Whom the client's certificate names; empty if it showed none."""
        chain = self.chain
        return peer_identities(chain[0]) if chain else ()

    @property
    def unsent(self) -> int:
        """Bytes that its kernel has not taken yet."""
        return self._transport.get_write_buffer_size()

    def cut(self) -> None:
        """End the connection at once, and every call on it: for a peer that does not read at all."""
        self._transport.abort()

    def __str__(self) -> str:
        return self.address or "a peer that is gone"


def peer_of(stream: Any) -> RpcPeer:
    """Who makes the call that a handler's `grpclib.server.Stream` carries."""
    return cast("RpcPeer", stream.peer)
