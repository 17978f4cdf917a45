"""Workloads and services: what is derived from their fields."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from hbone_py.identity import SpiffeId
from mesh_py.model.address import NamespacedHostname
from mesh_py.model.workload import (
    HealthPolicy,
    IpFamilies,
    LoadBalancer,
    LoadBalancerMode,
    Visibility,
    Workload,
)
from tests.support.world import ip, service, workload


def test_a_workload_has_an_identity() -> None:
    assert workload("w").identity == SpiffeId("cluster.local", "default", "w")
    assert str(Workload(namespace="n").identity) == "spiffe:///ns/n/sa/"


def test_values_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        workload("w").name = "other"  # type: ignore[misc]


def test_a_service_has_a_key_and_the_identities_among_its_names() -> None:
    names = ("spiffe://td/ns/b/sa/c", "dns.example", "spiffe://td/ns/a/sa/c", "spiffe://short")
    found = service("example.com", subject_alt_names=names)
    assert found.key == NamespacedHostname("default", "example.com")
    assert found.identities == (SpiffeId("td", "b", "c"), SpiffeId("td", "a", "c"))


@pytest.mark.parametrize(
    ("balancer", "passthrough", "unhealthy"),
    [
        pytest.param(None, False, False, id="none"),
        pytest.param(LoadBalancer(), False, False, id="default"),
        pytest.param(LoadBalancer(mode=LoadBalancerMode.PASSTHROUGH), True, False, id="passthrough"),
        pytest.param(LoadBalancer(health_policy=HealthPolicy.ALLOW_ALL), False, True, id="allow all"),
    ],
)
def test_what_a_load_balancer_says(balancer: LoadBalancer | None, passthrough: bool, unhealthy: bool) -> None:
    found = service("example.com", load_balancer=balancer)
    assert (found.is_passthrough, found.allows_unhealthy) == (passthrough, unhealthy)


@pytest.mark.parametrize(
    ("visibility", "own", "other"), [(Visibility.PUBLIC, True, True), (Visibility.NAMESPACE, True, False)]
)
def test_visibility(visibility: Visibility, own: bool, other: bool) -> None:
    found = service("example.com", visibility=visibility)
    assert (found.is_visible_to("default"), found.is_visible_to("other")) == (own, other)


@pytest.mark.parametrize(
    ("families", "v4", "v6"),
    [(IpFamilies.IPV4, True, False), (IpFamilies.IPV6, False, True), (IpFamilies.DUAL, True, True)],
)
def test_ip_families(families: IpFamilies, v4: bool, v6: bool) -> None:
    assert (families.accepts(ip("10.0.0.1")), families.accepts(ip("fd00::1"))) == (v4, v6)
