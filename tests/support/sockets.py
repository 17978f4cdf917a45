"""Connected sockets for tests, an application on the end of one, and the turns of the loop between them.

Both ends of every connection live in the test's own loop: what must happen is awaited turn by turn, never slept for.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from typing import TYPE_CHECKING, NamedTuple

from tests.support.processes import loopback_address

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 10.0
"""When a test gives up; never how long it takes."""
RESET_ON_CLOSE = struct.pack("ii", 1, 0)
CHUNK = 65536


Pair = tuple[socket.socket, socket.socket]

_handed_out: list[socket.socket] = []


class Buffers(NamedTuple):
    """How many bytes the kernel keeps for a socket, about; None leaves it as it is."""

    send: int | None = None
    receive: int | None = None


ROOMY = Buffers()
TIGHT = Buffers(4096, 4096)
SMALL_SOCKETS = Buffers(16 * 1024, 16 * 1024)


def tcp_pair(buffers: Buffers = ROOMY) -> Pair:
    """Both ends of one loopback connection, not blocking."""
    with socket.socket() as listener, contextlib.ExitStack() as on_failure:
        _shape(listener, buffers)
        listener.bind((loopback_address(), 0))
        listener.listen(1)
        near = on_failure.enter_context(socket.socket())
        _shape(near, buffers)
        near.connect(listener.getsockname())
        far, _ = listener.accept()
        on_failure.pop_all()
    for sock in (near, far):
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _handed_out.append(sock)
    return near, far


def dialled(host: str, port: int) -> socket.socket:
    """A connection to a listener on loopback, not blocking."""
    sock = socket.create_connection((host, port))
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _handed_out.append(sock)
    return sock


def close_all() -> None:
    """Close every socket of every `tcp_pair` so far: a test that has failed leaves some open."""
    while _handed_out:
        _handed_out.pop().close()


def _shape(sock: socket.socket, buffers: Buffers) -> None:
    """Before the handshake: the kernel never takes an announced window back."""
    if buffers.send is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffers.send)
    if buffers.receive is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffers.receive)


class Heard(NamedTuple):
    """All that came, and how it ended: `eof` or `reset`."""

    data: bytes
    ended: str


class App:
    """A TCP application of the simplest kind, on the running loop."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    async def say(self, data: bytes) -> None:
        """Returns when the kernel has taken all of it."""
        async with asyncio.timeout(SECONDS):
            await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def hear(self, count: int) -> bytes:
        """Exactly `count` bytes."""
        received = bytearray()
        while len(received) < count:
            chunk = await self._receive(min(CHUNK, count - len(received)))
            assert chunk, f"ended after {len(received)} of {count} bytes"
            received += chunk
        return bytes(received)

    async def hear_all(self) -> Heard:
        """Read to the end, whatever end that is."""
        received = bytearray()
        try:
            while chunk := await self._receive(CHUNK):
                received += chunk
        except ConnectionError:
            return Heard(bytes(received), "reset")
        return Heard(bytes(received), "eof")

    async def _receive(self, count: int) -> bytes:
        async with asyncio.timeout(SECONDS):
            return await asyncio.get_running_loop().sock_recv(self.sock, count)

    def take(self) -> int:
        """Hear what is there now; how many bytes."""
        taken = 0
        with contextlib.suppress(BlockingIOError):
            while count := len(self.sock.recv(CHUNK)):
                taken += count
        return taken

    def stuff(self, data: bytes | memoryview) -> int:
        """Say as much as the kernel takes at once."""
        taken = 0
        with contextlib.suppress(BlockingIOError):
            while taken < len(data):
                taken += self.sock.send(memoryview(data)[taken:])
        return taken

    def end(self) -> None:
        """FIN: we have said all."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """RST: gone, with everything unsaid and unread."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.sock.close()

    def close(self) -> None:
        """Gone politely: FIN, or what the kernel makes of unread bytes."""
        self.sock.close()


async def turns(count: int = 20) -> None:
    """Let the loop look at everything several times: enough for all that can happen by itself."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Callable[[], object], what: str, seconds: float = SECONDS) -> None:
    """Let the loop turn until `condition` holds; AssertionError naming `what` when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not {what} after {seconds} s"
        await asyncio.sleep(0)


def taken(address: str, port: int) -> socket.socket:
    """A listener in somebody's way."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((address, port))
    listener.listen()
    return listener
