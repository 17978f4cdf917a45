"""Capture without redirection rules: whoever connects says first where it is going.

A `Greeting` reads what stands in front of the payload, byte-exactly: it looks at what has arrived without taking it,
and takes only what belongs to it. PROXY protocol here; SOCKS5 in `socks5`.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from hbone_py.aio.reactor import CLOSING
from hbone_py.aio.tcp import Listener, SocketAddress, canonical, show
from hbone_py.proxy_protocol import MAX_PREAMBLE, PreambleError, read_preamble

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py.errors import HboneError
    from mesh_py.telemetry.facts import Reporter
    from ztunnel_py.context import ProxyContext

    Carry = Callable[[socket.socket, SocketAddress, SocketAddress], None]

DEADLINE = 10.0
"""Seconds a client has to say where it is going."""
MAX_GREETINGS = 4096
"""Clients that may be saying it at the same time."""
_FIRST_LOOK = 1024
"""Bytes looked at first: more than nearly every greeting has."""
_LAST_READS = 16
_GONE = "the client closed before it said where to go"


class Greeting:
    """Reads from a socket until `understand` is content or raises. `understand(bytes so far)` returns how many of them
    it took for good, and whether the greeting is over. Then `done` has the socket, or it is closed and `failed` says
    why."""

    def __init__(
        self,
        context: ProxyContext,
        sock: socket.socket,
        understand: Callable[[bytes], tuple[int, bool]],
        done: Callable[[], None],
        failed: Callable[[str], None],
    ) -> None:
        self._context, self._sock = context, sock
        self._understand, self._done, self._failed = understand, done, failed
        self._timer = context.reactor.wheel.after(DEADLINE, lambda: self._fail("nothing said in time"))
        self._is_closing = False  # nothing comes behind what is there
        self._is_over = False

    def start(self) -> None:
        """Listen, unless too many are being listened to."""
        pending = self._context.connections.pending
        is_crowded = len(pending) >= MAX_GREETINGS
        pending.add(self)
        self._context.reactor.register(self._sock.fileno(), self)
        if is_crowded:
            self._fail("too many clients have not said where to go")

    def on_ready(self, mask: int) -> None:
        """More has arrived, or the client is gone."""
        if mask & CLOSING:
            self._is_closing = True
        self.on_again()

    def on_again(self) -> None:
        """Look at all that is there."""
        size = _FIRST_LOOK
        while not self._is_over:
            try:
                seen = self._sock.recv(size, socket.MSG_PEEK)
            except BlockingIOError:
                return
            except OSError as error:
                self._fail(error.strerror or "connection broke")
                return
            if not seen:
                self._fail(_GONE)
                return
            try:
                taken, is_over = self._understand(seen)
            except (PreambleError, OSError) as error:
                self._fail(str(error))
                return
            if taken:
                self._sock.recv(taken)
            if is_over:
                self._succeed()
            elif not taken and len(seen) < size:
                if self._is_closing:
                    self._fail(_GONE)
                return  # an edge will tell when there is more
            elif not taken and size == MAX_PREAMBLE:
                self._fail("more is said than a greeting holds")
            elif not taken:
                size = MAX_PREAMBLE

    def abort(self, error: Exception) -> None:
        """A handler of ours failed."""
        self._fail(f"unexpected error: {error!r}")

    def cut(self, error: HboneError) -> None:
        """The drain is over."""
        self._fail(str(error))

    def _succeed(self) -> None:
        """What it becomes is counted before it is no longer pending: a drain must not miss it in between."""
        self._settle()
        try:
            self._done()
        finally:
            self._context.connections.settled(self)

    def _settle(self) -> None:
        self._is_over = True
        self._timer.cancel()
        self._context.reactor.unregister(self._sock.fileno())

    def _fail(self, reason: str) -> None:
        if self._is_over:
            return
        self._settle()
        try:
            for _ in range(
                _LAST_READS
            ):  # closing over unread bytes would turn the answer we may have given into a reset
                if not self._sock.recv(MAX_PREAMBLE):
                    break
        except OSError:
            pass
        self._sock.close()
        self._failed(reason)
        self._context.connections.settled(self)


class ProxyProtocolCapture:
    """A listener whose clients say their true source and destination in a PROXY preamble."""

    def __init__(self, context: ProxyContext, carry: Carry, reporter: Reporter) -> None:
        self._context, self._carry, self._reporter = context, carry, reporter

    def listen(self, sock: socket.socket) -> Listener:
        """Accept on a bound socket (loopback only: anybody who connects may claim any source)."""
        return Listener(self._context.reactor, sock, self.accepted)

    def accepted(self, sock: socket.socket, client: SocketAddress) -> None:
        """Read the preamble, then carry."""
        local = canonical(sock.getsockname())
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

        def failed(reason: str) -> None:
            self._context.access.failed(self._reporter, show(client), show(local), f"PROXY protocol: {reason}")

        Greeting(self._context, sock, understand, lambda: self._carry(sock, *ends), failed).start()
