"""TCP keepalive for connections that last: set once they are a second old (hbone-dataplane 8.1).

It is four system calls, and a timer in the kernel, for something that begins to matter after minutes, and most
connections are over in milliseconds.
"""

from __future__ import annotations

import contextlib
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

    from hbone_py.aio.reactor import Reactor
    from hbone_py.aio.tcp import SocketOptions
    from hbone_py.aio.wheel import Timer

AGE = 1.0
"""Seconds after which a connection is one that lasts."""
A_TURN = 256
"""Sockets that one turn sees to: where ten thousand came within a second, nobody waits for all of them."""


class LateKeepalive:
    """For the connections of one proxy. Each socket is looked at once; what is closed by then costs nothing more."""

    __slots__ = ("_options", "_reactor", "_timer", "_young")

    def __init__(self, reactor: Reactor, options: SocketOptions) -> None:
        self._reactor = reactor
        self._options = options
        self._young: deque[tuple[float, socket.socket]] = deque()  # and from when on each lasts
        self._timer: Timer | None = None

    def watch(self, sock: socket.socket) -> None:
        """It has just been made, without keepalive. Those before it whose time has come are seen to on the way."""
        young, wheel = self._young, self._reactor.wheel
        now = wheel.now
        young.append((now + AGE, sock))
        if young[0][0] <= now:
            self._look(now, 2)
        if self._timer is None:
            self._timer = wheel.after(AGE, self._look_again)

    def _look(self, now: float, most: int) -> None:
        """See to so many of those that last."""
        young = self._young
        while young and most and young[0][0] <= now:
            most -= 1
            sock = young.popleft()[1]
            if sock.fileno() >= 0:
                with contextlib.suppress(OSError):  # whoever reads it hears what is wrong with it
                    self._options.keep_alive(sock)

    def _look_again(self) -> None:
        wheel, young = self._reactor.wheel, self._young
        self._look(wheel.now, A_TURN)
        self._timer = wheel.after(max(0.0, young[0][0] - wheel.now), self._look_again) if young else None
