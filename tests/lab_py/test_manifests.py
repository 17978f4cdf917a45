"""A topology as manifests: the control plane makes of them what LocalConfig says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from istiod_py.ambient.build import build
from lab_py.builtin import SCENARIOS, load
from lab_py.manifests import LABELS, manifests_text, read_kind
from lab_py.mesh_file import mesh_text
from lab_py.topology import Kind
from mesh_py.discovery.local_file import read_local_config
from mesh_py.manifests.objects import Manifests
from mesh_py.manifests.reader import read_manifests

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesh_py.model.workload import Workload


def facts(workloads: Iterable[Workload]) -> dict[str, tuple[object, ...]]:
    """What proxies go by."""
    return {
        one.uid: (
            one.protocol,
            one.mutual_tls,
            one.native_tunnel,
            one.node,
            one.workload_ips,
            one.waypoint,
            one.identity,
        )
        for one in workloads
        if one.workload_ips
    }


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_both_forms_say_the_same_of_every_pod(scenario: str) -> None:
    topology = load(scenario)
    read = read_manifests(manifests_text(topology), "mesh.yaml")
    mesh = build(Manifests.of(read.objects))
    config = read_local_config(mesh_text(topology), "mesh.yaml")
    assert facts(mesh.workloads.values()) == facts(config.workloads)
    for service in config.services:
        assert mesh.services[str(service.key)].vips == service.vips
    for one in config.workloads:
        assert mesh.workloads[one.uid].services.keys() >= one.services.keys()


@pytest.mark.parametrize("kind", Kind)
def test_labels_say_the_kind(kind: Kind) -> None:
    assert read_kind({"app": "web", **LABELS[kind]}) is kind
