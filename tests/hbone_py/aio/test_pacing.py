"""Who is paced: nobody on this machine, everybody else as the machine is set up.

The kernel tells which congestion control a connection has. One that does not pace stands for one that does, so that a
machine without BBR can tell the difference too.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hbone_py.aio import pacing, tcp
from hbone_py.aio.pacing import RENO, congestion_control, is_paced_here, spare_pacing
from hbone_py.aio.tcp import Listener, SocketOptions, listening_socket, outgoing_socket
from tests.support.processes import loopback_address
from tests.support.sockets import until

if TYPE_CHECKING:
    from hbone_py.aio.reactor import Reactor

_ALLOWED = Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
ALLOWED = _ALLOWED.read_bytes().split() if _ALLOWED.exists() else [RENO]
FAR = loopback_address()
"""Counts as an address of another machine here."""


@pytest.fixture(name="paced")
def _paced(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A congestion control that counts as one that paces, whatever it is, on a machine whose choice it is."""
    paced = next((name for name in ALLOWED if name != RENO), b"")
    if not paced:
        pytest.skip("this kernel has no congestion control besides Reno")
    monkeypatch.setattr(pacing, "UNPACED", frozenset({RENO}))
    monkeypatch.setattr(tcp, "is_paced_here", lambda: True)
    monkeypatch.setattr(tcp, "is_loopback", lambda host: host != FAR)
    return paced


def with_choice(sock: socket.socket, choice: bytes) -> socket.socket:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, choice)
    return sock


@pytest.mark.parametrize(
    ("client", "near", "is_spared"),
    [(loopback_address(), False, True), (FAR, False, False), (FAR, True, True)],
    ids=["on this machine", "on another", "near by the listener's word"],
)
async def test_who_is_accepted(reactor: Reactor, paced: bytes, client: str, near: bool, is_spared: bool) -> None:
    accepted: list[socket.socket] = []
    sock = with_choice(listening_socket(loopback_address(), 0), paced)
    listener = Listener(reactor, sock, lambda one, _: accepted.append(one), near=near)
    with socket.create_connection(listener.address, source_address=(client, 0)):
        await until(lambda: accepted, "accepted")
        assert congestion_control(accepted[0]) == (RENO if is_spared else paced)
        accepted[0].close()
    listener.close()


@pytest.mark.parametrize(
    ("address", "near", "is_spared"),
    [("127.0.0.1", False, True), (FAR, False, False), (FAR, True, True)],
    ids=["loopback", "far", "said to be near"],
)
@pytest.mark.usefixtures("paced")
def test_who_is_called(address: str, near: bool, is_spared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[socket.socket, bytes]] = []
    monkeypatch.setattr(tcp, "pace", lambda *how: asked.append(how))
    with outgoing_socket((address, 1), SocketOptions(), near=near) as sock:
        assert asked == ([(sock, RENO)] if is_spared else [])


def test_what_was_replaced_is_told(paced: bytes) -> None:
    with socket.socket() as one, socket.socket() as other:
        assert spare_pacing(with_choice(one, paced)) == paced
        assert congestion_control(one) == RENO
        assert spare_pacing(with_choice(other, RENO)) == b""


@pytest.mark.parametrize("choice", [name for name in ALLOWED if name in pacing.UNPACED])
def test_what_does_not_pace_is_left(choice: bytes) -> None:
    with socket.socket() as sock:
        assert spare_pacing(with_choice(sock, choice)) == b""
        assert congestion_control(sock) == choice


def test_the_machine_is_asked() -> None:
    default = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_bytes().strip()
    assert is_paced_here() == (default not in pacing.UNPACED)
