"""Who is told what a peer brings: the owner of each stream, and the owner of the peer itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from hbone_py.errors import PeerIdentityError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py import events as ev
    from hbone_py.aio.peer import Peer
    from hbone_py.errors import HboneError
    from hbone_py.identity import SpiffeId

    IdentityCheck = Callable[[tuple[SpiffeId, ...]], None]
    """Raises PeerIdentityError when the peer is nobody we want."""


class TunnelDriver(Protocol):
    """Whoever owns one stream of a peer. Called synchronously, never after the stream is gone."""

    def tunnel_accepted(self, event: ev.TunnelAccepted) -> None:
        """Client: the peer said 200."""

    def tunnel_refused(self, status: int) -> None:
        """Client: the peer said something else; the stream is gone."""

    def tunnel_ended(self) -> None:
        """The peer ended its direction; held bytes may still wait."""

    def tunnel_reset(self, event: ev.TunnelReset) -> None:
        """The stream is gone."""

    def tunnel_writable(self) -> None:
        """Window or socket room is back: try again."""

    def tunnel_lost(self, error: HboneError) -> None:
        """The whole connection is gone, and the stream with it. Held bytes may still be read by who has set a sink, and
        must be dropped in the end."""


class PeerOwner(Protocol):
    """Whoever made the peer."""

    def peer_secured(self, peer: Peer) -> None:
        """TLS is done, the identity is right. A client may open a tunnel already, unless the peer allows none at all:
        its SETTINGS are on their way (RFC 9113 section 3.4)."""

    def peer_up(self, peer: Peer) -> None:
        """The peer's SETTINGS are here too."""

    def peer_closed(self, peer: Peer, error: HboneError | None) -> None:
        """It is over, or never came up (`peer.is_up` false): once, last."""

    def peer_draining(self, peer: Peer) -> None:
        """The peer sent GOAWAY: no new tunnels here."""

    def tunnel_requested(self, peer: Peer, event: ev.TunnelRequested) -> None:
        """Server: answer it; set `event.stream.owner`."""

    def request_refused(self, peer: Peer, event: ev.RequestRefused) -> None:
        """Server: the engine has refused a request by itself, with a status or a reset; for the log."""


class Nobody:
    """The owner of a peer that is over: each would keep the other alive otherwise."""

    def peer_secured(self, peer: Peer) -> None:
        """See `PeerOwner`."""

    def peer_up(self, peer: Peer) -> None:
        """See `PeerOwner`."""

    def peer_closed(self, peer: Peer, error: HboneError | None) -> None:
        """See `PeerOwner`."""

    def peer_draining(self, peer: Peer) -> None:
        """See `PeerOwner`."""

    def tunnel_requested(self, peer: Peer, event: ev.TunnelRequested) -> None:
        """See `PeerOwner`."""

    def request_refused(self, peer: Peer, event: ev.RequestRefused) -> None:
        """See `PeerOwner`."""


NOBODY: Final = Nobody()


def let_nobody_in(_found: tuple[SpiffeId, ...]) -> None:
    """In the place of a check that was made, or is not wanted any more: it may know the peer, and each would keep the
    other alive."""
    raise PeerIdentityError("identity verification error: the peer was judged already")
