"""Splice: two TCP sockets joined, as a state machine on the reactor: plaintext passing through a proxy.

The same rules as `relay.Relay`: half-close travels, a reset becomes a reset, a slow side stops the reading of the
other. What a full socket refuses is kept, at most one read's worth in each direction.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

from hbone_py.aio.reactor import CLOSING, READABLE, WRITABLE
from hbone_py.aio.tcp import reset
from hbone_py.errors import ConnectionLost, HboneError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py.aio.reactor import Reactor

_READS_PER_TURN = 4


class _Side:
    """One of the two sockets: reads its own, writes what the other read."""

    __slots__ = ("_is_closing", "_splice", "count", "ended", "kept", "other", "sock")

    def __init__(self, splice: Splice, sock: socket.socket) -> None:
        self.sock = sock
        self.count = 0
        """Bytes this side has said, taken by the other side's kernel."""
        self.ended = False
        self.kept = b""
        """What the other side said and this socket has not taken yet."""
        self.other: _Side
        self._splice = splice
        self._is_closing = False

    def on_ready(self, mask: int) -> None:
        """The kernel reports an edge."""
        if mask & CLOSING:
            self._is_closing = True
            if self.ended and self._found_broken():
                return
        if mask & WRITABLE and self.kept:
            self._write_kept()
        if mask & READABLE and not self._splice.is_over:
            self.on_again()

    def _found_broken(self) -> bool:
        """After its end nobody reads this side: that it has broken since shows nowhere else."""
        code = 0 if self._splice.is_over else self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._broke(OSError(code, os.strerror(code)))
        return code != 0

    def on_again(self) -> None:
        """Read while the other side takes everything."""
        splice, other = self._splice, self.other
        view = splice.reactor.plaintext_out.view
        for _ in range(_READS_PER_TURN):
            if self.ended or other.kept or splice.is_over:
                return
            try:
                count = self.sock.recv_into(view)
            except BlockingIOError:
                return
            except OSError as error:
                self._broke(error)
                return
            if not count:
                self._end()
                return
            self._pass_on(view[:count])
            if count < len(view) and not self._is_closing:
                return
        splice.reactor.again(self)

    def _pass_on(self, data: memoryview) -> None:
        try:
            sent = self.other.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.other._broke(error)
            return
        self.count += sent
        if sent < len(data):
            self.other.kept = bytes(data[sent:])
            self._splice.reactor.await_room(self.other.sock.fileno())

    def _write_kept(self) -> None:
        other = self.other
        try:
            sent = self.sock.send(self.kept)
        except BlockingIOError:
            return
        except OSError as error:
            self._broke(error)
            return
        other.count += sent
        self.kept = self.kept[sent:]
        if self.kept:
            return
        if other.ended:
            other._end()
        else:
            self._splice.reactor.again(other)

    def _end(self) -> None:
        """This side has said all; once the other has it all, it is told."""
        self.ended = True
        if self.other.kept:
            return
        with contextlib.suppress(OSError):  # it may be gone already; reading it will tell
            self.other.sock.shutdown(socket.SHUT_WR)
        if self.other.ended and not self.kept:
            self._splice.finish(None)

    def _broke(self, error: OSError) -> None:
        """A reset is a reset for the other side; `lenient` makes it an end, behind what was said before."""
        if not self._splice.lenient:
            self._splice.finish(ConnectionLost(f"connection broke: {error.strerror}"))
            return
        self.kept = b""
        self.other.ended = True  # nobody is left to hear what it says
        self._end()

    def abort(self, error: Exception) -> None:
        """A handler of ours failed."""
        self._splice.finish(HboneError(f"unexpected error: {error!r}"))


class Splice:
    """Two sockets, `downstream` (who came to us) and `upstream` (whom we called). `done` is called once."""

    def __init__(
        self,
        reactor: Reactor,
        downstream: socket.socket,
        upstream: socket.socket,
        done: Callable[[Splice, HboneError | None], None],
        *,
        lenient: bool = False,
    ) -> None:
        self.reactor = reactor
        self.lenient = lenient
        self.done = done
        self.is_over = False
        self.downstream = _Side(self, downstream)
        self.upstream = _Side(self, upstream)
        self.downstream.other, self.upstream.other = self.upstream, self.downstream

    def start(self) -> None:
        """Register both; bytes flow from now on."""
        self.reactor.register(self.downstream.sock.fileno(), self.downstream)
        self.reactor.register(self.upstream.sock.fileno(), self.upstream)

    @property
    def sent(self) -> int:
        """Bytes from downstream to upstream."""
        return self.downstream.count

    @property
    def received(self) -> int:
        """Bytes from upstream to downstream."""
        return self.upstream.count

    def finish(self, error: HboneError | None) -> None:
        """End both; with an error both see a reset."""
        if self.is_over:
            return
        self.is_over = True
        for side in (self.downstream, self.upstream):
            self.reactor.forget(side.sock.fileno())
            if error is None:
                side.sock.close()
            else:
                reset(side.sock)
        self.done(self, error)
