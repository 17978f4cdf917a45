"""Looking up names: once for all who wait, bounded in number and in time, remembered for a while."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, cast

import pytest

from hbone_py.aio.reactor import Reactor
from hbone_py.aio.wheel import TimerWheel
from tests.support.clock import VirtualClock
from tests.support.processes import eventually
from ztunnel_py import name_lookup
from ztunnel_py.name_lookup import KEPT_FAILURE_SECONDS, KEPT_SECONDS, NameLookup, ask_system

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mesh_py.model.address import IpAddress

Answers = tuple[str, ...]


class Resolver:
    """Answers when it is let: `answers` by name, an OSError where it has none."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers: dict[str, Answers] = {"db.example": ("10.0.0.1", "fd00::1")}
        self.may_answer = asyncio.Event()

    async def __call__(self, hostname: str) -> tuple[IpAddress, ...]:
        self.asked.append(hostname)
        await self.may_answer.wait()
        if hostname not in self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return cast("tuple[IpAddress, ...]", self.answers[hostname])


class Desk:
    """A lookup that serves, its resolver, and the clock it goes by."""

    def __init__(self) -> None:
        self.resolver = Resolver()
        self.clock = VirtualClock()
        self.found: list[Answers | None] = []
        reactor = Reactor.current()
        reactor.wheel.close()
        reactor.wheel = TimerWheel(cast("asyncio.AbstractEventLoop", self.clock))
        self.lookup = NameLookup(reactor, self.resolver)
        self.lookup.now = self.clock.time

    def find(self, hostname: str = "db.example") -> None:
        self.lookup.find(hostname, self.found.append)

    async def answered(self, count: int) -> None:
        await eventually(lambda: len(self.found) == count, f"{count} answers")


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    one = Desk()
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(one.lookup.serve())
        await asyncio.sleep(0)
        yield one
        serving.cancel()
    Reactor.current().close()


async def test_who_asks_at_the_same_time_shares_the_answer(desk: Desk) -> None:
    for _ in range(3):
        desk.find()
    await eventually(lambda: bool(desk.resolver.asked), "asked")
    assert desk.found == []
    desk.resolver.may_answer.set()
    await desk.answered(3)
    assert desk.found == [("10.0.0.1", "fd00::1")] * 3
    assert desk.resolver.asked == ["db.example"]


async def test_an_answer_serves_for_a_while(desk: Desk) -> None:
    desk.resolver.may_answer.set()
    desk.find()
    await desk.answered(1)
    desk.clock.jump(KEPT_SECONDS - 0.1)
    desk.find()
    assert len(desk.found) == 2
    desk.clock.jump(0.2)
    desk.resolver.answers["db.example"] = ("10.0.0.2",)
    desk.find()
    await desk.answered(3)
    assert desk.found[1:] == [("10.0.0.1", "fd00::1"), ("10.0.0.2",)]


async def test_a_failure_serves_for_a_shorter_while(desk: Desk) -> None:
    desk.resolver.may_answer.set()
    desk.find("nobody.example")
    await desk.answered(1)
    desk.find("nobody.example")
    assert (desk.found, len(desk.resolver.asked)) == ([None, None], 1)
    desk.clock.jump(KEPT_FAILURE_SECONDS)
    desk.find("nobody.example")
    await desk.answered(3)
    assert len(desk.resolver.asked) == 2


async def test_an_answer_that_does_not_come(desk: Desk) -> None:
    desk.find()
    await eventually(lambda: bool(desk.resolver.asked), "asked")
    desk.clock.advance(name_lookup.DEADLINE + 1)
    assert desk.found == [None]
    desk.resolver.may_answer.set()
    desk.clock.jump(KEPT_FAILURE_SECONDS)
    desk.find()
    await desk.answered(2)
    assert desk.found[1] == ("10.0.0.1", "fd00::1")


async def test_a_resolver_that_fails_in_its_own_way(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_: str) -> tuple[IpAddress, ...]:
        raise RuntimeError("a bug")

    desk.lookup.ask = broken
    desk.find()
    await desk.answered(1)
    assert desk.found == [None]
    assert "unexpected error" in caplog.text
    desk.lookup.ask = desk.resolver
    desk.resolver.may_answer.set()
    desk.find("other.example")
    await desk.answered(2)


async def test_so_many_at_a_time_and_no_more(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_lookup, "MAX_LOOKUPS", 2)
    for name in ("a", "b", "c"):
        desk.find(name)
    assert desk.found == [None]


async def test_so_many_names_are_kept_and_no_more(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_lookup, "KEPT_NAMES", 2)
    desk.resolver.may_answer.set()
    for index, name in enumerate(("a", "b", "c")):
        desk.find(name)
        await desk.answered(index + 1)
    desk.find("c")
    assert desk.resolver.asked == ["a", "b", "c"]
    desk.find("a")
    await desk.answered(5)
    assert desk.resolver.asked == ["a", "b", "c", "a"]


async def test_at_the_end_everybody_is_told() -> None:
    desk = Desk()
    serving = asyncio.get_running_loop().create_task(desk.lookup.serve())
    await asyncio.sleep(0)
    desk.find()
    await eventually(lambda: bool(desk.resolver.asked), "asked")
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving
    assert desk.found == [None]
    desk.find()
    assert desk.found == [None, None]
    Reactor.current().close()


async def test_the_system_knows_this_machine() -> None:
    assert "127.0.0.1" in await ask_system("localhost")
    assert await ask_system("10.1.2.3") == ("10.1.2.3",)


@pytest.mark.parametrize(
    "name", ["a..b", "\u00e4" * 100, "x" * 300], ids=["empty label", "long label", "long label in ASCII"]
)
async def test_what_is_no_name_is_not_looked_up(name: str) -> None:
    with pytest.raises(OSError, match="is no host name"):
        await ask_system(name)
