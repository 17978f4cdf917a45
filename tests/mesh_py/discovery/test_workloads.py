"""The workload index (conflicts are seen through MeshState)."""

from __future__ import annotations

from mesh_py.discovery.workloads import WorkloadIndex
from mesh_py.model.address import NamespacedHostname
from tests.support.world import ip, workload


def test_a_removed_workload_is_found_by_nothing() -> None:
    index = WorkloadIndex()
    there = workload("w", "10.0.0.1", "fd00::1", hostname="w.example")
    index.insert(there)
    name = NamespacedHostname("default", "w.example")
    assert [index.at("", ip("10.0.0.1")), index.at("", ip("fd00::1")), index.named(name)] == [there] * 3
    assert index.called("w", "default", "w") == (there,)
    assert index.remove(there.uid) is there
    assert index.remove(there.uid) is None
    assert [index.at("", ip("10.0.0.1")), index.at("", ip("fd00::1")), index.named(name)] == [None] * 3
    assert index.called("w", "default", "w") == ()
    assert len(index) == 0


def test_all_workloads_of_an_address_best_first() -> None:
    index = WorkloadIndex()
    entry = workload("entry", "10.0.0.1", uid="entry")
    pod = workload("pod", "10.0.0.1")
    index.insert(pod)
    index.insert(entry)
    assert index.all_at("", ip("10.0.0.1")) == (pod, entry)
    assert index.all_at("", ip("10.0.0.2")) == ()
    assert list(index) == [pod, entry]
