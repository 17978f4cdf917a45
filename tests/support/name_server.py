"""A name server for tests: real UDP and TCP on one loopback port, answering as a function says."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import dns.flags
import dns.message
import dns.rrset

if TYPE_CHECKING:
    from types import TracebackType

    from hbone_py.aio.namespace import NetworkNamespace

Answer = Callable[[dns.message.Message, str], dns.message.Message | bytes | None]
"""What is said to a question that came by `udp` or `tcp`; None is silence."""


def addresses(*ips: str, ttl: int = 5) -> Answer:
    """Whatever is asked has these IPv4 addresses."""

    def answer(query: dns.message.Message, protocol: str) -> dns.message.Message:
        response = dns.message.make_response(query, recursion_available=True)
        response.answer.append(dns.rrset.from_text(query.question[0].name, ttl, "IN", "A", *ips))
        return response

    return answer


def code(rcode: int) -> Answer:
    """Nothing is known, and this is why."""

    def answer(query: dns.message.Message, protocol: str) -> dns.message.Message:
        response = dns.message.make_response(query, recursion_available=True)
        response.set_rcode(rcode)  # type: ignore[arg-type]
        return response

    return answer


def silence(query: dns.message.Message, protocol: str) -> None:
    """No answer."""


def only_over_tcp(other: Answer) -> Answer:
    """Over UDP the answer is cut."""

    def answer(query: dns.message.Message, protocol: str) -> dns.message.Message | bytes | None:
        if protocol == "tcp":
            return other(query, protocol)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.TC
        return response

    return answer


class NameServer(asyncio.DatagramProtocol):
    """Serves for the length of an `async with`; `asked` is what came, as (protocol, question)."""

    def __init__(
        self, answer: Answer, host: str = "127.0.0.1", port: int = 0, namespace: NetworkNamespace | None = None
    ) -> None:
        """`namespace` is the network it is in; None: ours."""
        self._answer, self._host, self._port, self._namespace = answer, host, port, namespace
        self.asked: list[tuple[str, str]] = []
        self.queries: list[dns.message.Message] = []
        self._transport: asyncio.DatagramTransport
        self._server: asyncio.Server

    @property
    def address(self) -> tuple[str, int]:
        found: tuple[str, int] = self._server.sockets[0].getsockname()[:2]
        return found

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        with self._namespace or contextlib.nullcontext():
            tcp = socket.socket()
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        tcp.bind((self._host, self._port))
        self._server = await asyncio.start_server(self._converse, sock=tcp)
        udp.bind(self.address)
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=udp)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.close()
        self._server.close()
        await self._server.wait_closed()

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if (reply := self._reply(data, "udp")) is not None:
            self._transport.sendto(reply, addr)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(2), "big")
        if (reply := self._reply(await reader.readexactly(size), "tcp")) is not None:
            writer.write(len(reply).to_bytes(2, "big") + reply)
            await writer.drain()
        writer.close()

    def _reply(self, wire: bytes, protocol: str) -> bytes | None:
        query = dns.message.from_wire(wire)
        self.queries.append(query)
        self.asked.append((protocol, query.question[0].to_text()))
        answer = self._answer(query, protocol)
        return answer.to_wire() if isinstance(answer, dns.message.Message) else answer
