"""What reading tells, under the linter's codes."""

from __future__ import annotations

import pytest

from istiod_py.check.reading import _FAULTS
from mesh_py.discovery.problems import FaultKind
from tests.support.checks import findings

NAMESPACE = "apiVersion: v1\nkind: Namespace\n"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("a: [", "error HM001", id="syntax"),
        pytest.param(f"{NAMESPACE}metadata: {{name: a, nmae: b}}", "error HM002", id="an unknown key"),
        pytest.param(f"{NAMESPACE}metadata: {{}}", "error HM003", id="a missing key"),
        pytest.param(f"{NAMESPACE}metadata: {{name: a, name: b}}", "error HM004", id="a doubled key"),
        pytest.param(f"{NAMESPACE}metadata: {{name: A}}", "error HM005", id="a value"),
        pytest.param("apiVersion: v1\nkind: Namspace\nmetadata: {name: a}", "error HM006", id="a kind"),
        pytest.param("apiVersion: v2\nkind: Namespace\nmetadata: {name: a}", "error HM007", id="a version"),
        pytest.param("apiVersion: v1\nkind: Secret\nmetadata: {name: a}", "warning HM009", id="a foreign kind"),
        pytest.param(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}",
            "warning HM013",
            id="a kind that is not supported",
        ),
        pytest.param(
            "apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: shop}\nspec: {containers: [], hostNetwrk: true}",
            "warning HM010",
            id="a key of a pod",
        ),
        pytest.param(f"{NAMESPACE}metadata: {{name: a, labels: {{v: 1}}}}", "warning HM011", id="a number"),
        pytest.param(
            "services: [{name: a, namespace: b, hostname: c, vips: [], ports: {}, subjectAltNames: [x]}]",
            "warning HM012",
            id="LocalConfig",
        ),
    ],
)
def test_codes_of_reading(text: str, code: str) -> None:
    [found] = findings(text)
    assert code in found


def test_every_sort_of_fault_has_a_code() -> None:
    assert set(_FAULTS) == set(FaultKind) - {FaultKind.UNSUPPORTED}
