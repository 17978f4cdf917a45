"""Where the two forms differ (hbone-controlplane 9.4). All they have in common is in the golden files."""

from __future__ import annotations

from typing import Any

import pytest

from istiod_py.envoy.form_118 import RELEASE_1_18
from istiod_py.envoy.form_today import TODAY
from istiod_py.envoy.mesh import Place
from mesh_py.model.address import parse_ip
from tests.istiod_py.envoy.meshes import echo_pod, mesh, sidecar, waypoint

POD = Place(echo_pod(), parse_ip("10.1.0.2"), 8080)
WAY = Place(echo_pod(), parse_ip("10.1.0.9"), 15008)


@pytest.mark.parametrize(
    ("form", "waypoint", "expected"),
    [
        (TODAY, None, {"envoy.filters.listener.original_dst": {"local": "10.1.0.2:8080"}}),
        (
            TODAY,
            WAY,
            {"envoy.filters.listener.original_dst": {"local": "10.1.0.2:8080", "waypoint": "10.1.0.9:15008"}},
        ),
        (RELEASE_1_18, None, {"tunnel": {"address": "10.1.0.2:15008", "destination": "10.1.0.2:8080"}}),
        (RELEASE_1_18, WAY, {"tunnel": {"address": "10.1.0.9:15008", "destination": "10.1.0.2:8080"}}),
    ],
)
def test_where_a_tunnel_leads(form: Any, waypoint: Place | None, expected: dict[str, Any]) -> None:
    assert form.tunnel_metadata(POD, waypoint) == expected


def test_baggage_is_the_sidecars_and_of_1_18() -> None:
    told = mesh(echo_pod("10.1.0.1", "sleep", workload_name="sleep", canonical_name="sleep", canonical_revision="v1"))
    assert "headers_to_add" not in TODAY.tunneling(told, sidecar())
    assert "headers_to_add" not in RELEASE_1_18.tunneling(told, waypoint())
    assert "headers_to_add" not in RELEASE_1_18.tunneling(mesh(), sidecar())
    [header] = RELEASE_1_18.tunneling(told, sidecar())["headers_to_add"]
    assert header["header"] == {
        "key": "baggage",
        "value": "k8s.cluster.name=Kubernetes,k8s.namespace.name=default,k8s.deployment.name=sleep,"
        "service.name=sleep,service.version=v1",
    }


@pytest.mark.parametrize(
    ("node", "today", "then"),
    [
        (sidecar(), True, False),
        (sidecar(listens_on_hbone=True), True, True),
        (sidecar(sends_hbone=False), False, False),
        (waypoint(), True, True),
    ],
)
def test_who_opens_tunnels(node: Any, today: bool, then: bool) -> None:
    assert (TODAY.sends_hbone(node), RELEASE_1_18.sends_hbone(node)) == (today, then)


def test_the_client_of_a_tunnel_is_part_of_the_pools_key() -> None:
    [found] = TODAY.terminate_http_filters()
    factories = {one["object_key"]: one.get("factory_key") for one in found["typed_config"]["on_request_headers"]}
    assert factories["io.istio.peer_principal"] == "envoy.hashable_string"
    assert factories["envoy.filters.listener.original_dst.local_ip"] is None
