"""Addresses known on demand: what becomes of connections when the control plane answers, and when it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.xds.on_demand import OnDemand
from tests.interop.callers import read_to_end, talk
from tests.support.clock import VirtualClock
from tests.support.processes import eventually, loopback_address
from tests.support.tcp_apps import TcpApp, echo

if TYPE_CHECKING:
    from tests.support.pods import Pod, Pods

SECONDS = 5.0
COUNTER = "hbone_on_demand_unanswered_total"


class Asked:
    """A control plane that a pod's proxy asks, and that answers as the test says."""

    def __init__(self, pod: Pod) -> None:
        self.names: list[str] = []
        self.clock = VirtualClock()
        self.demand = OnDemand(self.names.extend, lambda _: None, self.clock, SECONDS)
        pod.its_proxy.plane.context.names = self.demand

    async def question(self) -> str:
        await eventually(lambda: bool(self.demand.waiting), "asked")
        return self.demand.waiting[0]


async def test_what_is_nobodys_is_passed_on(pods: Pods) -> None:
    sleep = pods.add("sleep")
    asked = Asked(sleep)
    async with TcpApp(echo, loopback_address()) as stranger, sleep.call(stranger.authority) as caller:
        asked.demand.removed([await asked.question()])
        await talk(caller, b"hello, stranger")
    assert sleep.its_proxy.samples(COUNTER) == []


async def test_without_an_answer_nothing_is_sent_in_plaintext(pods: Pods) -> None:
    sleep = pods.add("sleep")
    asked = Asked(sleep)
    async with TcpApp(echo, loopback_address()) as stranger:
        for _ in range(2):  # the second is not asked for again so soon
            async with sleep.call(stranger.authority) as caller:
                if not sleep.its_proxy.total(COUNTER):
                    await asked.question()
                    asked.clock.advance(SECONDS)
                assert await read_to_end(caller) == (b"", "reset")
        assert stranger.connections == []
    assert len(asked.names) == 1
    assert sleep.its_proxy.total(COUNTER, outcome="refused") == 2
    assert any("discovery has not told who has" in line for line in sleep.its_proxy.lines)


async def test_it_may_be_passed_on_all_the_same(pods: Pods) -> None:
    sleep = pods.add("sleep", environment={"XDS_ON_DEMAND_UNANSWERED": "pass"})
    asked = Asked(sleep)
    async with TcpApp(echo, loopback_address()) as stranger, sleep.call(stranger.authority) as caller:
        await asked.question()
        asked.clock.advance(SECONDS)
        await talk(caller, b"hello")
    assert sleep.its_proxy.total(COUNTER, outcome="passed") == 1


async def test_an_answer_that_comes_late_counts(pods: Pods) -> None:
    sleep = pods.add("sleep")
    asked = Asked(sleep)
    async with TcpApp(echo, loopback_address()) as stranger:
        async with sleep.call(stranger.authority) as caller:
            name = await asked.question()
            asked.clock.advance(SECONDS)
            assert await read_to_end(caller) == (b"", "reset")
        asked.demand.removed([name])
        async with sleep.call(stranger.authority) as caller:
            await talk(caller, b"hello, stranger")
