"""Socket options, judged by the sockets a listener accepts."""

from __future__ import annotations

import contextlib
import select
import socket
from typing import TYPE_CHECKING

import pytest

from hbone_py.aio.tcp import SocketOptions
from mesh_py.process.listening import bind_all
from tests.support.processes import loopback_address
from ztunnel_py.listening import KEPT_ALIVE

if TYPE_CHECKING:
    from collections.abc import Iterator

OPTIONS = SocketOptions(keepalive_idle=100, keepalive_interval=20, keepalive_retries=3, user_timeout=True)


@contextlib.contextmanager
def accepted(listener: socket.socket) -> Iterator[socket.socket]:
    """A connection somebody made to the listener."""
    with socket.create_connection(listener.getsockname()[:2]):
        select.select([listener], [], [], 10)
        sock, _ = listener.accept()
        with sock:
            yield sock


def tcp(sock: socket.socket, option: int) -> int:
    return sock.getsockopt(socket.IPPROTO_TCP, option)


@pytest.mark.parametrize(
    ("name", "keepalive"), [("outbound", True), ("plaintext", True), ("inbound", False), ("socks5", False)]
)
def test_options_reach_the_sockets_that_are_accepted(name: str, keepalive: bool) -> None:
    """As ztunnel has it, HBONE and SOCKS5 are left without keepalive; PINGs and the application see to that."""
    sockets = bind_all(iter([(name, loopback_address(), 0)]), OPTIONS, kept_alive=KEPT_ALIVE)
    with sockets[name] as listener, accepted(listener) as sock:
        assert tcp(sock, socket.TCP_NODELAY)
        assert bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)) is keepalive
        if keepalive:
            found = [tcp(sock, option) for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)]
            assert found == [100, 20, 3]
            assert tcp(sock, socket.TCP_USER_TIMEOUT) == (100 + 3 * 20) * 1000


def test_without_a_user_timeout_there_is_none() -> None:
    sockets = bind_all(iter([("outbound", loopback_address(), 0)]), SocketOptions(), kept_alive=KEPT_ALIVE)
    with sockets["outbound"] as listener, accepted(listener) as sock:
        assert tcp(sock, socket.TCP_USER_TIMEOUT) == 0
