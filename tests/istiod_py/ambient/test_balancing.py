"""How a service spreads its connections (hbone-controlplane 1.6)."""

from __future__ import annotations

from typing import Any

import pytest

from istiod_py.ambient.balancing import of_service, of_service_entry
from mesh_py.manifests.networking import Resolution
from mesh_py.model.workload import HealthPolicy, LoadBalancer, LoadBalancerMode
from mesh_py.model.workload import LoadBalancerScope as Scope
from tests.istiod_py.ambient.folder import entry, mesh, namespace, service, the_service

DISTRIBUTION = "networking.istio.io/traffic-distribution"
STRICT_NODE = LoadBalancer((Scope.NODE,), LoadBalancerMode.STRICT)
ZONE = LoadBalancer((Scope.NETWORK, Scope.REGION, Scope.ZONE), LoadBalancerMode.FAILOVER)
NODE = LoadBalancer((Scope.NETWORK, Scope.REGION, Scope.ZONE, Scope.SUBZONE, Scope.NODE), LoadBalancerMode.FAILOVER)
ALL = LoadBalancer(health_policy=HealthPolicy.ALLOW_ALL)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"internal_traffic_policy": "Local"}, STRICT_NODE),
        ({"traffic_distribution": "PreferClose"}, ZONE),
        ({"traffic_distribution": "PreferSameZone"}, ZONE),
        ({"traffic_distribution": "PreferSameNode"}, NODE),
        ({"traffic_distribution": "Any"}, None),
        ({"annotations": {DISTRIBUTION: "PreferClose"}}, ZONE),
        ({"annotations": {DISTRIBUTION: "PreferClose"}, "traffic_distribution": "PreferSameNode"}, NODE),
        ({"internal_traffic_policy": "Local", "traffic_distribution": "PreferClose"}, STRICT_NODE),
        ({"publish_not_ready_addresses": True}, ALL),
    ],
    ids=str,
)
def test_a_service(fields: dict[str, Any], expected: LoadBalancer | None) -> None:
    assert of_service(service(**fields), {}) == expected


def test_readiness_is_a_rule_beside_the_others() -> None:
    balancer = of_service(service(internal_traffic_policy="Local", publish_not_ready_addresses=True), {})
    assert balancer == LoadBalancer((Scope.NODE,), LoadBalancerMode.STRICT, HealthPolicy.ALLOW_ALL)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"annotations": {DISTRIBUTION: "prefersamezone"}}, ZONE),
        ({"resolution": Resolution.NONE}, LoadBalancer((), LoadBalancerMode.PASSTHROUGH, HealthPolicy.ALLOW_ALL)),
    ],
    ids=str,
)
def test_an_entry(fields: dict[str, Any], expected: LoadBalancer | None) -> None:
    assert of_service_entry(entry(**fields), {}) == expected


def test_the_namespace_says_what_its_services_do_not() -> None:
    shop = namespace(annotations={DISTRIBUTION: "PreferSameZone"})
    told = mesh(shop, service(), service("own", annotations={DISTRIBUTION: "PreferSameNode"}), entry())
    assert the_service(told).load_balancer == ZONE
    assert the_service(told, "own.shop.svc.cluster.local").load_balancer == NODE
    assert the_service(told, "api.example.com").load_balancer == ZONE
