"""What a layer 7 data plane does in which order, told by parts that only write down what they are asked."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mesh_py.proxy.plane import Layer7Plane


class Part:
    """A part of a plane. `ends` is how often it says that clients are there before it says that none is."""

    def __init__(self, name: str, told: list[str], ends: int = 0) -> None:
        self._name, self._told, self._ends = name, told, ends
        self.tunnels = 0

    async def serve(self) -> None:
        self._told.append(f"{self._name} serve")
        await asyncio.Event().wait()

    @property
    def clients(self) -> int:
        self._ends -= 1
        return max(0, self._ends)

    def close(self) -> None:
        self._told.append(f"{self._name} closed")


class Connections(Part):
    """Those that are open: they end in time, or do not."""

    async def drain(self, seconds: float) -> bool:
        self._told.append(f"connections drained within {seconds:g} s")
        return seconds > 1

    async def cut(self) -> None:
        self._told.append("connections cut")


class Tunnels(Part):
    """The server of HBONE."""

    def drain(self) -> None:
        self._told.append("tunnels say farewell")


class Plane(Layer7Plane[Any]):
    """One listener."""

    def listen(self) -> None:
        told: list[str] = self.context.told
        told.append("listening")
        self.listeners["inbound"] = Part("listener", told)  # type: ignore[assignment]


@pytest.fixture
def told() -> list[str]:
    return []


def plane(told: list[str]) -> Plane:
    context = SimpleNamespace(told=told, http=Part("upstreams", told), peers=Part("peers", told))
    make: Any = Plane
    parts = Connections("connections", told), Part("clusters", told), Part("key sets", told)
    return cast("Plane", make(context, *parts, Tunnels("tunnels", told, ends=3)))


async def test_whoever_accepts_comes_after_all_that_serves(told: list[str]) -> None:
    one = plane(told)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(one.background())
        await one.listening.wait()
        serving.cancel()
    assert told == ["connections serve", "upstreams serve", "key sets serve", "listening"]


@pytest.mark.parametrize(("seconds", "is_clean"), [(5.0, True), (0.5, False)])
async def test_a_drain_takes_nothing_new_and_lets_go_last_of_what_is_kept(
    told: list[str], seconds: float, is_clean: bool
) -> None:
    one = plane(told)
    one.listen()
    assert await one.drain(seconds) is is_clean
    assert told[1:4] == ["listener closed", "tunnels say farewell", f"connections drained within {seconds:g} s"]
    assert told[-3:] == ["upstreams closed", "peers closed", "tunnels closed"]
    assert not one.tunnels.clients


async def test_a_cut_waits_for_nobody(told: list[str]) -> None:
    await plane(told).cut()
    assert told == ["connections cut", "upstreams closed", "peers closed", "tunnels closed"]
