"""TCP keepalive for connections that last, judged by what the kernel says of sockets; a clock that stands still."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from hbone_py.aio.keepalive import A_TURN, AGE, LateKeepalive
from hbone_py.aio.tcp import SocketOptions
from hbone_py.aio.wheel import TICK, TimerWheel
from tests.support.clock import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hbone_py.aio.reactor import Reactor


class Desk:
    """Sockets of one proxy, and its clock."""

    def __init__(self, options: SocketOptions) -> None:
        self.clock = VirtualClock()
        self.wheel = TimerWheel(self.clock)
        self.keepalive = LateKeepalive(cast("Reactor", SimpleNamespace(wheel=self.wheel)), options)
        self.sockets: list[socket.socket] = []

    def make(self) -> socket.socket:
        sock = socket.socket()
        self.sockets.append(sock)
        self.keepalive.watch(sock)
        return sock

    @property
    def alive(self) -> int:
        """How many have keepalive."""
        return sum(
            sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) for sock in self.sockets if sock.fileno() >= 0
        )


@pytest.fixture
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    made = Desk(getattr(request, "param", SocketOptions(keepalive_idle=7, user_timeout=True)))
    yield made
    for sock in made.sockets:
        sock.close()


def test_a_connection_that_lasts_has_it(desk: Desk) -> None:
    sock = desk.make()
    assert desk.alive == 0
    desk.clock.advance(AGE + 2 * TICK)
    assert desk.alive == 1
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 7
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == (7 + 9 * 180) * 1000
    assert desk.wheel.pending == 0


def test_one_that_is_over_is_left_alone(desk: Desk) -> None:
    desk.make().close()
    desk.make()
    desk.clock.advance(AGE + 2 * TICK)
    assert (desk.alive, desk.wheel.pending) == (1, 0)


def test_who_comes_later_waits_longer(desk: Desk) -> None:
    desk.make()
    desk.clock.advance(AGE / 2)
    desk.make()
    desk.clock.advance(AGE / 2 + 2 * TICK)
    assert desk.alive == 1
    desk.clock.advance(AGE / 2)
    assert (desk.alive, desk.wheel.pending) == (2, 0)


@pytest.mark.parametrize("desk", [SocketOptions(keepalive=False)], ids=["off"], indirect=True)
def test_nobody_has_it_where_it_is_off(desk: Desk) -> None:
    desk.make()
    desk.clock.advance(AGE + 2 * TICK)
    assert desk.alive == 0


def test_a_crowd_is_seen_to_turn_by_turn(desk: Desk) -> None:
    for _ in range(A_TURN + 10):
        desk.make()
    seen = set()
    for _ in range(12):
        desk.clock.advance(TICK)
        seen.add(desk.alive)
    assert seen == {0, A_TURN, A_TURN + 10}


def test_newcomers_see_to_those_before_them(desk: Desk) -> None:
    """Where many come all the time, the clock's turns find little left."""
    for _ in range(4):
        desk.make()
    desk.clock.jump(AGE)
    desk.make()
    assert desk.alive == 2
    desk.make()
    assert desk.alive == 4
