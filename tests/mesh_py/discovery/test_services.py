"""The service index: endpoints from both sides (the rest is seen through MeshState)."""

from __future__ import annotations

from mesh_py.discovery.services import ServiceIndex
from mesh_py.model.address import NamespacedHostname
from mesh_py.model.workload import Endpoint
from tests.support.world import endpoint, ip, service

KEY = NamespacedHostname("default", "example.com")
NAMED = endpoint("w", {80: 1})
ATTACHED = Endpoint("w", {80: 2})


def test_what_a_workload_says_goes_before_what_the_service_says() -> None:
    index = ServiceIndex()
    index.upsert(service("example.com", endpoints={"w": NAMED}))
    record = index.by_key[KEY]
    assert record.endpoints == {"w": NAMED}
    index.attach(KEY, ATTACHED)
    assert record.endpoints == {"w": ATTACHED}
    index.upsert(service("example.com", endpoints={"w": NAMED}, canonical=True))
    assert index.by_key[KEY] is record
    assert record.endpoints == {"w": ATTACHED}
    index.detach(KEY, "w")
    assert record.endpoints == {"w": NAMED}


def test_a_service_that_names_a_workload_no_more() -> None:
    index = ServiceIndex()
    index.upsert(service("example.com", endpoints={"w": NAMED}))
    assert list(index.naming("w")) == [KEY]
    index.upsert(service("example.com"))
    assert list(index.naming("w")) == []
    index.upsert(service("example.com", endpoints={"w": NAMED}))
    index.remove(KEY)
    assert list(index.naming("w")) == []


def test_a_change_of_the_workload_empties_what_was_worked_out() -> None:
    index = ServiceIndex()
    index.upsert(service("example.com", endpoints={"w": NAMED}))
    index.by_key[KEY].candidates[("key",)] = "worked out"
    index.workload_changed("somebody-else")
    assert index.by_key[KEY].candidates
    index.workload_changed("w")
    assert not index.by_key[KEY].candidates


def test_lookup_by_host_name() -> None:
    index = ServiceIndex()
    index.upsert(service("example.com", "10.96.0.1", namespace="a"))
    index.upsert(service("example.com", "10.96.0.2", namespace="b"))
    assert [record.service.namespace for record in index.all_named("example.com")] == ["a", "b"]
    assert index.named("other.com") is None
    assert len(index) == 2
    assert [record.service.namespace for record in index] == ["a", "b"]
    index.remove(NamespacedHostname("a", "example.com"))
    assert [record.service.namespace for record in index.all_named("example.com")] == ["b"]
    assert index.at("", ip("10.96.0.1")) is None


def test_staged_endpoints_go_when_their_workload_does() -> None:
    index = ServiceIndex()
    index.attach(KEY, ATTACHED)
    assert index.staged() == {KEY: {"w": ATTACHED}}
    index.detach(KEY, "w")
    assert index.staged() == {}
