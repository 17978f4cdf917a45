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


def test_the_order_at_an_address_is_by_kind_and_then_the_last_first() -> None:
    index = WorkloadIndex()
    kinds = {"pod": "c//Pod/n/", "entry": "c/WorkloadEntry/n/"}
    coming = ["entry-1", "pod-1", "entry-2", "pod-2", "pod-3", "entry-3"]
    for name in coming:
        index.insert(workload(name, "10.0.0.1", uid=kinds[name[:-2]] + name))
    found = [one.name for one in index.all_at("", ip("10.0.0.1"))]
    assert found == ["pod-3", "pod-2", "pod-1", "entry-3", "entry-2", "entry-1"]
    index.remove("c//Pod/n/pod-2")
    assert [one.name for one in index.all_at("", ip("10.0.0.1"))] == ["pod-3", "pod-1", "entry-3", "entry-2", "entry-1"]


def test_all_workloads_of_an_address_best_first() -> None:
    index = WorkloadIndex()
    entry = workload("entry", "10.0.0.1", uid="entry")
    pod = workload("pod", "10.0.0.1")
    index.insert(pod)
    index.insert(entry)
    assert index.all_at("", ip("10.0.0.1")) == (pod, entry)
    assert index.all_at("", ip("10.0.0.2")) == ()
    assert list(index) == [pod, entry]
