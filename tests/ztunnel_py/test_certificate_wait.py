"""Waiting for a certificate: the answer, the deadline, or nobody who cares any more; each ends it once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from hbone_py.aio.wheel import TimerWheel
from hbone_py.errors import ConnectionFailed, HboneError
from hbone_py.identity import SpiffeId
from tests.support.clock import VirtualClock
from ztunnel_py.certificate_wait import CertificateFirst, wait_for_certificate

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from ztunnel_py.context import ProxyContext

CART = SpiffeId("cluster.local", "shop", "cart")


class Store:
    """Keeps who waits."""

    def __init__(self) -> None:
        self.waiters: list[Callable[[], None]] = []

    def on_answer(self, identity: SpiffeId, answered: Callable[[], None]) -> Callable[[], None]:
        self.waiters.append(answered)
        return lambda: self.waiters.remove(answered) if answered in self.waiters else None

    def answer(self) -> None:
        waiters, self.waiters = self.waiters, []
        for answered in waiters:
            answered()


class World:
    """A context as far as waiting needs one, on a clock of the test's, and what was heard."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.store = Store()
        self.heard: list[str] = []
        wheel = TimerWheel(cast("asyncio.AbstractEventLoop", self.clock))
        settings = SimpleNamespace(certificate_wait=10.0)
        reactor = SimpleNamespace(wheel=wheel)
        self.context = cast(
            "ProxyContext", SimpleNamespace(settings=settings, reactor=reactor, certificates=self.store)
        )

    def answered(self) -> None:
        self.heard.append("answered")

    def failed(self, error: HboneError) -> None:
        self.heard.append(str(error))


@pytest.fixture
def world() -> World:
    return World()


def test_the_answer_in_time(world):
    wait_for_certificate(world.context, CART, world.answered, world.failed)
    world.store.answer()
    world.clock.advance(60)
    assert world.heard == ["answered"]


def test_no_answer_in_time(world):
    wait_for_certificate(world.context, CART, world.answered, world.failed)
    world.clock.advance(11)
    world.store.answer()
    assert world.heard == [f"identity error: no certificate for {CART}: the authority has not answered within 10 s"]


def test_giving_up(world):
    give_up = wait_for_certificate(world.context, CART, world.answered, world.failed)
    give_up()
    world.store.answer()
    world.clock.advance(60)
    assert world.heard == []


class Begun:
    """An attempt that somebody else makes."""

    def __init__(self, heard: list[str]) -> None:
        self.heard = heard
        heard.append("begun")

    def cancel(self) -> None:
        self.heard.append("cancelled")


def test_a_connection_begins_with_the_answer(world):
    attempt = CertificateFirst(world.context, CART, lambda: Begun(world.heard), world.failed)
    assert world.heard == []
    world.store.answer()
    assert world.heard == ["begun"]
    attempt.cancel()
    assert world.heard == ["begun", "cancelled"]


def test_a_connection_nobody_wants_does_not_begin(world):
    CertificateFirst(world.context, CART, lambda: Begun(world.heard), world.failed).cancel()
    world.store.answer()
    world.clock.advance(60)
    assert world.heard == []


def test_a_connection_that_cannot_begin(world):
    def begin() -> Begun:
        raise ConnectionFailed("no route")

    CertificateFirst(world.context, CART, begin, world.failed)
    world.store.answer()
    assert world.heard == ["no route"]
