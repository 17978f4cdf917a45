"""What manifests of all kinds have in common: metadata, names, durations, selectors."""

from __future__ import annotations

import pytest

from mesh_py.discovery.problems import ConfigError
from mesh_py.discovery.yaml_reader import compose
from mesh_py.manifests.core import Pod
from mesh_py.manifests.decoders import ManifestReader, dns_label, dns_name, host_or_wildcard, near, seconds
from mesh_py.manifests.metadata import Metadata, Owner
from tests.support.manifests import faults, read


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0.0),
        ("0s", 0.0),
        ("5s", 5.0),
        ("250ms", 0.25),
        ("1h30m", 5400.0),
        ("1.5s", 1.5),
        (".5s", 0.5),
        ("2m0.5s", 120.5),
        ("10us", 1e-5),
        ("10µs", 1e-5),
        ("7ns", 7e-9),
    ],
)
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "5", "-5s", "5 s", "s", "5d", "1h-30m", "٣s", "1..5s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "is_label", "is_name", "is_host"),
    [
        ("web", True, True, True),
        ("web-1", True, True, True),
        ("1", True, True, True),
        ("web.shop", False, True, True),
        ("Web.Shop.", False, False, True),
        ("*.shop", False, False, True),
        ("*", False, False, False),
        ("a.*.b", False, False, False),
        ("-web", False, False, False),
        ("web_1", False, False, False),
        ("", False, False, False),
        ("a..b", False, False, False),
        ("a" * 64, False, True, True),
        ("a." * 128, False, False, False),
        ("é", False, False, False),
    ],
)
def test_names(text: str, is_label: bool, is_name: bool, is_host: bool) -> None:
    for parse, expected in ((dns_label, is_label), (dns_name, is_name), (host_or_wildcard, is_host)):
        if expected:
            assert parse(text) == text
        else:
            with pytest.raises(ValueError, match="is no name"):
                parse(text)


def test_metadata_as_a_cluster_prints_it() -> None:
    text = """
    apiVersion: v1
    kind: Pod
    metadata:
      name: web-1
      labels: {app: web, empty: ""}
      annotations: {a: "1", b: "true"}
      creationTimestamp: "2024-05-01T10:00:00Z"
      deletionTimestamp: "2024-05-02T10:00:00Z"
      deletionGracePeriodSeconds: 30
      finalizers: [x]
      generation: 3
      ownerReferences:
      - {apiVersion: v1, kind: Node, name: n1, uid: u}
      - {apiVersion: apps/v1, kind: ReplicaSet, name: web, uid: u, controller: true}
    spec: {containers: []}
    """
    assert read(Pod, text).metadata == Metadata(
        "web-1",
        "default",
        {"app": "web", "empty": ""},
        {"a": "1", "b": "true"},
        "2024-05-01T10:00:00Z",
        is_deleted=True,
        owner=Owner("ReplicaSet", "web"),
    )


def test_what_is_wrong_with_metadata() -> None:
    text = """\
    apiVersion: v1
    kind: Pod
    metadata:
      namespace: a.b
      lables: {app: web}
      labels: {app: [x]}
      creationTimestamp: yesterday
      name: web
      name: web
    spec: {containers: []}
    """
    assert faults(text) == [
        "4:14: 'a.b' is not a name (lower-case letters, digits and '-', at most 63)",
        "5:3: unknown key 'lables' in metadata; did you mean 'labels'?",
        "6:17: expected a single value, found a list",
        "7:22: 'yesterday' is no time in UTC; write it like 2024-05-01T12:00:00Z, or leave it out",
        "9:3: key 'name' appears twice in metadata; remove one",
    ]


def test_labels_twice_are_a_fault() -> None:
    text = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  labels:\n    a: x\n    a: y\n"
    assert faults(text) == ["7:5: key 'a' appears twice; remove one"]


def test_advice_is_for_slips_only() -> None:
    assert near("Servcie", ["Service", "Pod"]) == "did you mean 'Service'?"
    assert near("Secret", ["Service", "Pod"]) == ""


def test_a_value_error_of_a_class_is_a_fault_of_its_mapping() -> None:
    reader = ManifestReader("f")
    reader.attempt(reader.label_selector, compose("{matchExpressions: [{key: a, operator: In}]}", "f"))
    with pytest.raises(ConfigError, match="f:1:21: operator In takes values"):
        reader.finish()
