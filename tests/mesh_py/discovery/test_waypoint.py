"""References to waypoints and gateways (the whole tree is in test_resolve.py)."""

from __future__ import annotations

from functools import partial

import pytest

from mesh_py.discovery.waypoint import find_network_gateway, find_waypoint, is_waypoint_of, pick_waypoint
from mesh_py.model.errors import UnknownNetworkGateway, UnknownWaypoint
from mesh_py.model.workload import LoadBalancer, LoadBalancerMode, WeightedWaypoint
from tests.support.world import endpoint, gateway, ip, mesh, service, workload

SOURCE = workload("client", "10.0.0.1")
FIRST, SECOND = gateway("default/first"), gateway("default/second")


@pytest.mark.parametrize(("chance", "expected"), [(0.0, FIRST), (0.24, FIRST), (0.25, SECOND), (0.99, SECOND)])
def test_weighted_waypoints_are_picked_by_weight(chance: float, expected: object) -> None:
    weighted = (WeightedWaypoint(FIRST, 1), WeightedWaypoint(SECOND, 3))
    front = service("example.com", waypoint=gateway("default/single"), weighted_waypoints=weighted)
    assert pick_waypoint(front, partial(float, chance)) == expected


def test_without_weighted_ones_the_single_waypoint_is_picked() -> None:
    assert pick_waypoint(service("example.com", waypoint=FIRST), float) == FIRST
    assert pick_waypoint(service("example.com"), float) is None


@pytest.mark.parametrize("reference", ["default/gone", "/10.9.9.9", "net/10.0.0.9"])
def test_what_is_unknown_fails(reference: str) -> None:
    state = mesh(SOURCE, workload("gateway", "10.0.0.9"))
    with pytest.raises(UnknownWaypoint):
        find_waypoint(state, SOURCE, gateway(reference), float)
    with pytest.raises(UnknownNetworkGateway):
        find_network_gateway(state, SOURCE, gateway(reference), float)


def test_a_passthrough_service_leads_nowhere_by_address_and_to_its_endpoints_by_name() -> None:
    passthrough = LoadBalancer(mode=LoadBalancerMode.PASSTHROUGH)
    front = service("waypoint.svc", "10.96.0.9", ports={15008: 15008}, load_balancer=passthrough)
    pod = workload("waypoint", "10.0.0.9", services={"default/waypoint.svc": {}})
    state = mesh(SOURCE, front, pod)
    with pytest.raises(UnknownWaypoint):
        find_waypoint(state, SOURCE, gateway("/10.96.0.9"), float)
    assert find_waypoint(state, SOURCE, gateway("default/waypoint.svc"), float).workload is pod


def test_a_network_gateway_needs_its_port_on_the_service() -> None:
    front = service("gw.svc", ports={15009: 15008})
    state = mesh(SOURCE, front, workload("gw", "10.0.0.9", services={"default/gw.svc": {}}))
    assert find_network_gateway(state, SOURCE, gateway("default/gw.svc", 15009), float).port == 15008
    with pytest.raises(UnknownNetworkGateway):
        find_network_gateway(state, SOURCE, gateway("default/gw.svc", 15008), float)


@pytest.mark.parametrize(
    ("reference", "source_ip", "expected"),
    [
        pytest.param("/10.0.0.9", "10.0.0.9", True, id="by address"),
        pytest.param("default/waypoint.svc", "10.0.0.9", True, id="by service"),
        pytest.param("default/waypoint.svc", "10.0.0.8", False, id="from another address"),
        pytest.param("default/gone", "10.0.0.9", False, id="unknown"),
        pytest.param(None, "10.0.0.9", False, id="no waypoint at all"),
    ],
)
def test_who_is_the_waypoint_of_a_workload(reference: str | None, source_ip: str, expected: bool) -> None:
    waypoint = workload("waypoint", "10.0.0.9", services={"default/waypoint.svc": {}})
    state = mesh(waypoint, service("waypoint.svc", endpoints={"late": endpoint("late")}))
    server = workload("server", "10.0.0.2", waypoint=gateway(reference) if reference else None)
    assert is_waypoint_of(state, waypoint, ip(source_ip), server) is expected
    assert not is_waypoint_of(state, SOURCE, ip(source_ip), server)
