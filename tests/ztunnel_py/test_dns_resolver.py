"""Replies that are remembered: the same question under another id, another mesh, another client."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import dns.message
import pytest

from mesh_py.discovery.dns_names import NameRules, look_up
from mesh_py.telemetry.metrics import Metrics
from tests.support.world import mesh, service, workload
from ztunnel_py import dns_resolver
from ztunnel_py.dns_resolver import Resolver

if TYPE_CHECKING:
    from mesh_py.model.workload import Workload

WEB = workload("web", "127.1.0.1", namespace="shop", uid="web", canonical_name="web")
SPY = workload("spy", "127.1.0.2", namespace="spies", uid="spy")
ADDRESSES: dict[str, Workload] = {"127.1.0.1": WEB, "127.1.0.2": SPY}


class Asked:
    """A resolver over a mesh, without sockets; `looked_up` counts real look-ups."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state = mesh(WEB, SPY, service("cart.shop.svc.cluster.local", "10.96.0.1", namespace="shop"))
        self.metrics = Metrics()
        self.rules = NameRules()
        self.looked_up = 0
        context = SimpleNamespace(
            state=self.state,
            metrics=self.metrics,
            source_workload=lambda address, by_socks: ADDRESSES.get(address[0]),
        )
        self._resolver = Resolver(cast("Any", context), lambda: self.rules, cast("Any", None), wait=0)

        def counted(*arguments: Any, **more: Any) -> Any:
            self.looked_up += 1
            return look_up(*arguments, **more)

        monkeypatch.setattr(dns_resolver, "look_up", counted)

    async def ask(self, name: str, client: str = "127.1.0.1", *, identifier: int = 1) -> list[str]:
        query = dns.message.make_query(name, "A", id=identifier)
        reply = await self._resolver.reply(query.to_wire(), (client, 1), "udp")
        assert reply is not None
        answer = dns.message.from_wire(reply)
        assert query.is_response(answer)
        return sorted(rdata.to_text() for rrset in answer.answer for rdata in rrset)

    @property
    def counted(self) -> float:
        return sum(values[0] for values in self.metrics.dns_requests.family.samples.values())


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


async def test_the_same_question_is_looked_up_once_and_counted_each_time(asked: Asked) -> None:
    for identifier in (1, 2, 3):
        assert await asked.ask("cart", identifier=identifier) == ["10.96.0.1"]
    assert (asked.looked_up, asked.counted) == (1, 3)


async def test_a_change_of_the_mesh_is_seen_at_once(asked: Asked) -> None:
    await asked.ask("cart")
    asked.state.upsert_service(service("cart.shop.svc.cluster.local", "10.96.0.2", namespace="shop"))
    assert await asked.ask("cart") == ["10.96.0.2"]


async def test_each_client_has_its_own_answer(asked: Asked) -> None:
    asked.state.upsert_service(service("cart.spies.svc.cluster.local", "10.96.0.9", namespace="spies"))
    assert await asked.ask("cart") == ["10.96.0.1"]
    assert await asked.ask("cart", "127.1.0.2") == ["10.96.0.9"]


async def test_other_rules_are_another_answer(asked: Asked) -> None:
    asked.state.upsert_service(service("cart", "10.96.0.7", namespace="shop"))
    searched = "cart.example.com"
    asked.rules = NameRules(search=("example.com",))
    assert await asked.ask(searched) == ["10.96.0.7", "cart."]
    asked.state.upsert_service(service("cart.example.com", "10.96.0.8", namespace="shop"))
    assert await asked.ask(searched) == ["10.96.0.8"]


async def test_several_addresses_are_drawn_anew(asked: Asked) -> None:
    asked.state.upsert_service(service("two.example.com", "10.96.0.3", "10.96.0.4", namespace="shop"))
    for _ in range(3):
        assert await asked.ask("two.example.com") == ["10.96.0.3", "10.96.0.4"]
    assert asked.looked_up == 3
