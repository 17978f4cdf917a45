"""Policies with targets: whether anybody enforces them (hbone-controlplane 9.6)."""

from __future__ import annotations

from typing import Any

import pytest

from mesh_py.manifests.references import TargetReference
from mesh_py.manifests.security import RequestAuthentication
from tests.istiod_py.ambient.folder import ROOT, authorization, codes, entry, mesh, meta, service, waypoint

USE = {"istio.io/use-waypoint": "wp"}
CLASS = TargetReference("GatewayClass", "istio-waypoint", "gateway.networking.k8s.io")


@pytest.mark.parametrize(
    ("ref", "inside", "expected"),
    [
        pytest.param(TargetReference("Service", "web"), {}, None, id="a service behind a waypoint"),
        pytest.param(TargetReference("ServiceEntry", "api"), {}, None, id="an entry behind a waypoint"),
        pytest.param(TargetReference("Gateway", "wp"), {}, None, id="a waypoint"),
        pytest.param(CLASS, {"namespace": ROOT}, None, id="all waypoints"),
        pytest.param(TargetReference("Service", "plain"), {}, "policy-target-without-waypoint", id="no waypoint"),
        pytest.param(TargetReference("Service", "gone"), {}, "policy-target-unknown", id="no such service"),
        pytest.param(TargetReference("ServiceEntry", "web"), {}, "policy-target-unknown", id="of another kind"),
        pytest.param(TargetReference("Gateway", "web"), {}, "policy-target-unknown", id="no such waypoint"),
        pytest.param(TargetReference("Pod", "web"), {}, "policy-target-unknown", id="nothing to attach to"),
        pytest.param(TargetReference("GatewayClass", "istio"), {}, "policy-target-unknown", id="another class"),
        pytest.param(CLASS, {}, "policy-target-abroad", id="all waypoints, from anywhere"),
        pytest.param(
            TargetReference("Service", "web"), {"namespace": "front"}, "policy-target-unknown", id="from elsewhere"
        ),
        pytest.param(
            TargetReference("Service", "web", namespace="shop"),
            {"namespace": "front"},
            "policy-target-abroad",
            id="into another namespace",
        ),
    ],
)
def test_targets(ref: TargetReference, inside: dict[str, Any], expected: str | None) -> None:
    world = waypoint(), service(labels=USE), service("plain", "10.96.0.2"), entry(labels=USE)
    expected_codes = [] if expected is None else [expected]
    assert codes(mesh(*world, authorization("p", target_refs=(ref,), **inside))) == expected_codes
    assert codes(mesh(*world, RequestAuthentication(meta("p", **inside), target_refs=(ref,)))) == expected_codes


def test_every_target_is_told_of() -> None:
    refs = TargetReference("Service", "a"), TargetReference("Service", "b")
    assert codes(mesh(authorization("p", target_refs=refs))) == ["policy-target-unknown"] * 2
