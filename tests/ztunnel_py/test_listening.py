"""Listeners: all are bound or none, and what the kernel hands on to the sockets they accept."""

from __future__ import annotations

import contextlib
import select
import socket
from typing import TYPE_CHECKING

import pytest

from hbone_py.aio.tcp import SocketOptions
from tests.support.processes import loopback_address
from ztunnel_py.config import from_env
from ztunnel_py.listening import StartError, bind_all, bind_datagrams, data_addresses, has_ipv6_loopback

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
    sockets = bind_all(iter([(name, loopback_address(), 0)]), OPTIONS)
    with sockets[name] as listener, accepted(listener) as sock:
        assert tcp(sock, socket.TCP_NODELAY)
        assert bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)) is keepalive
        if keepalive:
            found = [tcp(sock, option) for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)]
            assert found == [100, 20, 3]
            assert tcp(sock, socket.TCP_USER_TIMEOUT) == (100 + 3 * 20) * 1000


def test_without_a_user_timeout_there_is_none() -> None:
    sockets = bind_all(iter([("outbound", loopback_address(), 0)]), SocketOptions())
    with sockets["outbound"] as listener, accepted(listener) as sock:
        assert tcp(sock, socket.TCP_USER_TIMEOUT) == 0


def test_all_are_bound_or_none() -> None:
    host = loopback_address()
    with socket.create_server((host, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=rf"cannot listen on {host}:{port} \(inbound\): address already in use"):
            bind_all(iter([("outbound", host, port + 1), ("inbound", host, port)]))
    socket.create_server((host, port + 1)).close()


def test_what_a_proxy_listens_on() -> None:
    environment = {"PROXY_MODE": "node", "LOCAL_XDS": "{}", "HOME": "/nonexistent", "PROXY_BIND_ADDRESS": "127.9.0.1"}
    settings = from_env(environment | {"UNSTABLE_ENABLE_SOCKS5": "true", "PROXY_LOCAL_ADDRESS": "127.9.0.2"})
    assert list(data_addresses(settings)) == [
        ("outbound", "127.9.0.1", 15001),
        ("inbound", "127.9.0.1", 15008),
        ("plaintext", "127.9.0.1", 15006),
        ("socks5", "127.9.0.2", 15080),
    ]


def test_dns_has_udp_beside_tcp_and_nothing_else_has() -> None:
    sockets = bind_all(iter([("dns", loopback_address(), 0), ("outbound", loopback_address(), 0)]))
    datagrams = bind_datagrams(sockets)
    try:
        [(name, sock)] = datagrams.items()
        assert (name, sock.type) == ("dns udp", socket.SOCK_DGRAM)
        assert sock.getsockname() == sockets["dns"].getsockname()
    finally:
        for one in (sockets | datagrams).values():
            one.close()


def test_worker_processes_share_udp_too() -> None:
    first = bind_all(iter([("dns", loopback_address(), 0)]), reuse_port=True)
    one = bind_datagrams(first, reuse_port=True)
    other = bind_datagrams(first, reuse_port=True)
    assert one["dns udp"].getsockname() == other["dns udp"].getsockname()
    for sock in (*first.values(), *one.values(), *other.values()):
        sock.close()


def test_whether_there_is_ipv6_is_asked_of_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> socket.socket:
        raise OSError("no such family")

    monkeypatch.setattr(socket, "socket", none)
    assert not has_ipv6_loopback()
