"""A TCP connection as a coroutine gets it: one attempt, with a deadline."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hbone_py.aio.reactor import Reactor
from hbone_py.aio.tcp import SocketAddress, SocketOptions, connect_soon, outgoing_socket, show
from hbone_py.errors import ConnectionFailed

if TYPE_CHECKING:
    import socket

    from hbone_py.errors import HboneError


class _Outcome:
    """What became of the attempt (`Connected`)."""

    def __init__(self) -> None:
        self.socket: asyncio.Future[socket.socket] = asyncio.get_running_loop().create_future()

    def connected(self, sock: socket.socket) -> None:
        """TCP is up."""
        if self.socket.done():
            sock.close()
        else:
            self.socket.set_result(sock)

    def connect_failed(self, error: HboneError) -> None:
        """It is not."""
        if not self.socket.done():
            self.socket.set_exception(error)


async def connect_tcp(
    address: SocketAddress, options: SocketOptions, seconds: float, source: str | None = None
) -> socket.socket:
    """A connected, non-blocking socket, from the address `source` if one is given.

    Raises ConnectionFailed, ConnectTimeout.
    """
    try:
        sock = outgoing_socket(address, options, source)
    except OSError as error:
        raise ConnectionFailed(f"io error: {error.strerror}: {show(address)}") from error
    outcome = _Outcome()
    attempt = connect_soon(Reactor.current(), sock, address, outcome, seconds)
    try:
        return await outcome.socket
    except asyncio.CancelledError:
        if outcome.socket.done() and not outcome.socket.cancelled():
            outcome.socket.result().close()
        elif attempt is not None:
            attempt.cancel()
        raise
