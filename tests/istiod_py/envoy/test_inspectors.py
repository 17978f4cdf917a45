"""Where connections are looked into. What it means for a server that speaks first is in test_traffic.py."""

from __future__ import annotations

from typing import Any

import pytest

from istiod_py.envoy.form_today import TODAY
from istiod_py.envoy.inbound import virtual_inbound
from istiod_py.envoy.inspectors import HTTP_INSPECTOR, not_on
from istiod_py.envoy.waypoint import Waypoint
from mesh_py.manifests.security import MutualTls
from mesh_py.model.workload import AppProtocol
from tests.istiod_py.envoy.meshes import echo_pod, echo_service, mesh, peer_authentication, sidecar, waypoint
from tests.support import world


def port(number: int) -> dict[str, Any]:
    return {"destination_port_range": {"start": number, "end": number + 1}}


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        ((), HTTP_INSPECTOR),
        ((81,), HTTP_INSPECTOR | {"filter_disabled": port(81)}),
        ((82, 81, 82), HTTP_INSPECTOR | {"filter_disabled": {"or_match": {"rules": [port(81), port(82)]}}}),
    ],
)
def test_ports_are_left_alone(ports: tuple[int, ...], expected: dict[str, Any]) -> None:
    assert not_on(HTTP_INSPECTOR, ports) == expected


def test_a_sidecar_does_not_wait_where_it_knows() -> None:
    protocols = {80: AppProtocol.HTTP11, 81: AppProtocol.TCP}
    service = echo_service(ports={80: 8080, 81: 8081}, app_protocols=protocols)
    off = peer_authentication("p", port_level_mtls={8080: MutualTls.DISABLE}, selector={"app": "echo"})
    node = sidecar("10.1.0.2", "echo", labels={"app": "echo"})
    _, tls, http = virtual_inbound(mesh(service, echo_pod(), off), node)["listener_filters"]
    assert (tls["filter_disabled"], http["filter_disabled"]) == (port(8080), port(8081))


@pytest.mark.parametrize(
    ("things", "expected"),
    [
        pytest.param((), {"or_match": {"rules": [port(80), port(81)]}}, id="what services declare"),
        pytest.param(
            (world.service("b.example", "10.2.0.2", ports={81: 1}, waypoint=world.gateway("/10.1.0.9")),),
            port(80),
            id="unless another does not",
        ),
        pytest.param((echo_pod(waypoint=world.gateway("/10.1.0.9")),), None, id="nothing before a workload"),
    ],
)
def test_a_waypoint_does_not_wait_where_it_knows(things: tuple[Any, ...], expected: dict[str, Any] | None) -> None:
    service = echo_service(waypoint=world.gateway("/10.1.0.9"))
    found = Waypoint(mesh(service, *things), waypoint(), TODAY).main_internal()
    assert found["listener_filters"][1].get("filter_disabled") == expected
