"""Packed once, given out often."""

from __future__ import annotations

import pytest

from istiod_py.envoy.packing import Packing
from istiod_py.envoy.protobuf import InvalidResourceError, pack
from mesh_py.xds import types


def test_equal_resources_are_one() -> None:
    packing = Packing()
    first = packing.resource(types.CLUSTER, "a", {"name": "a"})
    assert packing.resource(types.CLUSTER, "a", {"name": "a"}) is first
    assert packing.resource(types.CLUSTER, "a", {"name": "a", "type": "EDS"}) is not first
    assert (first.name, first.body) == pack(types.CLUSTER, "a", {"name": "a"})


def test_types_are_told_apart() -> None:
    packing = Packing()
    cluster, listener = (packing.resource(kind, "a", {"name": "a"}) for kind in (types.CLUSTER, types.LISTENER))
    assert cluster is not listener


def test_the_longest_unused_goes_first() -> None:
    packing = Packing(most=2)
    a, b = (packing.resource(types.CLUSTER, name, {"name": name}) for name in "ab")
    assert packing.resource(types.CLUSTER, "a", {"name": "a"}) is a
    packing.resource(types.CLUSTER, "c", {"name": "c"})
    assert len(packing) == 2
    assert packing.resource(types.CLUSTER, "a", {"name": "a"}) is a
    assert packing.resource(types.CLUSTER, "b", {"name": "b"}) is not b


def test_what_is_wrong_is_not_kept() -> None:
    packing = Packing()
    for _ in range(2):
        with pytest.raises(InvalidResourceError):
            packing.resource(types.CLUSTER, "a", {"nam": "a"})
    assert len(packing) == 0
