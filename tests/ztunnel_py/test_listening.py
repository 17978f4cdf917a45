"""Listeners are bound all together or not at all, and a conflict is told in one line."""

from __future__ import annotations

import socket

import pytest

from hbone_py.aio.tcp import SocketOptions
from tests.support.processes import free_port, loopback_address
from ztunnel_py.config import from_env
from ztunnel_py.listening import StartError, bind_all, data_addresses, surface_addresses

BASE = {"PROXY_MODE": "node", "LOCAL_XDS": "{}", "XDS_ADDRESS": "", "FAKE_CA": "true", "HOME": "/nonexistent"}


def names_and_ports(addresses: object) -> list[tuple[str, str, int]]:
    return list(addresses)  # type: ignore[call-overload,no-any-return]


def test_the_data_listeners_and_where_they_are() -> None:
    settings = from_env(BASE | {"PROXY_BIND_ADDRESS": "127.0.0.9", "UNSTABLE_ENABLE_SOCKS5": "true"})
    assert names_and_ports(data_addresses(settings)) == [
        ("outbound", "127.0.0.9", 15001),
        ("inbound", "127.0.0.9", 15008),
        ("plaintext", "127.0.0.9", 15006),
        ("socks5", "127.0.0.9", 15080),
    ]


def test_surfaces_for_people_stay_on_this_machine() -> None:
    settings = from_env(BASE | {"PROXY_BIND_ADDRESS": "0.0.0.0"})
    assert names_and_ports(surface_addresses(settings)) == [
        ("admin", "127.0.0.1", 15000),
        ("stats", "0.0.0.0", 15020),
        ("readiness", "0.0.0.0", 15021),
    ]


def test_a_taken_address_leaves_nothing_bound() -> None:
    host = loopback_address()
    with socket.socket() as holder:
        holder.bind((host, 0))
        holder.listen()
        taken, free = holder.getsockname()[1], free_port(host)
        with pytest.raises(StartError) as failure:
            bind_all(iter([("outbound", host, free), ("inbound", host, taken)]))
        with socket.socket() as again:
            again.bind((host, free))
    text = str(failure.value)
    assert text.startswith(f"cannot listen on {host}:{taken} (inbound): address already in use; ")
    assert "\n" not in text


def test_only_what_is_captured_is_kept_alive() -> None:
    """Accepted sockets take their options from the listener (hbone-dataplane 8.1)."""
    host = loopback_address()
    names = ("outbound", "plaintext", "inbound", "socks5")
    sockets = bind_all(((name, host, 0) for name in names), SocketOptions(keepalive_idle=77))
    try:
        alive = {name: bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)) for name, sock in sockets.items()}
        assert alive == {"outbound": True, "plaintext": True, "inbound": False, "socks5": False}
        assert sockets["outbound"].getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 77
        assert all(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for sock in sockets.values())
    finally:
        for sock in sockets.values():
            sock.close()
