"""Whom a policy is for."""

from __future__ import annotations

from typing import Any

import pytest

from istiod_py.envoy.policies import policies_of_sidecar, policies_of_waypoint
from mesh_py.manifests.references import TargetReference
from tests.istiod_py.envoy.meshes import echo_service, mesh, policy, sidecar, waypoint

ROOT = "istio-system"


def target(kind: str, name: str, namespace: str = "") -> dict[str, Any]:
    return {"target_refs": (TargetReference(kind, name, "g", namespace),)}


@pytest.mark.parametrize(
    ("written", "is_for"),
    [
        pytest.param(policy(), True, id="all of the namespace"),
        pytest.param(policy(selector={}), True, id="an empty selector"),
        pytest.param(policy(selector={"app": "sleep"}), True, id="its label"),
        pytest.param(policy(selector={"app": "sleep", "v": "2"}), False, id="one label of two"),
        pytest.param(policy(namespace=ROOT), True, id="the whole mesh"),
        pytest.param(policy(namespace=ROOT, selector={"app": "sleep"}), True, id="its label, anywhere in the mesh"),
        pytest.param(policy(namespace="other"), False, id="another namespace"),
        pytest.param(policy(**target("Service", "echo")), False, id="a target"),
    ],
)
def test_a_sidecar_obeys_what_selects_it(written: Any, is_for: bool) -> None:
    node = sidecar(labels={"app": "sleep", "v": "1"})
    assert bool(policies_of_sidecar(mesh(written), node)) is is_for


@pytest.mark.parametrize(
    ("written", "of_service", "of_all"),
    [
        pytest.param(policy(**target("Service", "echo")), True, False, id="its service"),
        pytest.param(policy(**target("ServiceEntry", "echo")), True, False, id="its service entry"),
        pytest.param(policy(**target("Service", "other")), False, False, id="another service"),
        pytest.param(policy(**target("Service", "echo"), namespace="other"), False, False, id="of another namespace"),
        pytest.param(policy(**target("Service", "echo", "other")), False, False, id="pointing elsewhere"),
        pytest.param(policy(**target("Gateway", "waypoint")), True, True, id="the waypoint"),
        pytest.param(policy(**target("Gateway", "other")), False, False, id="another waypoint"),
        pytest.param(
            policy(**target("GatewayClass", "istio-waypoint"), namespace=ROOT), True, True, id="all waypoints"
        ),
        pytest.param(policy(**target("GatewayClass", "istio-waypoint")), False, False, id="that, from anywhere"),
        pytest.param(policy(), False, False, id="the pods of the namespace"),
    ],
)
def test_a_waypoint_obeys_what_names_it_or_its_service(written: Any, of_service: bool, of_all: bool) -> None:
    told = mesh(written)
    assert bool(policies_of_waypoint(told, waypoint(), echo_service())) is of_service
    assert bool(policies_of_waypoint(told, waypoint(), None)) is of_all


def test_their_order_is_that_of_their_names() -> None:
    told = mesh(policy(name="b"), policy(name="a"))
    assert [one.metadata.name for one in policies_of_sidecar(told, sidecar())] == ["a", "b"]
