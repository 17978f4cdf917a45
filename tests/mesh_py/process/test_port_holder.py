"""Ports that can be had, and the naming of who has the others; the kernel is the judge."""

from __future__ import annotations

import os
import socket

import pytest

from mesh_py.process.port_holder import holders, why_not
from tests.support.processes import free_port, loopback_address
from tests.support.sockets import taken


def test_a_free_port_can_be_had() -> None:
    address = loopback_address()
    assert why_not(address, free_port(address)) is None


@pytest.mark.parametrize("wanted", ["the same address", "0.0.0.0"])
def test_a_live_listener_is_found_and_named(wanted: str) -> None:
    address = loopback_address()
    with taken(address, 0) as listener:
        port = listener.getsockname()[1]
        host = address if wanted == "the same address" else wanted
        problem = why_not(host, port)
        assert problem is not None
        assert problem.startswith(f"cannot listen on {host}:{port}: address already in use: pid {os.getpid()} (")
        assert problem.endswith(") listens there")


def test_a_listener_that_shares_its_port_is_found_too() -> None:
    # `taken` sets SO_REUSEPORT: a socket that shares as well would be let in.
    address = loopback_address()
    with taken(address, 0) as listener, socket.socket() as sharing:
        sharing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sharing.bind(listener.getsockname())
        assert why_not(address, listener.getsockname()[1]) is not None


def test_a_connection_left_behind_is_not_in_the_way() -> None:
    address = loopback_address()
    with taken(address, 0) as listener:
        port = listener.getsockname()[1]
        client = socket.create_connection((address, port))
        accepted, _ = listener.accept()
    accepted.close()  # the listening side closes first: TIME_WAIT stays on its port
    client.close()
    assert why_not(address, port) is None


def test_another_address_is_not_in_the_way() -> None:
    one, other = loopback_address(), loopback_address()
    with taken(one, 0) as listener:
        assert list(holders(other, listener.getsockname()[1])) == []


def test_an_address_of_another_machine_is_told() -> None:
    assert why_not("192.0.2.1", 15008) == (
        "cannot listen on 192.0.2.1:15008: cannot assign requested address: this machine does not have the address"
    )
