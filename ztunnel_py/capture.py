"""Capture without redirection rules: whoever connects says first where it is going.

A `Greeting` reads what stands in front of the payload, byte-exactly: it looks at what has arrived without taking it,
and takes only what belongs to it. PROXY protocol here; SOCKS5 in `socks5`.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from hbone_py.aio.tcp import Listener, SocketAddress, canonical, show
from hbone_py.proxy_protocol import MAX_PREAMBLE, PreambleError, read_preamble

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py.aio.reactor import Reactor
    from ztunnel_py.context import ProxyContext

    Carry = Callable[[socket.socket, SocketAddress, SocketAddress], None]

DEADLINE = 10.0
"""Seconds a client has to say where it is going."""
MAX_GREETINGS = 4096
"""Clients that may be saying it at the same time."""


class Greeting:
    """Reads from a socket until `understand` is content or raises. `understand(bytes so far)` returns how many of them
    it took for good, and whether the greeting is over."""

    def __init__(
        self,
        reactor: Reactor,
        sock: socket.socket,
        understand: Callable[[bytes], tuple[int, bool]],
        done: Callable[[], None],
        failed: Callable[[str], None],
    ) -> None:
        self._reactor, self._sock = reactor, sock
        self._understand, self._done, self._failed = understand, done, failed
        self._timer = reactor.wheel.after(DEADLINE, lambda: self._fail("nothing said in time"))
        self._is_over = False
        reactor.register(sock.fileno(), self)

    def on_ready(self, mask: int) -> None:
        """More has arrived, or the client is gone."""
        self.on_again()

    def on_again(self) -> None:
        """Look at all that is there."""
        while not self._is_over:
            try:
                seen = self._sock.recv(MAX_PREAMBLE, socket.MSG_PEEK)
            except BlockingIOError:
                return
            except OSError as error:
                self._fail(error.strerror or "connection broke")
                return
            if not seen:
                self._fail("the client closed before it said where to go")
                return
            try:
                taken, is_over = self._understand(seen)
            except (PreambleError, OSError) as error:
                self._fail(str(error))
                return
            if taken:
                self._sock.recv(taken)
            if is_over:
                self._settle()
                self._done()
                return
            if not taken:
                return  # an edge will tell when there is more

    def abort(self, error: Exception) -> None:
        """A handler of ours failed."""
        self._fail(f"unexpected error: {error!r}")

    def _settle(self) -> None:
        self._is_over = True
        self._timer.cancel()
        self._reactor.unregister(self._sock.fileno())

    def _fail(self, reason: str) -> None:
        if self._is_over:
            return
        self._settle()
        try:
            while self._sock.recv(MAX_PREAMBLE):
                pass  # closing over unread bytes would turn the answer we may have given into a reset
        except OSError:
            pass
        self._sock.close()
        self._failed(reason)


class ProxyProtocolCapture:
    """A listener whose clients say their true source and destination in a PROXY preamble."""

    def __init__(self, context: ProxyContext, carry: Carry) -> None:
        self._context, self._carry = context, carry
        self._greeting = 0

    def listen(self, sock: socket.socket) -> Listener:
        """Accept on a bound socket (loopback only: anybody who connects may claim any source)."""
        return Listener(self._context.reactor, sock, self.accepted)

    def accepted(self, sock: socket.socket, client: SocketAddress) -> None:
        """Read the preamble, then carry."""
        if self._greeting >= MAX_GREETINGS:
            sock.close()
            return
        self._greeting += 1
        ends: list[SocketAddress] = []

        def understand(seen: bytes) -> tuple[int, bool]:
            found = read_preamble(seen)
            if found is None:
                return 0, False
            taken, preamble = found
            if preamble.destination is None:
                raise PreambleError("the PROXY preamble names no destination")
            source = preamble.source if preamble.source and preamble.source[1] else client
            ends.extend((canonical(source), canonical(preamble.destination)))
            return taken, True

        def done() -> None:
            self._greeting -= 1
            self._carry(sock, ends[0], ends[1])

        def failed(reason: str) -> None:
            self._greeting -= 1
            local = show(canonical(sock.getsockname())) if sock.fileno() >= 0 else "unknown"
            self._context.access.failed("source", show(client), local, f"PROXY protocol: {reason}")

        Greeting(self._context.reactor, sock, understand, done, failed)
