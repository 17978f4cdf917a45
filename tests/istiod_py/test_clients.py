"""The table of connected proxies."""

from __future__ import annotations

import asyncio

import pytest

from istiod_py.clients import Client, Clients, TooManyClientsError
from istiod_py.node import read_node

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
