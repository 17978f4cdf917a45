"""What a client of bytes says before the tunnel upstream is open, sent behind the CONNECT (decision 0026).

It stays where it is, a socket or a tunnel's window, until there is a tunnel: whoever has to ask again finds it there.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol

from hbone_py.aio.first_bytes import FirstBytes
from hbone_py.aio.outbox import SMALL
from hbone_py.aio.tcp_stream import TcpStream
from hbone_py.aio.tunnel_stream import TunnelStream
from hbone_py.errors import HboneError

if TYPE_CHECKING:
    from mesh_py.proxy.context import AnyContext
    from mesh_py.proxy.dial import AnyStream


class FirstWords(Protocol):
    """Of one client. Each tunnel that is asked for is told by `follow`; then `stop`, or `hand_on`."""

    def follow(self, tunnel: TunnelStream) -> None:
        """It was just asked for: what is there goes along, else what comes before the answer. One frame at most."""

    def stop(self) -> None:
        """It will not open."""

    def hand_on(self) -> tuple[int, OSError | None]:
        """It is open. Returns how many bytes have gone, and what broke the client meanwhile."""


def first_words(context: AnyContext, client: AnyStream) -> FirstWords | None:
    """Those of a client whose bytes nobody looks into any more; None where they wait for the answer."""
    if not context.settings.first_bytes:
        return None
    if isinstance(client, TcpStream):
        return SocketWords(client)
    return TunnelWords(client) if isinstance(client, TunnelStream) else None


class SocketWords:
    """A socket's. Once a tunnel was asked for nobody reads it but the relay that begins with `hand_on`."""

    def __init__(self, client: TcpStream) -> None:
        self._client = client
        self._first: FirstBytes | None = None

    def follow(self, tunnel: TunnelStream) -> None:
        """See `FirstWords`."""
        peer, stream = tunnel.release()
        self._first = FirstBytes(peer, stream, self._client.release())

    def stop(self) -> None:
        """See `FirstWords`."""
        if self._first is not None:
            self._first.stop()
            self._first = None

    def hand_on(self) -> tuple[int, OSError | None]:
        """See `FirstWords`: the bytes are still in the socket."""
        first = self._first
        return (0, None) if first is None else (first.hand_on(), first.broken)


class TunnelWords:
    """A tunnel's."""

    def __init__(self, client: TunnelStream) -> None:
        self._client = client
        self._tunnel: TunnelStream | None = None
        self._sent = 0

    def follow(self, tunnel: TunnelStream) -> None:
        """See `FirstWords`."""
        self._tunnel, self._sent = tunnel, 0
        self._client.on_data = self._look
        self._look()

    def _look(self) -> None:
        if self._tunnel is None or self._sent:
            return
        words = self._client.peek_now(SMALL)
        if words:
            with contextlib.suppress(HboneError):  # whoever waits for the answer is told
                self._sent = self._tunnel.send_now(words)

    def stop(self) -> None:
        """See `FirstWords`."""
        self._tunnel = self._client.on_data = None

    def hand_on(self) -> tuple[int, OSError | None]:
        """See `FirstWords`: the bytes are taken off. Raises HboneError when the client is gone."""
        self.stop()
        left = self._sent
        while left and (piece := self._client.receive_now(left)):
            left -= len(piece)
        return self._sent, None
