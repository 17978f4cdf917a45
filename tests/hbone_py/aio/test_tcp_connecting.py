"""TCP connections: made at once, after a wait, never, or given up."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

import pytest

from hbone_py.aio.tcp import (
    Connecting,
    SocketOptions,
    connect_error,
    connect_soon,
    listening_socket,
    outgoing_socket,
    show,
)
from hbone_py.errors import ConnectionFailed, ConnectTimeout, HboneError
from tests.support.peers import clock_of, own_reactor
from tests.support.processes import free_port, loopback_address
from tests.support.sockets import App, Heard, turns, until

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Iterator

    from hbone_py.aio.reactor import Reactor
    from hbone_py.aio.tcp import SocketAddress


class Dialler:
    """Told once how its attempt ended."""

    def __init__(self, reactor: Reactor) -> None:
        self.reactor = reactor
        self.sock: socket.socket | None = None
        self.error: HboneError | None = None

    def dial(self, address: SocketAddress, seconds: float = 10) -> Connecting | None:
        return connect_soon(self.reactor, outgoing_socket(address, SocketOptions()), address, self, seconds)

    def wait(self, address: SocketAddress, seconds: float = 10) -> Connecting:
        """As if the answer were on its way, wherever the other side is."""
        sock = outgoing_socket(address, SocketOptions())
        assert sock.connect_ex(address) == errno.EINPROGRESS
        connecting = Connecting(self.reactor, sock, address, self)
        connecting.wait(seconds)
        return connecting

    def connected(self, sock: socket.socket) -> None:
        assert not self.is_told, "told twice"
        self.sock = sock

    def connect_failed(self, error: HboneError) -> None:
        assert not self.is_told, "told twice"
        self.error = error

    @property
    def is_told(self) -> bool:
        return self.sock is not None or self.error is not None


@pytest.fixture(name="near")
async def _near() -> AsyncIterator[Reactor]:
    with own_reactor() as reactor:
        yield reactor


@pytest.fixture(name="listening")
def _listening() -> Iterator[socket.socket]:
    with listening_socket(loopback_address(), 0) as sock:
        yield sock


async def test_a_connection_is_made(near: Reactor, listening: socket.socket) -> None:
    dialler = Dialler(near)
    dialler.wait(listening.getsockname())
    await until(lambda: dialler.is_told, "told")
    assert dialler.sock is not None
    accepted, _ = listening.accept()
    accepted.send(b"hello")
    assert await App(dialler.sock).hear(5) == b"hello"
    accepted.close()
    dialler.sock.close()


async def test_nobody_listens(near: Reactor) -> None:
    dialler = Dialler(near)
    host = loopback_address()
    address = host, free_port(host)
    dialler.wait(address)
    await until(lambda: dialler.is_told, "told")
    assert isinstance(dialler.error, ConnectionFailed)
    assert str(dialler.error) == f"io error: Connection refused (os error 111): {show(address)}"


async def test_there_is_no_way(near: Reactor) -> None:
    """Refused by the kernel at once, before anything is sent."""
    dialler = Dialler(near)
    dialler.dial(("255.255.255.255", 1))
    assert isinstance(dialler.error, ConnectionFailed)


async def test_a_neighbour_is_connected_to_at_once(near: Reactor, listening: socket.socket) -> None:
    dialler = Dialler(near)
    assert dialler.dial(listening.getsockname()) is None
    assert dialler.sock is not None
    assert (near.open_sockets, near.wheel.pending) == (0, 0)
    listening.accept()[0].close()
    dialler.sock.close()


async def test_a_neighbour_who_does_not_listen_is_told_at_once(near: Reactor) -> None:
    dialler = Dialler(near)
    host = loopback_address()
    address = host, free_port(host)
    assert dialler.dial(address) is None
    assert str(dialler.error) == f"io error: Connection refused (os error 111): {show(address)}"


async def test_whoever_does_not_answer_at_once_is_waited_for(near: Reactor, listening: socket.socket) -> None:
    fillers = busy(listening)
    dialler = Dialler(near)
    assert dialler.dial(listening.getsockname(), 3) is not None
    await turns()
    assert not dialler.is_told
    clock_of(near).advance(3.6)
    assert isinstance(dialler.error, ConnectTimeout)
    for sock in fillers:
        sock.close()


def busy(listening: socket.socket) -> list[socket.socket]:
    """Fill what may wait at a listener: the kernel answers no further SYN."""
    listening.listen(0)
    fillers = [outgoing_socket(listening.getsockname(), SocketOptions()) for _ in range(4)]
    for sock in fillers:
        sock.connect_ex(listening.getsockname())
    return fillers


async def test_nobody_answers_in_time(near: Reactor, listening: socket.socket) -> None:
    fillers = busy(listening)
    dialler = Dialler(near)
    dialler.dial(listening.getsockname(), seconds=3)
    await turns()
    clock_of(near).advance(2.9)
    assert not dialler.is_told
    clock_of(near).advance(0.6)
    assert isinstance(dialler.error, ConnectTimeout)
    assert str(dialler.error) == f"connection timed out: {show(listening.getsockname())}"
    for sock in fillers:
        sock.close()


async def test_an_attempt_that_is_cancelled_tells_nobody(near: Reactor, listening: socket.socket) -> None:
    fillers = busy(listening)
    dialler = Dialler(near)
    connecting = dialler.wait(listening.getsockname())
    await turns()
    connecting.cancel()
    connecting.cancel()
    clock_of(near).advance(100)
    assert not dialler.is_told
    assert near.open_sockets == 0
    for sock in fillers:
        sock.close()


async def test_an_owner_that_breaks_leaves_nothing(
    near: Reactor, listening: socket.socket, problems: list[dict[str, Any]]
) -> None:
    class Broken(Dialler):
        def connected(self, sock: socket.socket) -> None:
            raise RuntimeError("what now?")

    Broken(near).wait(listening.getsockname())
    await until(lambda: problems, "the failure told")
    accepted, _ = listening.accept()
    accepted.setblocking(False)
    assert (await App(accepted).hear_all()).data == b""
    accepted.close()
    dialler = Dialler(near)
    dialler.wait(listening.getsockname())
    await until(lambda: dialler.is_told, "the next one told")
    assert dialler.sock is not None
    dialler.sock.close()


async def test_an_answer_that_came_at_once_with_its_end_is_read(near: Reactor, listening: socket.socket) -> None:
    """The socket changes hands with what was already reported of it: data, and the end behind it."""
    heard: list[Heard] = []

    class Reading(Dialler):
        def connected(self, sock: socket.socket) -> None:
            super().connected(sock)
            near.register(sock.fileno(), self)

        def on_ready(self, mask: int) -> None:
            self.on_again()

        def on_again(self) -> None:
            assert self.sock is not None
            if heard:
                return
            data = self.sock.recv(100)
            heard.append(Heard(data, "eof" if not self.sock.recv(100) else "more"))
            near.forget(self.sock.fileno())
            self.sock.close()

        def abort(self, error: Exception) -> None:
            raise AssertionError(error)

    dialler = Reading(near)
    dialler.wait(listening.getsockname())
    accepted, _ = listening.accept()
    accepted.send(b"hello")
    accepted.close()
    await until(lambda: heard, "heard")
    assert heard == [Heard(b"hello", "eof")]


@pytest.mark.parametrize(("code", "kind"), [(errno.ETIMEDOUT, ConnectTimeout), (errno.ECONNREFUSED, ConnectionFailed)])
def test_a_failure_in_words(code: int, kind: type[HboneError]) -> None:
    error = connect_error(code, ("10.0.0.1", 80))
    assert type(error) is kind
    assert str(error) == f"io error: {os.strerror(code)} (os error {code}): 10.0.0.1:80"
