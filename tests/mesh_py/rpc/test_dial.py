"""TCP to a control plane: addresses in turn, socket options, deadlines."""

from __future__ import annotations

import socket

import pytest

from mesh_py.rpc import dial
from mesh_py.rpc.dial import RPC_OPTIONS, connected_socket
from mesh_py.rpc.endpoint import Address
from mesh_py.rpc.errors import DialFailed
from tests.support.pods import unanswering
from tests.support.processes import free_port, loopback_address


@pytest.fixture
def listener():
    with socket.socket() as sock:
        sock.bind((loopback_address(), 0))
        sock.listen()
        yield sock


def resolves_to(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    async def resolved(address: Address, seconds: float) -> list[tuple[int, tuple[str, int]]]:
        return [(socket.AF_INET, where) for where in addresses]

    monkeypatch.setattr(dial, "_resolved", resolved)


async def test_options_as_the_real_ones(listener):
    with await connected_socket(Address(*listener.getsockname()), RPC_OPTIONS, 5) as sock:
        assert not sock.getblocking()
        options = [socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_NODELAY]
        assert [sock.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [300, 75, 9, 1]
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


async def test_the_next_address_is_tried(listener, monkeypatch):
    here = listener.getsockname()
    resolves_to(monkeypatch, (here[0], free_port(here[0])), here)
    with await connected_socket(Address("istiod", 15012), RPC_OPTIONS, 5) as sock:
        assert sock.getpeername() == here


async def test_one_that_does_not_answer_leaves_time_for_the_next(listener, monkeypatch):
    async with unanswering(loopback_address()) as silent:
        host, _, port = silent.rpartition(":")
        resolves_to(monkeypatch, (host, int(port)), listener.getsockname())
        with await connected_socket(Address("istiod", 15012), RPC_OPTIONS, 1) as sock:
            assert sock.getpeername() == listener.getsockname()


async def test_every_failure_is_told(monkeypatch):
    refused = loopback_address()
    async with unanswering(loopback_address()) as silent:
        host, _, port = silent.rpartition(":")
        resolves_to(monkeypatch, (refused, free_port(refused)), (host, int(port)))
        with pytest.raises(DialFailed) as caught:
            await connected_socket(Address("istiod", 15012), RPC_OPTIONS, 0.2)
    assert str(caught.value) == (
        f"cannot connect to istiod:15012 ({refused}: Connection refused; {host}: no answer in time): "
        "is the control plane up?"
    )
