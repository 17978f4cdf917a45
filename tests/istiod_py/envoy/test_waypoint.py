"""A waypoint's chains, the tree that picks one, and where its routes lead."""

from __future__ import annotations

from typing import Any

import pytest

from istiod_py.envoy.form_118 import RELEASE_1_18
from istiod_py.envoy.form_today import TODAY
from istiod_py.envoy.waypoint import Waypoint
from tests.istiod_py.envoy.meshes import ECHO, backend, echo_pod, echo_service, http_route, mesh, policy, rule, waypoint
from tests.support import world

WAY = world.gateway("/10.1.0.9")
OTHER = world.service("other.default.svc.cluster.local", "10.2.0.5", name="other")


def a_waypoint(*things: Any, **fields: Any) -> Waypoint:
    return Waypoint(mesh(*things), waypoint(), **{"form": TODAY, **fields})


def chain_names(found: Waypoint) -> list[str]:
    return [one["name"] for one in found.main_internal()["filter_chains"]]


def test_attached_ports_have_a_chain_for_each_thing_they_may_speak() -> None:
    found = a_waypoint(echo_service(waypoint=WAY), OTHER)
    assert chain_names(found) == [
        f"inbound-vip|80|http|{ECHO}",
        f"inbound-vip|81|tcp|{ECHO}",
        f"inbound-vip|82|http|{ECHO}",
        f"inbound-vip|82|tcp|{ECHO}",
        "direct-tcp",
        "direct-http",
    ]
    assert [name for name, _ in found.owned_clusters()] == chain_names(found)[:4]
    assert list(found.routes()) == [f"inbound-vip|80|http|{ECHO}", f"inbound-vip|82|http|{ECHO}"]


def test_the_chains_of_1_18_have_other_names_and_its_clusters_the_same() -> None:
    found = a_waypoint(echo_service(waypoint=WAY), form=RELEASE_1_18)
    assert chain_names(found)[:2] == [f"inbound-vip|80||{ECHO}-http", f"inbound-vip|81||{ECHO}-tcp"]
    assert next(name for name, _ in found.owned_clusters()) == f"inbound-vip|80|http|{ECHO}"


def ranges(found: Waypoint) -> list[list[str]]:
    matcher = found.main_internal()["filter_chain_matcher"]["matcher_tree"]["custom_match"]["typed_config"]
    return [[one["address_prefix"] for one in row["ranges"]] for row in matcher["range_matchers"]]


def test_only_addresses_of_what_is_attached_find_a_chain() -> None:
    pod = echo_pod("10.1.0.7", "direct", waypoint=WAY)
    assert ranges(a_waypoint(echo_service(waypoint=WAY), OTHER, pod, echo_pod())) == [["10.2.0.1"], ["10.1.0.7"]]
    assert ranges(a_waypoint(OTHER, echo_pod())) == []


@pytest.mark.parametrize(
    ("name", "port", "expected"),
    [
        ("echo", 80, f"inbound-vip|80|http|{ECHO}"),
        ("other", 80, "outbound|80||other.default.svc.cluster.local"),
    ],
)
def test_routes_lead_to_its_own_clusters_or_to_any_clients(name: str, port: int, expected: str) -> None:
    found = a_waypoint(echo_service(waypoint=WAY), OTHER, http_route(rule("/", backend(name, port))))
    [host] = found.routes()[f"inbound-vip|80|http|{ECHO}"]["virtual_hosts"]
    assert host["routes"][0]["route"]["cluster"] == expected


def test_policies_of_a_service_do_not_touch_its_neighbours() -> None:
    neighbour = world.service("next.default.svc", "10.2.0.4", name="next", waypoint=WAY)
    found = a_waypoint(echo_service(waypoint=WAY), neighbour, policy(service="echo"))
    judged = [one["name"] for one in found.main_internal()["filter_chains"] if "rbac" in str(one["filters"])]
    assert judged == chain_names(found)[:4]
