"""The handshake of a `TlsStream`, on a socket or in a tunnel, within its time.

These coroutines wait while an exception is under way, and so are never compiled (docs/decisions/0023).
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from hbone_py.aio.reactor import Reactor
from hbone_py.aio.tls_medium import SocketMedium, TunnelMedium
from hbone_py.aio.tls_stream import TlsStream
from hbone_py.errors import TlsError, TlsTimeout

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from hbone_py.aio.owners import IdentityCheck
    from hbone_py.aio.tunnel_stream import TunnelStream
    from hbone_py.tls.context import TlsContext


async def shake_hands(
    sock: socket.socket,
    context: TlsContext,
    *,
    check: IdentityCheck,
    seconds: float,
    server_name: str = "",
    alpn: Sequence[bytes] = (),
) -> TlsStream:
    """TLS on a connected, non-blocking socket, as client or server as `context` says; the socket is the stream's.

    Args:
        check: raises PeerIdentityError when the peer is nobody we want; it is asked before a byte is sent.
        seconds: how long the whole handshake may take.
        server_name: a client's SNI.
        alpn: what a client offers, instead of the context's.

    Raises TlsHandshakeError, PeerIdentityError, TlsTimeout, ConnectionLost; the socket is then closed.
    """
    reactor = Reactor.current()
    stream = TlsStream(reactor, SocketMedium(reactor, sock), _told(context, server_name, alpn))
    return await _shaken(stream, check, seconds)


async def shake_hands_inside(
    tunnel: TunnelStream, context: TlsContext, *, seconds: float, server_name: str = "", alpn: Sequence[bytes] = ()
) -> TlsStream:
    """TLS in an open tunnel, which is the stream's from now on. Who the peer is, the caller has yet to judge.

    Args:
        seconds: how long the whole handshake may take.
        server_name: SNI.
        alpn: what is offered, instead of the context's.

    Raises TlsHandshakeError, TlsTimeout, what ended the tunnel; it is then closed.
    """
    stream = TlsStream(tunnel.peer.reactor, TunnelMedium(tunnel), _told(context, server_name, alpn))
    return await _shaken(stream, None, seconds)


def _told(context: TlsContext, server_name: str, alpn: Sequence[bytes]) -> TlsContext:
    """The context of one handshake, with what its client says."""
    return replace(context, server_name=server_name, alpn=tuple(alpn))


async def _shaken(stream: TlsStream, check: IdentityCheck | None, seconds: float) -> TlsStream:
    """The stream after its handshake.

    Raises TlsHandshakeError, PeerIdentityError, TlsTimeout, what ended the medium; it is then closed.
    """
    try:
        async with asyncio.timeout(seconds):
            await _shake(stream, check)
    except TimeoutError as error:
        stream.abort()
        raise TlsTimeout("TLS handshake timed out") from error
    except TlsError:
        await stream.leave()  # a reset would overtake the alert
        raise
    except BaseException:
        stream.abort()
        raise
    return stream


async def _shake(stream: TlsStream, check: IdentityCheck | None) -> None:
    """The handshake; without a `check` it is the caller who judges the peer. Raises as `shake_hands`."""
    try:
        await stream.shake()
        if check is not None:
            stream.judge(check)
    except TlsError:
        await stream.flush()  # the alert that tells the peer why
        raise
    await stream.flush()
