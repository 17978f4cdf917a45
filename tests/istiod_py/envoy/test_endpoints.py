"""How each kind of workload is reached (hbone-controlplane 9.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from istiod_py.envoy.endpoints import Way, load_assignment, tunnel_assignment, way_to
from istiod_py.envoy.form_118 import RELEASE_1_18
from istiod_py.envoy.form_today import TODAY
from istiod_py.envoy.mesh import Target
from mesh_py.model.workload import Locality, Protocol
from tests.istiod_py.envoy.meshes import echo_pod, echo_service, mesh, sidecar
from tests.support import world

if TYPE_CHECKING:
    from istiod_py.envoy.form import Form
    from istiod_py.envoy.node import EnvoyNode
    from mesh_py.model.workload import Workload

TCP = Protocol.TCP


def way(node: EnvoyNode, form: Form, pod: Workload, sidecars: tuple[str, ...] = ()) -> Way:
    service = echo_service()
    told = mesh(service, pod, sidecars=sidecars)
    [place] = told.places(service, 80)
    return way_to(told, node, form, place)


@pytest.mark.parametrize(
    ("pod", "sidecars", "expected"),
    [
        pytest.param(echo_pod(), (), Way.TUNNEL, id="ambient"),
        pytest.param(echo_pod(protocol=TCP), ("echo",), Way.SIDECAR, id="sidecar"),
        pytest.param(echo_pod(native_tunnel=True), ("echo",), Way.SIDECAR, id="a sidecar that takes tunnels too"),
        pytest.param(echo_pod(protocol=TCP), (), Way.PLAIN, id="neither"),
    ],
)
def test_ways(pod: Any, sidecars: tuple[str, ...], expected: Way) -> None:
    assert way(sidecar(), TODAY, pod, sidecars) is expected


def test_a_proxy_that_opens_no_tunnels_goes_plain() -> None:
    assert way(sidecar(sends_hbone=False), TODAY, echo_pod()) is Way.PLAIN
    assert way(sidecar(), RELEASE_1_18, echo_pod()) is Way.PLAIN  # ENABLE_HBONE was for both directions
    assert way(sidecar(listens_on_hbone=True), RELEASE_1_18, echo_pod()) is Way.TUNNEL


def assignment(*pods: Any, sidecars: tuple[str, ...] = (), waypoint: bool = False) -> list[dict[str, Any]]:
    service = echo_service()
    told = mesh(service, *pods, sidecars=sidecars)
    target = Target(service, 80)
    found = (
        tunnel_assignment(told, sidecar(), TODAY, "c", target)
        if waypoint
        else load_assignment(told, sidecar(), TODAY, "c", target)
    )
    assert found["cluster_name"] == "c"
    groups: list[dict[str, Any]] = found["endpoints"]
    return groups


def test_a_tunnel_is_an_internal_listener_with_the_facts_beside_it() -> None:
    [group] = assignment(echo_pod(canonical_name="echo", canonical_revision="v1"))
    assert group["lb_endpoints"] == [
        {
            "endpoint": {
                "address": {
                    "envoy_internal_address": {
                        "server_listener_name": "connect_originate",
                        "endpoint_id": "10.1.0.2:8080",
                    }
                }
            },
            "metadata": {
                "filter_metadata": {
                    "envoy.filters.listener.original_dst": {"local": "10.1.0.2:8080"},
                    "envoy.transport_socket_match": {"tunnel": "http"},
                    "istio": {"workload": "echo;default;echo;v1;Kubernetes"},
                }
            },
            "load_balancing_weight": 1,
        }
    ]


def test_ipv6_is_bracketed_where_a_port_follows() -> None:
    [group] = assignment(echo_pod("fd00::2"))
    [endpoint] = group["lb_endpoints"]
    assert endpoint["endpoint"]["address"]["envoy_internal_address"]["endpoint_id"] == "[fd00::2]:8080"


def test_a_sidecar_is_itself_with_a_mark() -> None:
    [group] = assignment(echo_pod(protocol=TCP), sidecars=("echo",))
    [endpoint] = group["lb_endpoints"]
    assert endpoint["endpoint"]["address"] == {"socket_address": {"address": "10.1.0.2", "port_value": 8080}}
    assert endpoint["metadata"]["filter_metadata"]["envoy.transport_socket_match"] == {"tlsMode": "istio"}


def test_behind_a_waypoint_there_is_no_choice_of_sockets() -> None:
    [group] = assignment(echo_pod(), echo_pod("10.1.0.3", "plain", protocol=TCP), waypoint=True)
    assert all("envoy.transport_socket_match" not in str(one) for one in group["lb_endpoints"])
    tunnelled, plain = (one["endpoint"]["address"] for one in group["lb_endpoints"])
    assert "envoy_internal_address" in tunnelled
    assert "socket_address" in plain


def test_endpoints_are_grouped_by_place_and_weighed() -> None:
    east, west = Locality("r", "east"), Locality("r", "west", "rack")
    groups = assignment(
        echo_pod("10.1.0.2", "a", locality=west, capacity=3),
        echo_pod("10.1.0.3", "b", locality=east),
        echo_pod("10.1.0.4", "c", locality=west),
        echo_pod("10.1.0.5", "never", locality=east, capacity=0),
    )
    shown = [(one["locality"], len(one["lb_endpoints"]), one["load_balancing_weight"]) for one in groups]
    assert shown == [
        ({"region": "r", "zone": "east"}, 1, 1),
        ({"region": "r", "zone": "west", "sub_zone": "rack"}, 2, 4),
    ]


def test_in_1_18_a_sidecar_dials_the_workloads_waypoint() -> None:
    service = echo_service()
    way = world.workload("waypoint", "10.1.0.9")
    told = mesh(service, way, echo_pod(waypoint=world.gateway("/10.1.0.9")))
    for form, expected in (
        (RELEASE_1_18, {"tunnel": {"address": "10.1.0.9:15008", "destination": "10.1.0.2:8080"}}),
        (TODAY, {"envoy.filters.listener.original_dst": {"local": "10.1.0.2:8080"}}),
    ):
        node = sidecar(listens_on_hbone=True)
        found = load_assignment(told, node, form, "c", Target(service, 80))
        metadata = found["endpoints"][0]["lb_endpoints"][0]["metadata"]["filter_metadata"]
        assert expected.items() <= metadata.items()
