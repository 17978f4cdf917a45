"""The table of connected proxies."""

from __future__ import annotations

import asyncio

import pytest

from istiod_py.clients import Client, Clients, NameBudget, TooManyClientsError
from istiod_py.node import read_node
from istiod_py.subscription import TooManyNamesError

CART = read_node("sidecar~10.0.0.1~cart-1.shop~shop.svc.cluster.local")


def join(clients: Clients) -> Client:
    return clients.join(CART, None, "127.0.0.1:5", "delta", 0.0)


def test_each_stream_has_its_own_id() -> None:
    clients = Clients()
    assert [join(clients).id, join(clients).id] == ["cart-1.shop-1", "cart-1.shop-2"]
    assert len(clients) == 2


def test_a_proxy_is_found_as_istioctl_names_it() -> None:
    clients = Clients()
    client = join(clients)
    for name in ("cart-1.shop", "cart-1.shop-1", CART.id):
        assert clients.of_proxy(name) == [client]
    assert clients.of_proxy("cart-1") == []


def test_who_leaves_makes_room() -> None:
    clients = Clients(most=1)
    client = join(clients)
    with pytest.raises(TooManyClientsError):
        join(clients)
    clients.leave(client)
    clients.leave(client)
    join(clients)


async def test_a_client_is_woken_also_by_what_happened_before_it_slept() -> None:
    clients = Clients()
    client = join(clients)
    clients.wake_all()
    clients.wake_all()
    await client.woken()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await client.woken()


async def test_at_the_end_everyone_is_told_and_nobody_let_in() -> None:
    clients = Clients()
    client = join(clients)
    clients.end_all()
    await client.woken()
    assert client.is_ending
    with pytest.raises(TooManyClientsError):
        join(clients)


def test_names_of_one_client_may_cost_so_much() -> None:
    client = join(Clients())
    client.remember(NameBudget.ONE - CART.cost)
    with pytest.raises(TooManyNamesError, match="unsubscribe some"):
        client.remember(1)
    client.remember(-2)
    client.remember(1)


def test_when_all_cost_much_the_greedy_are_refused_and_the_modest_are_not() -> None:
    clients = Clients()
    greedy = [join(clients)]
    for _ in range(NameBudget.ALL // NameBudget.ONE - 1):
        greedy[-1].remember(NameBudget.ONE - CART.cost)
        greedy.append(join(clients))
    greedy[-1].remember(NameBudget.ONE // 2 - CART.cost)  # what is left besides
    with pytest.raises(TooManyNamesError):
        greedy[-1].remember(1)
    join(clients).remember(NameBudget.MODEST - CART.cost)
    for one in greedy:
        clients.leave(one)
        clients.leave(one)
    assert clients.names.spent == NameBudget.MODEST


def test_what_clients_say_of_themselves_costs_as_their_names_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NameBudget, "ALL", 64 << 20)  # an eighth, and it is spent as soon
    clients = Clients()
    many = read_node(CART.id, {"LABELS": {str(number): [{}] * 100 for number in range(1000)}})
    modest = read_node(CART.id, {"LABELS": {"app": "cart"}, "ISTIO_VERSION": "1.24", "ENABLED": True, "N": [1.0]})
    assert many.cost > 6_400_000  # sent in a tenth of it
    assert modest.cost < 2000
    joined = [clients.join(many, None, "127.0.0.1:5", "delta", 0.0) for _ in range(NameBudget.ALL // many.cost - 1)]
    with pytest.raises(TooManyNamesError, match="come back later"):
        clients.join(many, None, "127.0.0.1:5", "delta", 0.0)
    assert len(clients) == len(joined)
    clients.leave(clients.join(modest, None, "127.0.0.1:5", "delta", 0.0))
    for one in joined:
        clients.leave(one)
    assert clients.names.spent == 0
