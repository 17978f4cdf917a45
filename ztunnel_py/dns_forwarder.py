"""Questions the mesh cannot answer, asked of real name servers: over UDP, over TCP when the answer was cut.

One after another, each for a while, all of them within one deadline. Every question goes out from a socket of its own,
connected (the kernel drops what others send) and marked, so that no rule brings it back to us.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path
from secrets import randbits
from typing import TYPE_CHECKING, NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.rcode

from hbone_py.aio.tcp import SO_MARK, SocketAddress, SocketOptions, family_of, show
from mesh_py.process.file_stamp import stamp_of
from ztunnel_py.dns_messages import forwarded_query

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Hashable, Sequence

    from ztunnel_py.dns_messages import Query

log = logging.getLogger("dns")

RESOLV_CONF = Path("/etc/resolv.conf")
DEADLINE, ATTEMPT = 5.0, 2.0
_ROUNDS = 2
_PORT = 53
_LARGEST = 65_535
_TRY_ANOTHER = (dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP)


class UpstreamError(Exception):
    """No name server gave an answer; the text says why."""


class ResolvConf(NamedTuple):
    """What resolv.conf(5) says, as far as it concerns us."""

    servers: tuple[SocketAddress, ...] = ()
    search: tuple[str, ...] = ()


def read_resolv_conf(text: str) -> ResolvConf:
    """Name servers and search list; the last of `search` and `domain` counts, other lines are passed over."""
    servers: list[SocketAddress] = []
    search: tuple[str, ...] = ()
    for line in text.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        match words:
            case ["nameserver", address, *_]:
                servers.append((address, _PORT))
            case ["search" | "domain", *domains]:
                search = tuple(domain.rstrip(".") for domain in domains if domain.rstrip("."))
    return ResolvConf(tuple(servers), search)


class ResolvConfFile:
    """The file, read again whenever it has changed: a machine moves, and its name servers with it."""

    def __init__(self, path: Path = RESOLV_CONF) -> None:
        self._path = path
        self._stamp: Hashable = None
        self._known = ResolvConf()

    def now(self) -> ResolvConf:
        """What it says; nothing if it cannot be read."""
        if (stamp := stamp_of(self._path)) == self._stamp:
            return self._known
        try:
            self._known, self._stamp = read_resolv_conf(self._path.read_text(errors="replace")), stamp
        except OSError as error:
            if self._stamp is not None:
                log.warning("%s: %s: names outside the mesh are not resolved", self._path, error.strerror)
            self._known, self._stamp = ResolvConf(), None
        return self._known


class Forwarder:
    """Asks name servers.

    Args:
        servers: who they are, looked at for every question.
        options: how and where our sockets are made; of their options only the mark counts.
        deadline: seconds for one question, whatever it takes.
        attempt: seconds one server has, before the next is asked.
    """

    def __init__(
        self,
        servers: Callable[[], Sequence[SocketAddress]],
        options: SocketOptions | None = None,
        *,
        deadline: float = DEADLINE,
        attempt: float = ATTEMPT,
    ) -> None:
        self._servers, self._deadline, self._attempt = servers, deadline, attempt
        self._options = options or SocketOptions()

    async def ask(self, query: Query) -> dns.message.Message:
        """The answer of the first server that has one, whatever it says. Raises UpstreamError."""
        refusal: dns.message.Message | None = None
        trouble = "there is no name server"
        try:
            async with asyncio.timeout(self._deadline):
                async for server, answer, problem in self._attempts(query):
                    if answer is None:
                        trouble = f"{show(server)}: {problem}"
                    elif answer.rcode() in _TRY_ANOTHER:
                        refusal = answer
                    else:
                        return answer
        except TimeoutError:
            trouble = f"no answer in {self._deadline:g} s; last, {trouble}"
        if refusal is not None:
            return refusal
        raise UpstreamError(trouble)

    async def _attempts(self, query: Query) -> AsyncIterator[tuple[SocketAddress, dns.message.Message | None, str]]:
        silent = list(self._servers())
        for _ in range(_ROUNDS):
            for server in tuple(silent):
                try:
                    async with asyncio.timeout(self._attempt):
                        answer = await self._ask_one(server, query)
                except (OSError, EOFError, TimeoutError) as error:
                    yield server, None, str(error) or "no answer in time"
                    continue
                silent.remove(server)  # who refuses once refuses twice
                yield server, answer, ""

    async def _ask_one(self, server: SocketAddress, query: Query) -> dns.message.Message:
        message = forwarded_query(query, randbits(16))
        answer = await self._over_udp(server, message)
        if answer.flags & dns.flags.TC:
            return await self._over_tcp(server, message)
        return answer

    async def _over_udp(self, server: SocketAddress, message: dns.message.Message) -> dns.message.Message:
        loop = asyncio.get_running_loop()
        with self._socket(server, socket.SOCK_DGRAM) as sock:
            sock.connect(server)
            await loop.sock_sendall(sock, message.to_wire())
            while True:
                answer = _understood(await loop.sock_recv(sock, _LARGEST), message)
                if answer is not None:
                    return answer

    async def _over_tcp(self, server: SocketAddress, message: dns.message.Message) -> dns.message.Message:
        loop = asyncio.get_running_loop()
        with self._socket(server, socket.SOCK_STREAM) as sock:
            await loop.sock_connect(sock, server)
            await loop.sock_sendall(sock, message.to_wire(prepend_length=True))
            size = int.from_bytes(await _exactly(sock, 2), "big")
            answer = _understood(await _exactly(sock, size), message)
        if answer is None:
            raise EOFError("its answer over TCP is to another question")
        return answer

    def _socket(self, server: SocketAddress, kind: socket.SocketKind) -> socket.socket:
        mark = self._options.mark
        sock = self._options.new_socket(family_of(server[0]), kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            if mark is not None:
                sock.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
        except OSError:
            sock.close()
            raise
        return sock


def _understood(wire: bytes, asked: dns.message.Message) -> dns.message.Message | None:
    """The answer to what was asked; None for anything else, which is passed over as RFC 5452 9.1 wants it."""
    try:
        answer = dns.message.from_wire(wire, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError):
        return None
    return answer if asked.is_response(answer) else None


async def _exactly(sock: socket.socket, size: int) -> bytes:
    loop = asyncio.get_running_loop()
    found = b""
    while len(found) < size:
        piece = await loop.sock_recv(sock, size - len(found))
        if not piece:
            raise EOFError("it ended the connection before its answer")
        found += piece
    return found
