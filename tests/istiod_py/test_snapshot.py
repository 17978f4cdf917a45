"""Collections: what is found by which name, and what differs between two of them."""

from __future__ import annotations

import gc
import weakref

import pytest

from istiod_py.snapshot import NOTHING, Collection, Resource, joint_version

CART = Resource("cluster//Pod/shop/cart", b"cart 1", ("/10.0.0.1", "/fd00::1"), "node-a", ("shop/cart.shop.svc",))
PAY = Resource("cluster//Pod/shop/pay", b"pay 1", ("/10.0.0.2",), "node-b", ("shop/cart.shop.svc",))
SERVICE = Resource("shop/cart.shop.svc", b"service", ("/10.96.0.1",))
MESH = Collection([CART, PAY, SERVICE])


@pytest.mark.parametrize(
    ("name", "found"),
    [
        pytest.param("cluster//Pod/shop/cart", (CART,), id="true name"),
        pytest.param("/10.0.0.1", (CART,), id="address"),
        pytest.param("/fd00::1", (CART,), id="second address"),
        pytest.param("/10.96.0.1", (SERVICE,), id="address of a service"),
        pytest.param("net/10.0.0.1", (), id="the address in another network"),
        pytest.param("", (), id="no name"),
    ],
)
def test_a_resource_is_found_by_name_and_alias(name: str, found: tuple[Resource, ...]) -> None:
    assert MESH.find(name) == found


def test_what_shares_an_address_is_found_together() -> None:
    host = Resource("a", b"a", ("/10.0.0.9",))
    beside = Resource("b", b"b", ("/10.0.0.9",))
    assert Collection([host, beside]).find("/10.0.0.9") == (host, beside)


def test_the_workloads_of_a_node_and_of_a_service_are_found() -> None:
    assert MESH.on_node("node-a") == (CART,)
    assert MESH.on_node("") == ()  # a client that does not say where it runs
    assert MESH.behind("shop/cart.shop.svc") == (CART, PAY)
    assert MESH.behind("shop/other") == ()


def test_a_version_is_the_content_and_nothing_else() -> None:
    assert Resource("a", b"x").version == Resource("b", b"x", ("alias",)).version
    assert Resource("a", b"x").version != Resource("a", b"y").version
    assert joint_version([CART, PAY]) == joint_version([PAY, CART]) != joint_version([CART])
    assert Collection([CART]).version == joint_version([CART])


def test_changes_are_new_gone_and_altered_names() -> None:
    altered = Resource(CART.name, b"cart 2")
    added = Resource("new", b"new")
    after = Collection([altered, added, Resource(SERVICE.name, SERVICE.body)])
    assert after.changes_since(MESH) == {CART.name, PAY.name, "new"}
    assert after.changes_since(after) == frozenset()
    assert after.changes_since(NOTHING) == {CART.name, SERVICE.name, "new"}


def test_old_states_are_let_go() -> None:
    first = Collection([CART])
    forgotten = weakref.ref(first)
    second, third = Collection([PAY]), Collection([SERVICE])
    second.changes_since(first)
    third.changes_since(second)
    del first
    gc.collect()
    assert forgotten() is None
