"""Label selectors: labels and expressions, all of which must hold."""

from __future__ import annotations

import pytest

from mesh_py.manifests.selector import LabelSelector, Operator, Requirement

LABELS = {"app": "web", "version": "v1"}


@pytest.mark.parametrize(
    ("requirement", "expected"),
    [
        pytest.param(Requirement("app", Operator.IN, ("web", "cart")), True, id="in"),
        pytest.param(Requirement("app", Operator.IN, ("cart",)), False, id="not in the list"),
        pytest.param(Requirement("tier", Operator.IN, ("web",)), False, id="in, without the label"),
        pytest.param(Requirement("app", Operator.NOT_IN, ("cart",)), True, id="not in"),
        pytest.param(Requirement("app", Operator.NOT_IN, ("web",)), False, id="not in, though it is"),
        pytest.param(Requirement("tier", Operator.NOT_IN, ("web",)), True, id="not in, without the label"),
        pytest.param(Requirement("app", Operator.EXISTS), True, id="exists"),
        pytest.param(Requirement("tier", Operator.EXISTS), False, id="exists, though it does not"),
        pytest.param(Requirement("tier", Operator.DOES_NOT_EXIST), True, id="does not exist"),
        pytest.param(Requirement("app", Operator.DOES_NOT_EXIST), False, id="does not exist, though it does"),
    ],
)
def test_requirements(requirement: Requirement, expected: bool) -> None:
    assert requirement.matches(LABELS) is expected
    assert LabelSelector({"app": "web"}, (requirement,)).matches(LABELS) is expected


def test_labels_must_hold_too() -> None:
    assert LabelSelector().matches(LABELS)
    assert LabelSelector({"app": "web", "version": "v1"}).matches(LABELS)
    assert not LabelSelector({"app": "web", "version": "v2"}).matches(LABELS)
