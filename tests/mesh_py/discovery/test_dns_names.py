"""Names as clients ask for them: readings, wildcards, which service wins, which addresses are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_py.discovery.dns_names import Alias, NameRules, aliases, look_up, wildcards
from mesh_py.model.workload import HealthPolicy, HealthStatus, IpFamilies, LoadBalancer, Visibility
from tests.support.world import mesh, service, workload

if TYPE_CHECKING:
    from mesh_py.discovery.state import MeshState
    from mesh_py.model.workload import Service, Workload

RULES = NameRules()
CLIENT = workload("client", "10.0.0.1", namespace="shop", uid="c//Pod/shop/client")
CART = service("cart.shop.svc.cluster.local", "10.96.0.1", namespace="shop")


def asked(state: MeshState, name: str, rules: NameRules = RULES, *, ipv6: bool = False) -> str:
    """The answer as a line: the addresses, the CNAME in front of them, or why there are none."""
    answer = look_up(state, CLIENT, name, rules, ipv6=ipv6)
    if answer is None:
        return "forward"
    told = ", ".join(answer.addresses) or answer.reason
    return f"{answer.canonical}: {told}" if answer.canonical else told


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("a", ["a", "a.shop.svc.cluster.local"], id="one label"),
        pytest.param("a.b", ["a.b", "a.b.svc.cluster.local", "a.b.shop.svc.cluster.local"], id="two labels"),
        pytest.param("a.b.c", ["a.b.c", "a.b.c.svc.cluster.local"], id="three labels"),
        pytest.param(
            "a.b.svc", ["a.b.svc", "a.b.svc.cluster.local", "a.b.svc.svc.cluster.local"], id="three, ending in svc"
        ),
        pytest.param("a.b.c.svc", ["a.b.c.svc", "a.b.c.svc.cluster.local"], id="four, ending in svc"),
        pytest.param("a.b.c.d", ["a.b.c.d"], id="four others"),
        pytest.param("A.B.C.D.E.", ["a.b.c.d.e"], id="case and the final dot"),
        pytest.param("svc", ["svc", "svc.shop.svc.cluster.local"], id="the word itself"),
        pytest.param("", [], id="the root"),
        pytest.param(".", [], id="the root, dotted"),
    ],
)
def test_readings_of_a_name(name: str, expected: list[str]) -> None:
    found = list(aliases(name, "shop", RULES))
    assert found == [Alias(reading) for reading in expected]


def test_a_search_domain_is_stripped_and_the_rest_read_again() -> None:
    found = list(aliases("a.b.shop.svc.cluster.local", "shop", RULES))
    assert found == [
        Alias("a.b.shop.svc.cluster.local"),
        Alias("a.b", "a.b"),
        Alias("a.b.svc.cluster.local", "a.b"),
        # Without "svc.cluster.local", then without "cluster.local".
        Alias("a.b.shop", "a.b.shop"),
        Alias("a.b.shop.svc", "a.b.shop.svc"),
    ]


def test_other_search_domains_replace_those_of_pods() -> None:
    rules = NameRules(search=("example.com",))
    assert list(aliases("www.example.com", "shop", rules))[-2:] == [
        Alias("www", "www"),
        Alias("www.shop.svc.cluster.local", "www"),
    ]
    assert list(aliases("a.svc.cluster.local", "shop", rules)) == [Alias("a.svc.cluster.local")]


def test_a_search_domain_by_itself_strips_to_nothing() -> None:
    assert next(aliases("cluster.local", "shop", RULES)) == Alias("cluster.local")
    assert all(alias.stripped is None for alias in aliases("cluster.local", "shop", RULES))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("www.example.com", ["www.example.com", "*.example.com", "*.com"]),
        ("com", ["com"]),
    ],
)
def test_wildcards_grow_wider(name: str, expected: list[str]) -> None:
    assert list(wildcards(name)) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("cart", "10.96.0.1", id="in its own namespace"),
        pytest.param("cart.shop", "10.96.0.1", id="with its namespace"),
        pytest.param("cart.shop.svc", "10.96.0.1", id="with svc"),
        pytest.param("cart.shop.svc.cluster.local", "10.96.0.1", id="in full"),
        pytest.param("CART.Shop.svc.Cluster.local.", "10.96.0.1", id="in any case"),
        pytest.param(
            "cart.shop.svc.cluster.local.shop.svc.cluster.local",
            "cart.shop.svc.cluster.local: 10.96.0.1",
            id="searched",
        ),
        pytest.param("cart.shop.shop.svc.cluster.local", "cart.shop: 10.96.0.1", id="searched and completed"),
        pytest.param("cart.shop.svc.svc.cluster.local", "cart.shop.svc: 10.96.0.1", id="by the second search domain"),
        pytest.param("cart.shop.svc.cluster.local.cluster.local", "cart.shop.svc.cluster.local: 10.96.0.1", id="third"),
        pytest.param("cart.other", "forward", id="another namespace"),
        pytest.param("example.com", "forward", id="the world outside"),
    ],
)
def test_one_service_by_many_names(name: str, expected: str) -> None:
    assert asked(mesh(CLIENT, CART), name) == expected


WIDE = service("*.example.com", "10.96.0.2", namespace="infra")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("www.example.com", "10.96.0.2", id="one label"),
        pytest.param("a.b.example.com", "10.96.0.2", id="several"),
        pytest.param("www.example.com.shop.svc.cluster.local", "10.96.0.2", id="searched: no alias"),
        pytest.param("example.com", "forward", id="not the domain itself"),
        pytest.param("narrow.example.com", "10.96.0.3", id="the exact name first"),
    ],
)
def test_a_wildcard_service(name: str, expected: str) -> None:
    narrow = service("narrow.example.com", "10.96.0.3", namespace="infra")
    assert asked(mesh(CLIENT, WIDE, narrow), name) == expected


def named(namespace: str, vip: str, **fields: object) -> Service:
    return service("api.example.com", vip, namespace=namespace, **fields)


@pytest.mark.parametrize(
    ("services", "rules", "expected"),
    [
        pytest.param([named("a", "10.0.1.1"), named("b", "10.0.1.2")], RULES, "10.0.1.1", id="the first"),
        pytest.param(
            [named("a", "10.0.1.1"), named("b", "10.0.1.2")],
            NameRules(preferred_namespace="b"),
            "10.0.1.2",
            id="the preferred namespace's",
        ),
        pytest.param(
            [named("a", "10.0.1.1", canonical=True), named("b", "10.0.1.2")],
            NameRules(preferred_namespace="b"),
            "10.0.1.1",
            id="the canonical one before it",
        ),
        pytest.param(
            [named("a", "10.0.1.1", canonical=True), named("shop", "10.0.1.3")], RULES, "10.0.1.3", id="one's own first"
        ),
        pytest.param(
            [named("a", "10.0.1.1", visibility=Visibility.NAMESPACE), named("b", "10.0.1.2")],
            RULES,
            "10.0.1.2",
            id="never one that is not visible",
        ),
        pytest.param(
            [named("shop", "other/10.0.1.9"), named("b", "10.0.1.2")],
            RULES,
            "no records",
            id="one's own even without an address here",
        ),
    ],
)
def test_several_services_of_one_name(services: list[Service], rules: NameRules, expected: str) -> None:
    assert asked(mesh(CLIENT, *services), "api.example.com", rules) == expected


def test_addresses_of_the_clients_network_and_of_the_family() -> None:
    both = service("two.example.com", "10.0.1.1", "net2/10.0.1.2", "/fd00::1", "10.0.1.3")
    state = mesh(CLIENT, both)
    assert asked(state, "two.example.com") == "10.0.1.1, 10.0.1.3"
    assert asked(state, "two.example.com", ipv6=True) == "fd00::1"
    assert asked(state, "two.example.com", NameRules(ipv6=False), ipv6=True) == (
        "service does not support this record type"
    )


@pytest.mark.parametrize(
    ("families", "four", "six"),
    [
        (None, "10.0.1.1", "fd00::1"),
        (IpFamilies.DUAL, "10.0.1.1", "fd00::1"),
        (IpFamilies.IPV4, "10.0.1.1", "service does not support this record type"),
        (IpFamilies.IPV6, "service does not support this record type", "fd00::1"),
    ],
)
def test_families_a_service_is_offered_on(families: IpFamilies | None, four: str, six: str) -> None:
    state = mesh(CLIENT, service("two.example.com", "10.0.1.1", "/fd00::1", ip_families=families))
    assert asked(state, "two.example.com") == four
    assert asked(state, "two.example.com", ipv6=True) == six


HEADLESS = "db.shop.svc.cluster.local"


def pod(name: str, *ips: str, **fields: object) -> Workload:
    return workload(name, *ips, services={f"shop/{HEADLESS}": {80: 80}}, **fields)


def test_a_headless_service_tells_its_endpoints() -> None:
    state = mesh(
        CLIENT,
        service(HEADLESS, namespace="shop"),
        pod("one", "10.1.0.1", "10.1.0.2", "fd00::1"),
        pod("far", "10.2.0.1", network="net2"),
        pod("ill", "10.1.0.3", status=HealthStatus.UNHEALTHY),
        pod("nowhere"),
    )
    assert asked(state, "db") == "10.1.0.1, 10.2.0.1"
    assert asked(state, "db", ipv6=True) == "fd00::1"


def test_a_headless_service_that_wants_them_tells_unhealthy_endpoints() -> None:
    all_of_them = LoadBalancer(health_policy=HealthPolicy.ALLOW_ALL)
    db = service(HEADLESS, namespace="shop", load_balancer=all_of_them)
    state = mesh(CLIENT, db, pod("ill", "10.1.0.3", status=HealthStatus.UNHEALTHY))
    assert asked(state, "db") == "10.1.0.3"


def test_a_headless_service_without_endpoints_is_known_all_the_same() -> None:
    assert asked(mesh(CLIENT, service(HEADLESS, namespace="shop")), "db") == "no records"


def test_a_service_without_address_outside_the_cluster_is_forwarded() -> None:
    assert asked(mesh(CLIENT, service("db.example.com", namespace="shop")), "db.example.com") == "forward"


def test_another_cluster_domain() -> None:
    rules = NameRules(domain="mesh.internal")
    state = mesh(CLIENT, service("cart.shop.svc.mesh.internal", "10.96.0.1", namespace="shop"))
    assert asked(state, "cart", rules) == "10.96.0.1"
    assert asked(state, "cart") == "forward"


def test_host_names_of_workloads_are_not_looked_up() -> None:
    assert asked(mesh(CLIENT, workload("x", "10.1.0.9", hostname="vm.example.com")), "vm.example.com") == "forward"


@given(st.text(alphabet="aA.-*\\é1", max_size=40))
def test_any_text_is_read_without_a_fault(name: str) -> None:
    found = [alias.name for alias in aliases(name, "shop", RULES)]
    assert len(found) == len(set(found))
    assert look_up(mesh(CLIENT, CART), CLIENT, name, RULES, ipv6=False) is None or "cart" in name
