"""Endpoint choice: who qualifies, who ranks highest, and chance (hbone-dataplane 2.4)."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import pytest

from mesh_py.discovery.load_balance import Resolution, choose_endpoint, rank, weighted_index
from mesh_py.model.address import NamespacedHostname
from mesh_py.model.workload import (
    ApplicationTunnel,
    HealthPolicy,
    HealthStatus,
    LoadBalancer,
    LoadBalancerMode,
    LoadBalancerScope,
    Locality,
    TunnelProtocol,
    Workload,
)
from tests.support.world import endpoint, gateway, mesh, service, workload

SCOPE = LoadBalancerScope
HERE: dict[str, Any] = {"network": "n", "locality": Locality("r", "z", "s"), "node": "node", "cluster_id": "c"}
SOURCE = workload("client", "10.0.0.1", **HERE)
KEY = NamespacedHostname("default", "example.com")
NET_REGION_ZONE = (SCOPE.NETWORK, SCOPE.REGION, SCOPE.ZONE)


def somewhere(**changes: Any) -> Workload:
    return workload("there", "10.0.0.2", **(HERE | changes))


@pytest.mark.parametrize(
    ("preferences", "there", "failover", "strict"),
    [
        pytest.param(NET_REGION_ZONE, {}, 5, 5, id="network, region and zone match"),
        pytest.param(NET_REGION_ZONE, {"locality": Locality("r", "x")}, 4, None, id="network and region"),
        pytest.param(
            NET_REGION_ZONE, {"locality": Locality("x", "z")}, 3, None, id="network; zone after region does not count"
        ),
        pytest.param(NET_REGION_ZONE, {"network": "x"}, 2, None, id="another network: region and zone still count"),
        pytest.param(NET_REGION_ZONE, {"network": "x", "locality": Locality("r", "x")}, 1, None, id="region only"),
        pytest.param(NET_REGION_ZONE, {"network": "x", "locality": Locality("x", "x")}, 0, None, id="nothing"),
        pytest.param(
            (SCOPE.REGION, SCOPE.NETWORK), {"locality": Locality("x")}, 0, None, id="network later: as any other"
        ),
        pytest.param((SCOPE.NODE,), {}, 1, 1, id="same node"),
        pytest.param((SCOPE.NODE,), {"node": "other"}, 0, None, id="another node"),
        pytest.param((SCOPE.CLUSTER, SCOPE.SUBZONE), {}, 2, 2, id="cluster and subzone"),
        pytest.param((), {}, 0, 0, id="no preferences"),
    ],
)
def test_rank(preferences: tuple[SCOPE, ...], there: dict[str, object], failover: int, strict: int | None) -> None:
    target = somewhere(**there)
    assert rank(LoadBalancer(preferences, LoadBalancerMode.FAILOVER), SOURCE, target) == failover
    assert rank(LoadBalancer(preferences, LoadBalancerMode.STRICT), SOURCE, target) == strict


def test_empty_scopes_are_equal() -> None:
    nowhere = workload("client", "10.0.0.1", node="")
    strict = LoadBalancer((SCOPE.REGION, SCOPE.NODE), LoadBalancerMode.STRICT)
    assert rank(strict, nowhere, workload("there", "10.0.0.2", node="")) == 2


def chosen(
    workloads: list[Workload],
    balancer: LoadBalancer | None = None,
    port: int = 80,
    resolution: Resolution = Resolution.STANDARD,
    ports: dict[int, int] | None = None,
) -> set[tuple[str, int]]:
    """Every endpoint that chance may choose, with its port."""
    front = service("example.com", load_balancer=balancer, ports={80: 8080} if ports is None else ports)
    state = mesh(SOURCE, front, *workloads)
    record = state.services.by_key[KEY]
    draws = (number / 100 for number in range(100))
    found = [
        choose_endpoint(record, state.workloads.by_uid, SOURCE, port, resolution, partial(float, draw))
        for draw in draws
    ]
    return {(upstream.workload.name, upstream.port) for upstream in found if upstream is not None}


def behind(name: str, *ips: str, ports: dict[int, int] | None = None, **fields: Any) -> Workload:
    return workload(name, *ips, services={"default/example.com": ports or {}}, **(HERE | fields))


NEAR = behind("near", "10.0.0.2")
FAR = behind("far", "10.0.0.3", locality=Locality("x"), node="other")
TUNNEL = ApplicationTunnel(TunnelProtocol.PROXY, 15088)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        pytest.param(LoadBalancerMode.STANDARD, {("near", 8080), ("far", 8080)}, id="standard: everybody"),
        pytest.param(LoadBalancerMode.FAILOVER, {("near", 8080)}, id="failover: the best rank"),
        pytest.param(LoadBalancerMode.STRICT, {("near", 8080)}, id="strict: who matches all"),
    ],
)
def test_modes(mode: LoadBalancerMode, expected: set[tuple[str, int]]) -> None:
    assert chosen([NEAR, FAR], LoadBalancer((SCOPE.REGION,), mode)) == expected


def test_failover_takes_the_next_rank_and_strict_takes_nobody() -> None:
    assert chosen([FAR], LoadBalancer((SCOPE.REGION,), LoadBalancerMode.FAILOVER)) == {("far", 8080)}
    assert chosen([FAR], LoadBalancer((SCOPE.REGION,), LoadBalancerMode.STRICT)) == set()


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        pytest.param(HealthPolicy.ONLY_HEALTHY, {("near", 8080)}, id="only healthy"),
        pytest.param(HealthPolicy.ALLOW_ALL, {("near", 8080), ("ill", 8080)}, id="allow all"),
    ],
)
def test_health(policy: HealthPolicy, expected: set[tuple[str, int]]) -> None:
    ill = behind("ill", "10.0.0.4", status=HealthStatus.UNHEALTHY)
    assert chosen([NEAR, ill], LoadBalancer(health_policy=policy)) == expected


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        pytest.param(behind("bare"), set(), id="no address"),
        pytest.param(behind("bare", network_gateway=gateway("n/10.0.0.9")), set(), id="no address, same network"),
        pytest.param(behind("bare", network="x"), set(), id="no address, no gateway"),
        pytest.param(
            behind("bare", network="x", network_gateway=gateway("x/10.0.0.9")),
            {("bare", 8080)},
            id="no address, but a gateway into its network",
        ),
        pytest.param(behind("dns", hostname="db.example"), {("dns", 8080)}, id="known by name"),
        pytest.param(behind("light", "10.0.0.2", capacity=0), set(), id="no capacity"),
    ],
)
def test_who_can_be_reached(candidate: Workload, expected: set[tuple[str, int]]) -> None:
    assert chosen([candidate]) == expected


@pytest.mark.parametrize(
    ("resolution", "ports", "endpoint_ports", "tunnel", "expected"),
    [
        pytest.param(Resolution.STANDARD, {80: 8080}, {}, None, 8080, id="the service's target"),
        pytest.param(Resolution.STANDARD, {80: 8080}, {80: 9}, None, 9, id="the endpoint's mapping first"),
        pytest.param(Resolution.STANDARD, {80: 0}, {}, None, None, id="named port without a mapping"),
        pytest.param(Resolution.STANDARD, {80: 0}, {80: 9}, None, 9, id="named port with a mapping"),
        pytest.param(Resolution.STANDARD, {81: 1}, {80: 9}, None, None, id="the service must have the port"),
        pytest.param(Resolution.STANDARD, {80: 0}, {}, TUNNEL, None, id="a tunnel excuses only waypoints"),
        pytest.param(Resolution.WAYPOINT, {80: 8080}, {}, None, 8080, id="waypoint: the service's target"),
        pytest.param(Resolution.WAYPOINT, {}, {80: 9}, None, None, id="waypoint: no port, no tunnel"),
        pytest.param(Resolution.WAYPOINT, {}, {}, TUNNEL, 80, id="waypoint with a tunnel: the port as it is"),
        pytest.param(Resolution.WAYPOINT, {}, {80: 9}, TUNNEL, 9, id="waypoint with a tunnel and a mapping"),
        pytest.param(
            Resolution.WAYPOINT,
            {},
            {},
            ApplicationTunnel(TunnelProtocol.NONE),
            None,
            id="waypoint with a tunnel that has no port",
        ),
    ],
)
def test_target_port(
    resolution: Resolution,
    ports: dict[int, int],
    endpoint_ports: dict[int, int],
    tunnel: ApplicationTunnel | None,
    expected: int | None,
) -> None:
    candidate = behind("w", "10.0.0.2", ports=endpoint_ports, application_tunnel=tunnel)
    found = chosen([candidate], resolution=resolution, ports=ports)
    assert found == (set() if expected is None else {("w", expected)})


def test_an_endpoint_without_its_workload_is_skipped_until_it_comes() -> None:
    front = service("example.com", endpoints={"late": endpoint("late", {80: 7})})
    state = mesh(front)
    record = state.services.by_key[KEY]

    def choose() -> object:
        return choose_endpoint(record, state.workloads.by_uid, SOURCE, 80, Resolution.STANDARD, lambda: 0.0)

    assert choose() is None
    state.upsert_workload(workload("late", "10.0.0.2", uid="late"))
    assert choose() is not None


def test_what_a_service_named_itself_is_chosen_no_more_once_it_has_gone() -> None:
    named = workload("named", "10.0.0.2")
    state = mesh(named, service("example.com", endpoints={named.uid: endpoint(named.uid)}))
    record = state.services.by_key[KEY]

    def choose() -> object:
        return choose_endpoint(record, state.workloads.by_uid, SOURCE, 80, Resolution.STANDARD, lambda: 0.0)

    assert choose() is not None
    state.remove_workload(named.uid)
    assert choose() is None


def test_what_is_near_is_another_for_each_source() -> None:
    """Candidates are kept, but what one source was given is not for one elsewhere."""
    afar = workload("afar", "10.0.0.4", **(HERE | {"locality": Locality("x")}))
    balancer = LoadBalancer((SCOPE.REGION,), LoadBalancerMode.FAILOVER)
    state = mesh(service("example.com", load_balancer=balancer), NEAR, FAR)
    record = state.services.by_key[KEY]
    found = [
        choose_endpoint(record, state.workloads.by_uid, source, 80, Resolution.STANDARD, float)
        for source in (SOURCE, afar, SOURCE)
    ]
    assert [upstream.workload.name for upstream in found if upstream] == ["near", "far", "near"]


def test_chance_follows_capacity() -> None:
    sums = (1, 1, 4)
    drawn = Counter(weighted_index(sums, partial(float, draw / 400)) for draw in range(400))
    assert drawn == {0: 100, 2: 300}
    assert weighted_index((), lambda: 0.0) is None
    assert weighted_index((0, 0), lambda: 0.0) is None


def test_candidates_are_worked_out_once() -> None:
    state = mesh(SOURCE, service("example.com"), NEAR)
    record = state.services.by_key[KEY]
    first, second = (
        choose_endpoint(record, state.workloads.by_uid, SOURCE, 80, Resolution.STANDARD, lambda: 0.0) for _ in range(2)
    )
    assert first is second
    assert len(record.candidates) == 1
