"""How much a control plane can make us hold: tables of resources against small bounds."""

from __future__ import annotations

import pytest

from mesh_py.xds.delta import Resource
from mesh_py.xds.holdings import LONGEST_NAME, Admission, HoldingLimits, Holdings

ROOM, SPACE = "there are 2 resources of this type", "with it, this type had more than the 10 bytes"


def holding(*resources: Resource) -> Holdings:
    held = Holdings(HoldingLimits(resources=2, size=10))
    for resource in resources:
        held.put(resource)
    return held


def of(name: str, size: int = 1) -> Resource:
    """A resource that counts as `size`."""
    return Resource(name, b"x" * (size - len(name)))


@pytest.mark.parametrize(
    ("held", "removed", "coming", "refused"),
    [
        pytest.param("", "", [of("a"), of("b")], {}, id="as many as there is room for"),
        pytest.param("", "", [of("a"), of("b"), of("c")], {"c": ROOM}, id="one too many"),
        pytest.param("ab", "", [of("c"), of("b", 2)], {"c": ROOM}, id="what is held can change"),
        pytest.param("ab", "a", [of("c")], {}, id="what leaves makes room"),
        pytest.param("ab", "z", [of("c")], {"c": ROOM}, id="the removal of what was never there makes none"),
        pytest.param("ab", "a", [of("a"), of("c")], {"c": ROOM}, id="one given and removed takes its place"),
        pytest.param("a", "", [of("b"), of("b"), of("b")], {}, id="the same one again and again"),
        pytest.param("a", "", [of("b", 10)], {"b": SPACE}, id="too large"),
        pytest.param("ab", "", [of("a", 9)], {}, id="grows as far as there is space"),
        pytest.param("ab", "", [of("a", 10)], {"a": SPACE}, id="grows too far"),
        pytest.param("ab", "a", [of("c", 9)], {}, id="what leaves makes space"),
        pytest.param("ab", "a", [of("c", 10)], {"c": SPACE}, id="as much as it took"),
        pytest.param("a", "", [Resource("b", b"", "v" * 9)], {"b": SPACE}, id="a version counts too"),
        pytest.param("", "", [of("a", 9), of("b", 2), of("a", 1), of("b", 9)], {"b": SPACE}, id="counted in order"),
    ],
)
def test_room(held: str, removed: str, coming: list[Resource], refused: dict[str, str]) -> None:
    admission = Admission(holding(*map(of, held)), removed)
    told = {one.name: reason for one in coming if (reason := admission.reason_against(one))}
    assert told.keys() == refused.keys()
    assert all(told[name].startswith(reason) and "XDS_ADDRESS" in told[name] for name, reason in refused.items())


@pytest.mark.parametrize("spoilt", [Resource("n" * (LONGEST_NAME + 1), b""), Resource("n", b"", "v" * 5000)])
def test_names_and_versions_have_a_length(spoilt: Resource) -> None:
    admission = Admission(Holdings(HoldingLimits()), ())
    assert (admission.reason_against(spoilt) or "").startswith("a name or version of")
    assert admission.reason_against(Resource("n" * LONGEST_NAME, b"")) is None


def test_what_goes_is_no_longer_counted() -> None:
    held = holding(of("a", 4), of("b", 3), of("a", 5))
    assert (held.size, held.versions) == (8, {"a": "", "b": ""})
    for name in ("a", "a", "ghost"):
        held.drop(name)
    assert (held.size, held.versions) == (3, {"b": ""})
