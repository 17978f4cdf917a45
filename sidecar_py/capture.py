"""Capture where nothing redirects: SOCKS5 on 15080, PROXY protocol v2 in front of 15001 and 15006 (loopback only)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from hbone_py.aio.tcp import Listener, canonical, show
from hbone_py.errors import ConnectionLost, HboneError
from hbone_py.proxy_protocol import MAX_PREAMBLE, PreambleError, read_preamble
from mesh_py.capture.socks_messages import (
    HOST_UNREACHABLE,
    NO_AUTHENTICATION,
    SUCCEEDED,
    SocksError,
    read_methods,
    read_request,
    refusal,
)
from mesh_py.discovery.dns_names import NameRules, look_up
from mesh_py.model.address import parse_ip

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable

    from hbone_py.aio.tcp import SocketAddress
    from hbone_py.aio.tcp_stream import TcpStream
    from mesh_py.proxy.connections import Connections
    from mesh_py.telemetry.facts import Reporter
    from sidecar_py.context import SidecarContext

    Serve = Callable[[TcpStream, SocketAddress, SocketAddress], Awaitable[None]]
    """Serves a connection whose source and destination are known."""

Message = TypeVar("Message")

DEADLINE = 10.0
"""Seconds a client has to say where it is going."""


class Socks5:
    """Accepts SOCKS5 clients and gives their connections to `serve`."""

    def __init__(self, context: SidecarContext, connections: Connections, serve: Serve) -> None:
        self._context, self._connections, self._serve = context, connections, serve

    def listen(self, sock: socket.socket) -> Listener:
        """Accept on a bound socket."""
        return Listener(self._context.reactor, sock, self._accepted)

    def _accepted(self, sock: socket.socket, client: SocketAddress) -> None:
        self._connections.begin(sock, lambda stream: self._greet(stream, client))

    async def _greet(self, stream: TcpStream, client: SocketAddress) -> None:
        try:
            async with asyncio.timeout(DEADLINE):
                destination = await self._understand(stream)
        except (HboneError, PreambleError, TimeoutError) as error:
            await stream.aclose()
            self._context.access.failed("source", show(client), "", f"socks5: {_why(error)}")
            return
        await self._serve(stream, client, destination)

    async def _understand(self, stream: TcpStream) -> SocketAddress:
        try:
            await _take_message(stream, _methods)
            await stream.send(NO_AUTHENTICATION)
            host, port = await _take_message(stream, _request)
            address = self._locate(host)
        except SocksError as error:
            await stream.send(refusal(error.code))
            raise
        await stream.send(SUCCEEDED)
        return address, port

    def _locate(self, host: str) -> str:
        """An address, from text or from what discovery knows of a name."""
        try:
            return parse_ip(host)
        except ValueError:
            pass
        context = self._context
        rules = NameRules(context.settings.cluster_domain)
        for is_v6 in (False, True):
            answer = look_up(context.state, context.workload, host, rules, ipv6=is_v6)
            if answer is not None and answer.addresses:
                return context.dice.choice(answer.addresses)
        raise SocksError(f"unknown host {host}", HOST_UNREACHABLE)


class ProxyProtocol:
    """A listener whose clients say their true source and destination in a PROXY preamble."""

    def __init__(self, context: SidecarContext, connections: Connections, serve: Serve, reporter: Reporter) -> None:
        self._context, self._connections, self._serve, self._reporter = context, connections, serve, reporter

    def listen(self, sock: socket.socket) -> Listener:
        """Accept on a bound socket (loopback only: anybody who connects may claim any source)."""
        return Listener(self._context.reactor, sock, self._accepted)

    def _accepted(self, sock: socket.socket, client: SocketAddress) -> None:
        self._connections.begin(sock, lambda stream: self._greet(stream, client))

    async def _greet(self, stream: TcpStream, client: SocketAddress) -> None:
        try:
            async with asyncio.timeout(DEADLINE):
                preamble = await _take_message(stream, read_preamble)
            if preamble.destination is None:
                raise PreambleError("the PROXY preamble names no destination")
        except (HboneError, PreambleError, TimeoutError) as error:
            stream.abort()
            text = f"PROXY protocol: {_why(error)}"
            self._context.access.failed(self._reporter, show(client), "", text)
            return
        source = preamble.source if preamble.source and preamble.source[1] else client
        await self._serve(stream, canonical(source), canonical(preamble.destination))


async def _take_message(stream: TcpStream, read: Callable[[bytes], tuple[int, Message] | None]) -> Message:
    """The message at the beginning of the stream, which alone is taken; `read` gives its length and what it says."""
    seen = b""
    while True:
        more = await stream.peek(len(seen), MAX_PREAMBLE)
        if len(more) <= len(seen):
            raise ConnectionLost("the client closed before it said where to go")
        found = read(more)
        if found is not None:
            await stream.receive(found[0])
            return found[1]
        if len(more) >= MAX_PREAMBLE:
            raise PreambleError("more is said than a greeting holds")
        seen = more


def _methods(seen: bytes) -> tuple[int, None] | None:
    length = read_methods(seen)
    return None if length is None else (length, None)


def _request(seen: bytes) -> tuple[int, tuple[str, int]] | None:
    found = read_request(seen)
    return None if found is None else (found[0], found[1:])


def _why(error: BaseException) -> str:
    return "nothing said in time" if isinstance(error, TimeoutError) else str(error)
