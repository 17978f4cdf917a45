"""15053: names for our workloads, from the mesh where it knows them, else from real name servers.

UDP and TCP, on loopback only; here are the sockets and the bounds. What one question gets is said in `dns_resolver`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import TYPE_CHECKING

import dns.rcode

from hbone_py.aio.tcp import canonical
from mesh_py.discovery.dns_names import NameRules
from ztunnel_py.dns_forwarder import Forwarder, ResolvConfFile
from ztunnel_py.dns_messages import bare_reply
from ztunnel_py.dns_resolver import Resolver
from ztunnel_py.dns_shares import Shares
from ztunnel_py.mode import Mode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
    from typing import Any

    from hbone_py.aio.tcp import SocketAddress
    from ztunnel_py.context import ProxyContext
    from ztunnel_py.dns_settings import DnsSettings

log = logging.getLogger("dns")

MOST_QUERIES = 1024
"""Questions over UDP being answered at the same time, in fair shares; beyond its own a source is told SERVFAIL."""
MOST_CONNECTIONS = 256
"""TCP clients at the same time, in fair shares as well; one more is turned away."""
IDLE = 5.0
"""Seconds a TCP client has for its next question, and to take an answer."""
_HEADER = 12
_IS_REPLY = 0x80


@contextlib.asynccontextmanager
async def serve_dns(
    context: ProxyContext, settings: DnsSettings, sockets: Iterable[socket.socket]
) -> AsyncIterator[DnsServer]:
    """Answer questions on bound sockets, TCP and UDP, until the context is left."""
    async with asyncio.TaskGroup() as group:
        server = DnsServer(_resolver(context, settings), group)
        await server.open(sockets)
        try:
            yield server
        finally:
            server.close()
            server.cancel()


def _resolver(context: ProxyContext, settings: DnsSettings) -> Resolver:
    whole = context.settings
    resolv_conf = ResolvConfFile()

    def servers() -> tuple[SocketAddress, ...]:
        return settings.upstream or resolv_conf.now().servers

    def rules() -> NameRules:
        # One workload's own resolver is ours; pods have the list that Kubernetes gives them.
        search = resolv_conf.now().search if whole.mode is Mode.DEDICATED else None
        return NameRules(whole.cluster_domain, search, settings.preferred_namespace, whole.ipv6)

    return Resolver(context, rules, Forwarder(servers, context.socket_options), wait=whole.state_wait)


class DnsServer:
    """The sockets, and the tasks of the questions that are being answered."""

    def __init__(self, resolver: Resolver, group: asyncio.TaskGroup) -> None:
        self._resolver, self._group = resolver, group
        self._tasks: set[asyncio.Task[None]] = set()
        self._queries, self._clients = Shares(MOST_QUERIES), Shares(MOST_CONNECTIONS)
        self._transports: list[asyncio.DatagramTransport] = []
        self._servers: list[asyncio.Server] = []

    async def open(self, sockets: Iterable[socket.socket]) -> None:
        """Begin to answer."""
        loop = asyncio.get_running_loop()
        for sock in sockets:
            if sock.type == socket.SOCK_STREAM:
                self._servers.append(await asyncio.start_server(self._connected, sock=sock))
            else:
                transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=sock)
                self._transports.append(transport)

    def close(self) -> None:
        """Take no more questions; those from TCP clients who are there go on."""
        for server in self._servers:
            server.close()
        for transport in self._transports:
            transport.close()

    def cancel(self) -> None:
        """Give up whatever is being answered."""
        for task in tuple(self._tasks):
            task.cancel()

    def datagram(self, transport: asyncio.DatagramTransport, wire: bytes, address: tuple[Any, ...]) -> None:
        """A question over UDP."""
        client = canonical((address[0], address[1]))
        if self._start(self._queries, client, lambda: self._answer_datagram(transport, wire, address, client)):
            return
        if len(wire) >= _HEADER and not wire[2] & _IS_REPLY:
            transport.sendto(bare_reply(wire, dns.rcode.SERVFAIL), address)

    async def _answer_datagram(
        self, transport: asyncio.DatagramTransport, wire: bytes, address: tuple[Any, ...], client: SocketAddress
    ) -> None:
        reply = await self._reply(wire, client, over_udp=True)
        if reply is not None and not transport.is_closing():
            transport.sendto(reply, address)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")  # not every loop knows that of who has gone already
        client = canonical(peer[:2]) if peer else None
        if client is None or not self._start(self._clients, client, lambda: self._converse(reader, writer, client)):
            writer.transport.abort()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: SocketAddress
    ) -> None:
        """Question, answer, question: until the client ends, says nothing for a while, or says nonsense."""
        try:
            with contextlib.suppress(OSError, EOFError, TimeoutError):
                while await self._turn(reader, writer, client):
                    pass
        finally:
            writer.close()

    async def _turn(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: SocketAddress) -> bool:
        async with asyncio.timeout(IDLE):
            size = int.from_bytes(await reader.readexactly(2), "big")
            wire = await reader.readexactly(size)
        reply = await self._reply(wire, client, over_udp=False)
        if reply is None:
            return False
        writer.write(len(reply).to_bytes(2, "big") + reply)
        async with asyncio.timeout(IDLE):
            await writer.drain()
        return True

    async def _reply(self, wire: bytes, address: SocketAddress, *, over_udp: bool) -> bytes | None:
        try:
            return await self._resolver.reply(wire, address, "udp" if over_udp else "tcp")
        except Exception:  # one question must not end the others
            log.exception("a question that broke us")
            return bare_reply(wire, dns.rcode.SERVFAIL)

    def _start(self, shares: Shares, client: SocketAddress, work: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Whether the client may have it done. Whoever the mesh does not know is one with all the others like it."""
        source = client[0] if self._resolver.knows(client) else None
        if not shares.take(source):
            return False
        task = self._group.create_task(work())
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            shares.give_back(source)

        task.add_done_callback(ended)
        return True


class _Datagrams(asyncio.DatagramProtocol):
    """Hands on what arrives."""

    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._server.datagram(self._transport, data, addr)
