"""TCP: listeners and connections on the reactor, socket options, marks, and a borrowed source address.

hbone-dataplane 8.1 lists the options, 3.6 whose address a connection to an application carries.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from dataclasses import dataclass
from fcntl import ioctl
from struct import pack
from termios import TIOCOUTQ
from typing import TYPE_CHECKING, Protocol

from hbone_py.address import is_loopback
from hbone_py.aio.pacing import RENO, is_paced_here, pace, spare_pacing
from hbone_py.aio.reactor import CLOSING, READABLE, WRITABLE
from hbone_py.errors import ConnectionFailed, ConnectTimeout, HboneError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py.aio.namespace import NetworkNamespace
    from hbone_py.aio.reactor import Reactor
    from hbone_py.aio.wheel import Timer

SocketAddress = tuple[str, int]

SO_MARK = 36
IP_TRANSPARENT = 19
IP_FREEBIND = 15
IP_BIND_ADDRESS_NO_PORT = 24
IPV6_TRANSPARENT = 75
BACKLOG = 1024
_RESET = pack("ii", 1, 0)
_NON_BLOCKING = socket.SOCK_STREAM | socket.SOCK_NONBLOCK
_ACCEPTS_PER_TURN = 64
_UNACKED_END = 28
"""In `struct tcp_info` (tcp(7)): behind `tcpi_unacked`, which of a listener is its backlog."""
_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE = 0.1


class DataSocket(socket.socket):
    """A socket that is made and closed in C alone. The standard library's counts the files made of it (`makefile`): of
    ours there are none, and a tunnel has two."""

    __slots__ = ()
    if not TYPE_CHECKING:
        __init__ = socket.SocketType.__init__
    close = socket.SocketType.close
    detach = socket.SocketType.detach

    @property
    def _closed(self) -> bool:  # for `with`, and to be shown
        return self.fileno() < 0

    @property
    def _io_refs(self) -> int:  # uvloop counts its own waits here, if somebody waits on one of these through it
        return 0

    @_io_refs.setter
    def _io_refs(self, count: int) -> None:
        pass


@dataclass(frozen=True, slots=True)
class SocketOptions:
    """Options of the sockets a proxy makes and accepts (seconds where times)."""

    keepalive: bool = True
    keepalive_idle: int = 180
    keepalive_interval: int = 180
    keepalive_retries: int = 9
    user_timeout: bool = False
    """TCP_USER_TIMEOUT of idle + retries x interval."""
    mark: int | None = None
    """SO_MARK, so that redirection rules leave our own connections alone (needs CAP_NET_ADMIN)."""
    namespace: NetworkNamespace | None = None
    """Where connections are made; None: in this process's own network."""

    def new_socket(self, family: socket.AddressFamily, kind: int) -> socket.socket:
        """A socket to connect with, without any option yet. Raises OSError."""
        if self.namespace is None:
            return DataSocket(family, kind)
        with self.namespace:
            return DataSocket(family, kind)

    def apply(self, sock: socket.socket, *, keepalive: bool = True) -> None:
        """Set what hbone-dataplane 8.1 says for a connection of ours."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.mark is not None:
            sock.setsockopt(socket.SOL_SOCKET, SO_MARK, self.mark)
        if keepalive:
            self.keep_alive(sock)

    def keep_alive(self, sock: socket.socket) -> None:
        """TCP keepalive, unless it is off, and the time that unacknowledged bytes may take. Raises OSError."""
        if self.keepalive:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, self.keepalive_idle)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, self.keepalive_interval)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, self.keepalive_retries)
            if self.user_timeout:
                total = self.keepalive_idle + self.keepalive_retries * self.keepalive_interval
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, total * 1000)


def family_of(host: str) -> socket.AddressFamily:
    """AF_INET6 for an address with colons, else AF_INET."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def canonical(address: tuple[str, int] | tuple[str, int, int, int]) -> SocketAddress:
    """(ip, port), an IPv4-mapped IPv6 address as the IPv4 address it is."""
    host = address[0]
    if host.startswith("::ffff:") and "." in host:
        host = host[7:]
    return host, address[1]


def show(address: SocketAddress) -> str:
    """`ip:port`, or `[ip6]:port`."""
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"


def reset(sock: socket.socket) -> None:
    """Close with a TCP RST: the application must not take this for a clean end."""
    with contextlib.suppress(OSError):  # already reset by the other side
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    sock.close()


def unacknowledged(sock: socket.socket) -> int:
    """Bytes given to the kernel that the other side's kernel does not have yet.

    While there are any, closing is a risk: whatever the other side says then is answered with a reset, and a reset
    drops them.
    """
    return int.from_bytes(ioctl(sock.fileno(), TIOCOUTQ, bytes(4)), sys.byteorder)


def what_broke(sock: socket.socket) -> OSError:
    """Why the kernel says that a connection is broken: asked for once, since the kernel forgets it then."""
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or errno.ECONNRESET
    return OSError(code, os.strerror(code))


def backlog(sock: socket.socket) -> int:
    """How many connections wait at a listener to be accepted; 0 also where the kernel does not tell."""
    try:
        facts = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _UNACKED_END)
    except OSError:
        return 0
    return int.from_bytes(facts[_UNACKED_END - 4 : _UNACKED_END], sys.byteorder)


def transparent(sock: socket.socket) -> bool:
    """Try to let a socket speak with foreign addresses; False without CAP_NET_ADMIN."""
    try:
        sock.setsockopt(socket.SOL_IP, IP_TRANSPARENT, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
    except OSError:
        return False
    return True


def listening_socket(
    host: str,
    port: int,
    *,
    options: SocketOptions | None = None,
    keepalive: bool = True,
    reuse_port: bool = False,
    dual_stack: bool = False,
) -> socket.socket:
    """A bound, listening, non-blocking socket. Linux hands `options` on to every socket it accepts.

    Raises OSError as bind does.
    """
    sock = socket.socket(family_of(host), socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual_stack else 1)
        (options or SocketOptions()).apply(sock, keepalive=keepalive)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


class Listener:
    """Accepts on the reactor and hands each socket, non-blocking, to `accepted(socket, peer address)`.

    `near`: all who connect are on this machine (`pacing`); else only who calls from a loopback address counts as such.
    """

    def __init__(
        self,
        reactor: Reactor,
        sock: socket.socket,
        accepted: Callable[[socket.socket, SocketAddress], None],
        *,
        near: bool = False,
    ) -> None:
        self.sock = sock
        self.address: SocketAddress = sock.getsockname()[:2]
        self._family = sock.family
        self._is_v4 = sock.family == socket.AF_INET
        self._reactor = reactor
        self._accepted = accepted
        self._is_pausing = self._is_told = False
        choice = spare_pacing(sock)
        self._from_afar = b"" if near else choice
        """The congestion control of those who are not on this machine, where it differs."""
        reactor.register(sock.fileno(), self)

    def on_ready(self, mask: int) -> None:
        """Connections are waiting."""
        if not self._is_pausing:  # or each who comes would be told of anew, and make a pause of its own
            self.on_again()

    def on_again(self) -> None:
        """Accept those who wait, a bounded number, then let others have a turn.

        Who comes after they were counted makes another edge. To learn by an `accept` in vain that they are all would
        cost as much as another connection.
        """
        count = backlog(self.sock) if self.sock.fileno() >= 0 else 0
        is_all = 0 < count <= _ACCEPTS_PER_TURN
        for _ in range(count if is_all else _ACCEPTS_PER_TURN):
            if self.sock.fileno() < 0:
                return
            try:
                fd, address = self.sock._accept()  # type: ignore[attr-defined]  # what accept() does, less its checks
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _OUT_OF_FILES:
                    self._pause(error)
                    return
                continue  # the client gave up while it waited
            self._is_told = False
            sock = DataSocket(self._family, socket.SOCK_STREAM, 0, fd)
            sock.setblocking(False)
            if self._from_afar and not is_loopback(address[0]):
                pace(sock, self._from_afar)
            self._accepted(sock, address if self._is_v4 else canonical(address))
        if not is_all:
            self._reactor.again(self)

    def _pause(self, error: OSError) -> None:
        """Nothing can be accepted before something else is closed. Said once, until that has happened."""
        self._is_pausing = True
        self._reactor.wheel.after(_PAUSE, self._go_on)
        if not self._is_told:
            self._is_told = True
            reason = f"{self}: cannot accept: {error.strerror}: who connects waits until something is closed"
            self._reactor.loop.call_exception_handler({"message": reason})

    def _go_on(self) -> None:
        self._is_pausing = False
        if self.sock.fileno() >= 0:
            self._reactor.again(self)

    def abort(self, error: Exception) -> None:
        """One connection could not be served; go on with the next."""
        self._reactor.again(self)

    def close(self) -> None:
        """Stop accepting at once: the socket closes, connections that wait are refused."""
        if self.sock.fileno() >= 0:
            self._reactor.unregister(self.sock.fileno())
            self.sock.close()

    def __str__(self) -> str:
        return f"listener {show(self.address)}"


class Connected(Protocol):
    """Told once how a connection attempt ended."""

    def connected(self, sock: socket.socket) -> None:
        """TCP is up. Register the socket at once or close it."""

    def connect_failed(self, error: HboneError) -> None:
        """It is not, and why."""


class Connecting:
    """One attempt to connect that has to wait, with a deadline. Begun by `connect_soon`."""

    def __init__(self, reactor: Reactor, sock: socket.socket, address: SocketAddress, owner: Connected) -> None:
        self._reactor, self._sock, self._address, self._owner = reactor, sock, address, owner
        self._timer: Timer | None = None

    def wait(self, seconds: float) -> None:
        """It has begun: wait for the answer."""
        self._timer = self._reactor.wheel.after(seconds, self._too_late)
        self._reactor.register(self._sock.fileno(), self, with_room=True)

    def cancel(self) -> None:
        """Nobody wants it any more."""
        if self._sock.fileno() >= 0:
            self._settle()
            self._sock.close()

    def on_ready(self, mask: int) -> None:
        """Writable, or failed."""
        if not mask & (WRITABLE | CLOSING | READABLE) or self._sock.fileno() < 0:
            return
        code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == 0 and not mask & WRITABLE:
            return
        if code:
            self._settle()
            self._sock.close()
            self._owner.connect_failed(connect_error(code, self._address))
            return
        if self._timer is not None:
            self._timer.cancel()
        fd = self._sock.fileno()
        self._reactor.hand_on(self._sock, mask)
        try:
            self._owner.connected(self._sock)
        finally:
            self._reactor.take_back(fd)

    def on_again(self) -> None:
        """Never asked for."""

    def abort(self, error: Exception) -> None:
        """The owner failed."""
        self.cancel()

    def _too_late(self) -> None:
        if self._sock.fileno() >= 0:
            self._settle()
            self._sock.close()
            self._owner.connect_failed(ConnectTimeout(f"connection timed out: {show(self._address)}"))

    def _settle(self) -> None:
        self._reactor.unregister(self._sock.fileno())
        if self._timer is not None:
            self._timer.cancel()


def connect_soon(
    reactor: Reactor, sock: socket.socket, address: SocketAddress, owner: Connected, seconds: float
) -> Connecting | None:
    """Connect. Returns the attempt if it has to wait; else `owner` has been told.

    Between neighbours the kernel has mostly done the whole handshake by the time it says that it has begun: asked once
    more it says so, which saves a way through epoll, and a timer.
    """
    code = sock.connect_ex(address)
    if code == errno.EINPROGRESS:
        code = sock.connect_ex(address)
    if code == errno.EALREADY:
        connecting = Connecting(reactor, sock, address, owner)
        connecting.wait(seconds)
        return connecting
    if code == 0:
        owner.connected(sock)
    else:
        sock.close()
        owner.connect_failed(connect_error(code, address))
    return None


def connect_error(code: int, address: SocketAddress) -> HboneError:
    """A failed connect in words."""
    kind = ConnectTimeout if code == errno.ETIMEDOUT else ConnectionFailed
    return kind(f"io error: {os.strerror(code)} (os error {code}): {show(address)}")


def outgoing_socket(
    address: SocketAddress,
    options: SocketOptions,
    source: str | None = None,
    *,
    near: bool = False,
    keepalive: bool = True,
) -> socket.socket:
    """A non-blocking socket to connect with; bound to a foreign `source` address if one is given (3.6).

    `near`: whatever its address is, it is on this machine (`pacing`). Without `keepalive` that is for whoever asks to
    set, once the connection lasts (`keepalive`).

    Raises OSError when a mark or a foreign source is asked for without the rights.
    """
    sock = options.new_socket(family_of(address[0]), _NON_BLOCKING)
    try:
        options.apply(sock, keepalive=keepalive)
        if is_paced_here() and (near or is_loopback(address[0])):
            pace(sock, RENO)
        if source is not None and source != address[0] and (":" in source) == (":" in address[0]):
            if not source.startswith("127."):
                transparent(sock)
                sock.setsockopt(socket.SOL_IP, IP_FREEBIND, 1)
            # The port is chosen by connect, which knows both ends: one port may serve many destinations.
            sock.setsockopt(socket.SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((source, 0))
    except OSError:
        sock.close()
        raise
    return sock
