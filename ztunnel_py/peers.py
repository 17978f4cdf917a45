"""How this proxy makes its side of an HBONE connection, whichever side that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.aio.peer import Peer

if TYPE_CHECKING:
    from hbone_py.aio.owners import IdentityCheck, PeerOwner
    from hbone_py.aio.transport import Transport
    from hbone_py.identity import SpiffeId
    from mesh_py.identity.certificates import Contexts
    from mesh_py.telemetry.facts import Reporter
    from ztunnel_py.context import ProxyContext


def make_peer(
    context: ProxyContext,
    transport: Transport,
    contexts: Contexts,
    owner: PeerOwner,
    verify: IdentityCheck,
    reporter: Reporter,
) -> Peer:
    """A peer that is not started yet. It is a server for the destination's reporter, a client for the source's."""

    def check(found: tuple[SpiffeId, ...]) -> None:
        verify(found)
        if context.revocation is not None:
            context.revocation.admit(peer, contexts.credentials.roots, reporter)

    settings = context.settings
    peer = Peer(
        context.reactor,
        transport,
        contexts.client if reporter == "source" else contexts.server,
        owner,
        check=check,
        config=settings.http2,
        deadlines=settings.deadlines,
        keepalive=settings.keepalive,
    )
    return peer
