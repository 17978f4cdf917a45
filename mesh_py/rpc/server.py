"""gRPC services for a mesh: grpclib's handlers behind our TLS (or in plaintext), within limits, on bound sockets.

    server = RpcServer([CertificateAuthority(...), Discovery(...)])
    await server.listen(sock, context)       # context: called per connection, so that certificates can change
    ...
    await server.drain(10)

A handler learns who calls by `mesh_py.rpc.peer.peer_of(stream)`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from grpclib.config import Configuration
from grpclib.events import _DispatchServerEvents
from grpclib.server import Handler

from mesh_py.rpc.protocol import BoundedCodec, RpcProtocol, StreamLimits
from mesh_py.rpc.tls import LinkLimits, TlsLink

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Collection
    from typing import Any, Protocol

    from grpclib.const import Handler as Method

    from hbone_py.tls import TlsContext

    class Service(Protocol):
        """What grpclib's generated base classes are."""

        def __mapping__(self) -> dict[str, Method]:
            """Methods by their paths."""


log = logging.getLogger(__name__)

BACKLOG = 256
LOOK_SECONDS = 0.25
"""Between looks at connections that are idle, old, or being drained."""


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What clients may take: seconds where times, bytes where sizes."""

    connections: int = 2000
    streams: StreamLimits = field(default_factory=StreamLimits)
    link: LinkLimits = field(default_factory=LinkLimits)
    window: int = 1 << 20
    """How much of what a client sends is taken in before somebody reads it: per call and per connection."""
    idle: float = 300.0
    """A connection without a call is ended after this."""
    age: float = 1800.0
    """A connection is drained at this age, ten percent more or less, so that clients spread over new servers."""
    grace: float = 10.0
    """How long calls of a connection that is drained for its age may go on."""
    ping_interval: float = 30.0
    ping_timeout: float = 10.0


@dataclass(slots=True)
class ServerCounts:
    """What has happened since the start."""

    accepted: int = 0
    turned_away: int = 0
    """Over the limit of connections."""
    displaced: int = 0
    """Ended without a call, for a newcomer, at the limit of connections."""
    failed: int = 0
    """TLS did not come up, or the client's certificate was not accepted."""


class RpcServer:
    """Serves the methods of `services`. For one event loop."""

    def __init__(self, services: Collection[Service], *, limits: ServerLimits | None = None) -> None:
        self.limits = limits or ServerLimits()
        self.counts = ServerCounts()
        # grpclib's `listen(server, RecvRequest, callback)` looks for this name.
        self.__dispatch__ = _DispatchServerEvents()
        self._methods = {path: method for service in services for path, method in service.__mapping__().items()}
        self._configuration = _configuration(self.limits)
        self._listeners: list[asyncio.Server] = []
        self._connections: set[ServedConnection] = set()
        self._farewells: set[Handler] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._is_full = False
        self._looked = asyncio.Event()

    async def listen(self, sock: socket.socket, context: Callable[[], TlsContext] | None) -> None:
        """Serve on a bound socket, which is ours from now on; `context` None: plaintext.

        Raises:
            OSError: the socket cannot listen.
        """
        loop = asyncio.get_running_loop()
        self._listeners.append(await loop.create_server(lambda: self._accepted(context), sock=sock, backlog=BACKLOG))
        if self._timer is None:
            self._look()

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._connections)

    @property
    def calls(self) -> int:
        """Calls that are running now."""
        return sum(connection.calls for connection in self._connections)

    async def drain(self, seconds: float) -> bool:
        """Stop accepting, say GOAWAY, wait at most `seconds` for running calls; True if all ended by themselves."""
        self._stop_listening()
        for connection in list(self._connections):
            connection.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.calls:
                    await self._next_look()
        all_ended = not self.calls
        await self.aclose()
        return all_ended

    async def aclose(self) -> None:
        """Close everything now: running calls are cancelled, and their handlers waited for."""
        self._stop_listening()
        handlers = [connection.handler for connection in self._connections]
        while self._connections:  # bounded by LinkLimits.farewell
            for connection in list(self._connections):
                connection.close()
            await self._next_look()
        for handler in [*handlers, *self._farewells]:
            handler.close()
            await handler.wait_closed()
        self._farewells.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop_listening(self) -> None:
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    def _accepted(self, context: Callable[[], TlsContext] | None) -> asyncio.Protocol:
        if len(self._connections) >= self.limits.connections and not self._make_room():
            self._turn_away()
            return TurnedAway()
        tls = None if context is None else context()
        self.counts.accepted += 1
        handler = Handler(self._methods, BoundedCodec(), None, self.__dispatch__)
        connection = ServedConnection(self, handler)
        self._connections.add(connection)
        if tls is None:
            return connection.protocol
        connection.link = TlsLink(tls, lambda: connection.protocol, connection, limits=self.limits.link)
        return connection.link

    def _make_room(self) -> bool:
        """End whoever is without a call for longest: to hold a connection costs a stranger nothing, a call a token."""
        idle = [one for one in self._connections if one.is_idle]
        if not idle:
            return False
        longest = min(idle, key=lambda one: one.busy_at)
        self._connections.discard(longest)
        self.counts.displaced += 1
        longest.abort()
        return True

    def _turn_away(self) -> None:
        """The first is told, and then the first after there was room."""
        self.counts.turned_away += 1
        if not self._is_full:
            self._is_full = True
            log.warning("connections are turned away: %d are open, the limit", len(self._connections))

    def _lost(self, connection: ServedConnection) -> None:
        self._connections.discard(connection)
        self._is_full = False
        self._looked.set()
        if not connection.handler.check_closed():
            self._farewells.add(connection.handler)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in list(self._connections):
            connection.look(now)
        self._farewells = {handler for handler in self._farewells if not handler.check_closed()}
        self._looked.set()
        self._timer = loop.call_later(LOOK_SECONDS, self._look)

    async def _next_look(self) -> None:
        self._looked.clear()
        await self._looked.wait()


class ServedConnection:
    """One client's connection (LinkOwner): when it has to end, and who answers its calls."""

    def __init__(self, server: RpcServer, handler: Handler) -> None:
        limits = server.limits
        self._server, self.handler = server, handler
        self.protocol = RpcProtocol(
            handler, server._configuration, limits.streams, is_client=False, lost=lambda _: self._ended()
        )
        now = asyncio.get_running_loop().time()
        self._retires = now + limits.age * random.uniform(0.9, 1.1)
        self._cut_at: float | None = None
        self.busy_at = now
        """When it had a call for the last time, or began."""
        self.link: TlsLink | None = None
        """What is below; None in plaintext."""
        self._is_closing = False

    @property
    def is_up(self) -> bool:
        """Whether HTTP/2 has begun."""
        return hasattr(self.protocol, "processor")

    @property
    def calls(self) -> int:
        """How many are running."""
        return self.protocol.calls if self.is_up else 0

    @property
    def is_idle(self) -> bool:
        """Whether nobody would miss it."""
        return not self.calls and (self.is_up or self.link is not None)

    def look(self, now: float) -> None:
        """Whether it has been idle for too long, is too old, or has been drained."""
        limits = self._server.limits
        if not self.is_up:
            return  # the handshake has a deadline of its own
        self.protocol.processor.taken_back = 0
        if self.calls:
            self.busy_at = now
        elif self.protocol.processor.is_draining or now - self.busy_at > limits.idle:
            self.protocol.drain()
            self.close()
            return
        if self._cut_at is not None and now > self._cut_at:
            self.close()
        elif self._cut_at is None and now > self._retires:
            self._cut_at = now + limits.grace
            self.drain()

    def drain(self) -> None:
        """No new calls."""
        if self.is_up:
            self.protocol.drain()
        else:
            self.close()

    def close(self) -> None:
        """End it now; running calls are cancelled. What is still to be sent has a moment to go out."""
        if self._is_closing:
            return
        if self.is_up:
            self._is_closing = True
            transport = self.protocol.transport
            self.protocol.processor.close("the server closes the connection")
            if self.link is None:  # which has a deadline of its own
                asyncio.get_running_loop().call_later(self._server.limits.link.farewell, transport.abort)
        elif self.link is not None:
            self.link.close()

    def abort(self) -> None:
        """End it at once."""
        if self.link is not None:
            self.link.abort()
        else:
            self.protocol.transport.abort()

    def link_up(self, link: TlsLink) -> None:
        """TLS is there: HTTP/2 has begun."""

    def link_lost(self, link: TlsLink, error: BaseException | None) -> None:
        """TLS is gone, or never came up."""
        if link.above is None:
            self._server.counts.failed += 1
            name = link.below.get_extra_info("peername")
            log.info(
                "connection from %s refused: %s", name[0] if name else "a peer that is gone", error or "others wait"
            )
        self._ended()

    def _ended(self) -> None:
        self._server._lost(self)


class TurnedAway(asyncio.Protocol):
    """A connection too many: it is closed before a byte is read."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Close it."""
        cast("asyncio.Transport", transport).abort()


def _configuration(limits: ServerLimits) -> Configuration:
    keepalive: dict[str, Any] = {
        "_keepalive_time": limits.ping_interval,
        "_keepalive_timeout": limits.ping_timeout,
        "_keepalive_permit_without_calls": True,
        "_http2_max_pings_without_data": 0,  # no bound
        "_http2_min_sent_ping_interval_without_data": limits.ping_interval / 2,
    }
    window = limits.window
    return Configuration(http2_connection_window_size=window, http2_stream_window_size=window, **keepalive)
