"""Whose proxy a pod has: by its own labels, its namespace's, and what injector and node agent wrote."""

from __future__ import annotations

import pytest

from istiod_py.ambient.participation import DataPlane, data_plane_of, has_tls_proxy, speaks_hbone
from tests.istiod_py.ambient.folder import pod

MODE, INJECT, STATUS = "istio.io/dataplane-mode", "sidecar.istio.io/inject", "sidecar.istio.io/status"
REDIRECTION, GATEWAY = "ambient.istio.io/redirection", "gateway.networking.k8s.io/gateway-name"
AMBIENT, INJECTED = {MODE: "ambient"}, {"istio-injection": "enabled"}
NODE, SIDECAR, NONE = DataPlane.NODE, DataPlane.SIDECAR, DataPlane.NONE


@pytest.mark.parametrize(
    ("namespace_labels", "labels", "annotations", "expected"),
    [
        pytest.param({}, {}, {}, NONE, id="nobody asked"),
        pytest.param(AMBIENT, {}, {}, NODE, id="an ambient namespace"),
        pytest.param({}, AMBIENT, {}, NODE, id="an ambient pod"),
        pytest.param(AMBIENT, {MODE: "none"}, {}, NONE, id="a pod opts out"),
        pytest.param({}, {}, {REDIRECTION: "enabled"}, NODE, id="the node agent has redirected it"),
        pytest.param(AMBIENT, {}, {REDIRECTION: "disabled"}, NONE, id="the node agent is told to leave it"),
        pytest.param({}, {}, {STATUS: "{}"}, SIDECAR, id="the injector has been here"),
        pytest.param(INJECTED, {}, {}, SIDECAR, id="an injected namespace"),
        pytest.param({"istio.io/rev": "canary"}, {}, {}, SIDECAR, id="a namespace of a revision"),
        pytest.param({}, {"istio.io/rev": "canary"}, {}, SIDECAR, id="a pod of a revision"),
        pytest.param({"istio-injection": "disabled"}, {"istio.io/rev": "x"}, {}, NONE, id="where injection is off"),
        pytest.param({"istio.io/rev": "x", "istio-injection": "disabled"}, {}, {}, NONE, id="injection switched off"),
        pytest.param(INJECTED, {INJECT: "false"}, {}, NONE, id="a pod without sidecar there"),
        pytest.param({}, {INJECT: "true"}, {}, SIDECAR, id="a pod asks for a sidecar by label"),
        pytest.param({}, {}, {INJECT: "true"}, SIDECAR, id="a pod asks for a sidecar by annotation"),
        pytest.param(INJECTED, {INJECT: "false"}, {INJECT: "true"}, NONE, id="the label wins over the annotation"),
        pytest.param(AMBIENT, {INJECT: "true"}, {}, SIDECAR, id="a sidecar wins over the namespace"),
        pytest.param(AMBIENT | INJECTED, {}, {}, SIDECAR, id="injection wins in a namespace of both"),
        pytest.param(AMBIENT | INJECTED, {INJECT: "false"}, {}, NODE, id="without the sidecar it is ambient"),
        pytest.param({}, {INJECT: "true"}, {REDIRECTION: "enabled"}, NODE, id="what the node agent wrote is a fact"),
        pytest.param(AMBIENT, {GATEWAY: "wp"}, {}, NONE, id="a waypoint is not redirected for its namespace's sake"),
        pytest.param(AMBIENT, {GATEWAY: "wp", MODE: "ambient"}, {}, NODE, id="unless it asks"),
        pytest.param(INJECTED, {GATEWAY: "gw"}, {}, NONE, id="a gateway is a proxy already"),
    ],
)
def test_which_proxy_a_pod_has(
    namespace_labels: dict[str, str], labels: dict[str, str], annotations: dict[str, str], expected: DataPlane
) -> None:
    assert data_plane_of(pod(labels=labels, annotations=annotations), namespace_labels) is expected


def test_a_container_of_its_name_is_a_sidecar() -> None:
    assert data_plane_of(pod(containers=("web", "istio-proxy")), AMBIENT) is SIDECAR
    assert data_plane_of(pod(containers=("istio-proxy",), labels={GATEWAY: "wp"}), AMBIENT) is NONE
    assert data_plane_of(pod(containers=("istio-proxy",), labels={INJECT: "false"}), {}) is NONE, "a node proxy's pod"


@pytest.mark.parametrize("namespace_labels", [AMBIENT, INJECTED])
def test_a_pod_on_the_hosts_network_has_none(namespace_labels: dict[str, str]) -> None:
    assert data_plane_of(pod(host_network=True), namespace_labels) is NONE


def test_the_systems_own_namespaces_are_never_injected() -> None:
    assert data_plane_of(pod(namespace="kube-system"), INJECTED) is NONE


@pytest.mark.parametrize(("value", "expected"), [("http", True), ("foo, http", True), ("https", False), ("", False)])
def test_a_label_says_that_a_workload_takes_hbone_itself(value: str, expected: bool) -> None:
    assert speaks_hbone({"networking.istio.io/tunnel": value}) is expected
    assert not speaks_hbone({})


@pytest.mark.parametrize(
    ("mark", "plane", "expected"),
    [
        (None, SIDECAR, True),
        (None, NODE, False),
        ("istio", NONE, True),
        ("disabled", SIDECAR, False),
    ],
)
def test_who_speaks_mutual_tls(mark: str | None, plane: DataPlane, expected: bool) -> None:
    labels = {} if mark is None else {"security.istio.io/tlsMode": mark}
    assert has_tls_proxy(labels, plane) is expected
