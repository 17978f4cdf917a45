"""Files in their last good version, and the mesh they make together."""

from __future__ import annotations

from istiod_py.last_good import LastGood, changed
from mesh_py.discovery.problems import Problem

ONE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: one}\n"
TWO = ONE.replace("one", "two")


def names(files: LastGood) -> list[str]:
    return [one.metadata.name for one in files.manifests()[0].namespaces]


def test_a_broken_version_leaves_the_last_good_one() -> None:
    files = LastGood()
    assert files.take("a.yaml", ONE) == ()
    faults = files.take("a.yaml", "kind: Pod")
    assert [str(fault) for fault in faults] == ["a.yaml:1:1: a manifest has no 'apiVersion'; add it"]
    assert [file.is_stale for file in files.files.values()] == [True]
    assert names(files) == ["one"]
    files.take("a.yaml", TWO)
    assert [file.is_stale for file in files.files.values()] == [False]
    assert (names(files), files.faults) == (["two"], ())


def test_a_new_file_that_is_broken_adds_nothing() -> None:
    files = LastGood()
    files.take("a.yaml", ONE)
    files.take("b.yaml", f"{TWO}---\nkind: Pod")
    assert names(files) == ["one"]
    assert [fault.file for fault in files.faults] == ["b.yaml"]


def test_a_file_that_cannot_be_read_leaves_the_last_good_version() -> None:
    files = LastGood()
    files.take("a.yaml", ONE)
    assert files.take("a.yaml", Problem("a.yaml", 0, 0, "permission denied")) == files.faults
    assert names(files) == ["one"]


def test_a_file_that_is_gone_takes_its_objects_along() -> None:
    files = LastGood()
    files.take("a.yaml", ONE)
    files.take("b.yaml", TWO)
    files.forget("a.yaml")
    assert names(files) == ["two"]


def test_the_first_of_two_objects_of_one_name_is_served() -> None:
    files = LastGood()
    files.take("b.yaml", ONE)
    files.take("a.yaml", f"{TWO}---\n{ONE}")
    manifests, conflicts = files.manifests()
    assert [one.metadata.place.file for one in manifests.namespaces] == ["a.yaml", "a.yaml"]
    assert [str(conflict) for conflict in conflicts] == [
        "b.yaml:1:1: Namespace one is there already, at a.yaml:5:1; this one is left out; rename or remove one"
    ]


def test_local_configs_stand_beside_the_objects() -> None:
    files = LastGood(trust_domain="td")
    files.take("a.yaml", "workloads: [{uid: a, namespace: n, workloadIps: [], services: {}, serviceAccount: s}]")
    [config] = files.manifests()[0].local_configs
    assert [str(one.identity) for one in config.workloads] == ["spiffe://td/ns/n/sa/s"]


def test_what_changed() -> None:
    assert changed({"a": 1, "b": 2, "c": 3}, {"b": 2, "c": 4, "d": 5}) == {"a", "c", "d"}
