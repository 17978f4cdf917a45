"""A service record: its usable endpoints, and which of several services is meant."""

from __future__ import annotations

import pytest

from mesh_py.discovery.record import ServiceRecord, preferred
from mesh_py.model.workload import Endpoint, HealthPolicy, HealthStatus, LoadBalancer, Visibility
from tests.support.world import service

WELL, ILL = Endpoint("w"), Endpoint("w", status=HealthStatus.UNHEALTHY)


@pytest.mark.parametrize(("policy", "usable"), [(HealthPolicy.ONLY_HEALTHY, []), (HealthPolicy.ALLOW_ALL, [ILL])])
def test_an_endpoint_that_falls_ill(policy: HealthPolicy, usable: list[Endpoint]) -> None:
    record = ServiceRecord(service("s", load_balancer=LoadBalancer(health_policy=policy)))
    record.put(WELL)
    assert list(record.endpoints.values()) == [WELL]
    record.put(ILL)
    assert list(record.endpoints.values()) == usable
    record.drop("w")
    assert record.endpoints == {}


@pytest.mark.parametrize("change", ["put", "drop", "replace"])
def test_every_change_empties_what_was_worked_out(change: str) -> None:
    record = ServiceRecord(service("s"))
    record.candidates[("key",)] = "worked out"
    if change == "put":
        record.put(WELL)
    elif change == "drop":
        record.drop("w")
    else:
        record.replace(service("s"), [])
    assert record.candidates == {}


def test_the_service_that_is_meant() -> None:
    first, canonical, second, hidden = (
        ServiceRecord(service("s", namespace=name, canonical=name == "canonical", visibility=visibility))
        for name, visibility in [
            ("first", Visibility.PUBLIC),
            ("canonical", Visibility.PUBLIC),
            ("second", Visibility.PUBLIC),
            ("hidden", Visibility.NAMESPACE),
        ]
    )
    every = [hidden, first, canonical, second]
    assert preferred(every, "second") is second
    assert preferred(every, "hidden") is hidden
    assert preferred(every, "elsewhere") is canonical
    assert preferred([hidden, first, second], "elsewhere") is first
    assert preferred([hidden], "elsewhere") is None
    assert preferred([hidden], None) is hidden
    assert preferred([], None) is None
