"""Listeners are bound all together or not at all, and a conflict is told in one line."""

from __future__ import annotations

import socket

import pytest

from hbone_py.aio.tcp import SocketOptions
from mesh_py.process.listening import StartError, bind_all, bind_datagrams
from tests.support.processes import free_port, loopback_address
from tests.support.sockets import taken


def test_a_taken_address_leaves_nothing_bound() -> None:
    host = loopback_address()
    with taken(host, 0) as holder:
        port, free = holder.getsockname()[1], free_port(host)
        with pytest.raises(StartError) as failure:
            bind_all([("outbound", host, free), ("inbound", host, port)], flag="--local-bind")
        with socket.socket() as again:
            again.bind((host, free))
    text = str(failure.value)
    assert text.startswith(f"cannot listen on {host}:{port} (inbound): address already in use; ")
    assert text.endswith("or choose another address with --local-bind")
    assert "\n" not in text


def test_only_what_is_named_is_kept_alive() -> None:
    """Accepted sockets take their options from the listener (hbone-dataplane 8.1)."""
    host = loopback_address()
    addresses = [(name, host, 0) for name in ("outbound", "plaintext", "inbound")]
    sockets = bind_all(addresses, SocketOptions(keepalive_idle=77), kept_alive=("outbound", "plaintext"))
    try:
        alive = {name: bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)) for name, sock in sockets.items()}
        assert alive == {"outbound": True, "plaintext": True, "inbound": False}
        assert sockets["outbound"].getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 77
        assert all(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for sock in sockets.values())
    finally:
        for sock in sockets.values():
            sock.close()


def test_datagrams_are_heard_at_the_listeners_own_addresses() -> None:
    sockets = bind_all([("dns", loopback_address(), 0), ("dns other", loopback_address(), 0)])
    datagrams = bind_datagrams(sockets)
    try:
        assert {name: sock.getsockname() for name, sock in datagrams.items()} == {
            f"{name} udp": sock.getsockname() for name, sock in sockets.items()
        }
        assert {sock.type for sock in datagrams.values()} == {socket.SOCK_DGRAM}
    finally:
        for sock in (sockets | datagrams).values():
            sock.close()


def test_a_taken_datagram_address_leaves_nothing_bound() -> None:
    sockets = bind_all([("dns", loopback_address(), 0), ("dns other", loopback_address(), 0)])
    free, wanted = (sock.getsockname() for sock in sockets.values())
    try:
        with socket.socket(type=socket.SOCK_DGRAM) as holder:
            holder.bind(wanted)
            with pytest.raises(StartError) as failure:
                bind_datagrams(sockets, flag="--dns-proxy-addr")
        with socket.socket(type=socket.SOCK_DGRAM) as again:
            again.bind(free)
    finally:
        for sock in sockets.values():
            sock.close()
    text = str(failure.value)
    assert text.startswith(f"cannot listen on {wanted[0]}:{wanted[1]} (dns other, UDP): address already in use; ")
    assert text.endswith("with --dns-proxy-addr")
    assert "\n" not in text
