"""Tunnel ends in user space: frames go where their VNI says, and nowhere else."""

from __future__ import annotations

import socket
from collections import deque
from contextlib import closing

import pytest

from lab_py.geneve import header
from lab_py.overlay import Overlay, TunnelEnd
from tests.support.processes import loopback_address, poll

FRAME = b"\x02" * 60


class Wire:
    """A device of a test: a socket that is readable while frames wait on it."""

    def __init__(self) -> None:
        self._bell, self._rung = socket.socketpair()
        self._rung.setblocking(False)
        self.leaving: deque[bytes] = deque()
        self.arrived: list[bytes] = []

    def leave(self, frame: bytes) -> None:
        self.leaving.append(frame)
        self._bell.send(b"!")

    def fileno(self) -> int:
        return self._rung.fileno()

    def read(self) -> bytes:
        self._rung.recv(1)
        return self.leaving.popleft()

    def write(self, frame: memoryview) -> None:
        self.arrived.append(bytes(frame))

    def close(self) -> None:
        self._bell.close()
        self._rung.close()


def end(local: str, remote: str, *vnis: int) -> tuple[TunnelEnd, dict[int, Wire]]:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    sock.bind((local, 6081))
    wires = {vni: Wire() for vni in vnis}
    return TunnelEnd(local, sock, remote, dict(wires)), wires


@pytest.fixture
def pair():
    """Two ends with two tunnels each, served."""
    here, there = loopback_address(), loopback_address()
    overlay = Overlay()
    (one, ones), (other, others) = end(here, there, 1000, 1001), end(there, here, 1000, 1001)
    overlay.add(one)
    overlay.add(other)
    overlay.start()
    yield overlay, one, ones, other, others
    overlay.close()


def test_a_frame_comes_out_at_the_same_vni(pair) -> None:
    _, one, ones, other, others = pair
    ones[1001].leave(FRAME)
    others[1000].leave(FRAME[::-1])
    poll(lambda: others[1001].arrived and ones[1000].arrived, "both arrived")
    assert (others[1001].arrived, others[1000].arrived) == ([FRAME], [])
    assert (ones[1000].arrived, ones[1001].arrived) == ([FRAME[::-1]], [])
    assert (one.carried[1001].sent, other.carried[1001].received) == (1, 1)


def test_what_is_not_for_us_is_dropped(pair) -> None:
    """Strangers, unknown tunnels and broken headers; what follows them arrives."""
    _, one, ones, _, _ = pair
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as stranger:
        stranger.sendto(header(1000) + FRAME, (one.namespace, 6081))
    their_socket = pair[3].sock
    for payload in (header(999) + FRAME, b"\x40" + header(1000)[1:] + FRAME, b"", header(1000) + b"last"):
        their_socket.sendto(payload, (one.namespace, 6081))
    poll(lambda: ones[1000].arrived, "the last one arrived")
    assert ones[1000].arrived == [b"last"]


def test_a_stopped_overlay_loses_packets(pair) -> None:
    overlay, one, ones, _, others = pair
    overlay.is_stopped = True
    ones[1000].leave(FRAME)
    poll(lambda: not ones[1000].leaving, "taken from the device")
    overlay.is_stopped = False
    ones[1000].leave(b"after")
    poll(lambda: others[1000].arrived, "arrived")
    assert others[1000].arrived == [b"after"]
    assert one.carried[1000].sent == 1
