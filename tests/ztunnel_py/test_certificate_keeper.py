"""Whose certificates a proxy wants, by what it knows of the mesh."""

from __future__ import annotations

import pytest

from mesh_py.discovery.state import MeshState
from mesh_py.model.workload import Protocol
from tests.support import world
from ztunnel_py.certificate_keeper import wanted_of_node, wanted_of_one


def names(identities) -> set[str]:
    return {identity.service_account for identity in identities}


@pytest.mark.parametrize(
    ("node", "ahead", "known"),
    [("here", {"a", "native"}, {"a", "plain", "native"}), (None, set(), {"a", "plain", "native", "far"})],
)
def test_a_nodes_proxy(node, ahead, known):
    state = MeshState("", node)
    for workload in (
        world.workload("a", "10.0.0.1", node="here"),
        world.workload("a-too", "10.0.0.2", node="here", service_account="a"),
        world.workload("plain", "10.0.0.3", node="here", protocol=Protocol.TCP),
        world.workload("native", "10.0.0.4", node="here", protocol=Protocol.TCP, native_tunnel=True),
        world.workload("far", "10.0.0.5", node="there"),
    ):
        state.upsert_workload(workload)
    wanted = wanted_of_node(state)
    assert names(wanted.ahead) == ahead
    assert names(wanted.known) == known


def test_a_dedicated_proxy():
    assert wanted_of_one(None) == (frozenset(), frozenset())
    wanted = wanted_of_one(world.workload("a", "10.0.0.1", protocol=Protocol.TCP))
    assert names(wanted.ahead) == names(wanted.known) == {"a"}
