"""Pods of deployments, and the nodes that pods run on: stable while other things change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mesh_py.manifests.core import Deployment, Pod, PodSpec, PodTemplate
from mesh_py.manifests.metadata import Metadata, Owner
from mesh_py.manifests.objects import Manifests
from mesh_py.manifests.replicas import derived_pods, on_nodes, pods_of
from mesh_py.model.address import parse_ip

WEB = Deployment(
    Metadata("web", "shop", {"on": "deployment"}),
    template=PodTemplate({"app": "web"}, {"a": "b"}, PodSpec("web")),
    replicas=3,
)


def names(deployment: Deployment) -> list[str]:
    return [pod.metadata.name for pod in pods_of(deployment)]


def test_a_pod_is_made_from_the_template() -> None:
    pod = next(pods_of(WEB))
    assert (pod.metadata.namespace, pod.metadata.labels, pod.metadata.annotations) == (
        "shop",
        {"app": "web"},
        {"a": "b"},
    )
    assert pod.spec == PodSpec("web")
    assert pod.workload == Owner("Deployment", "web")
    assert (pod.ready, pod.phase, pod.ips) == (True, "Running", ())


def test_names_are_those_of_yesterday() -> None:
    """Written down, so that a change of the hash is noticed: it would rename every pod of every mesh."""
    assert names(WEB) == ["web-vkt86hb2d-cs7bc", "web-vkt86hb2d-45znn", "web-vkt86hb2d-nrc5d"]


def test_more_replicas_leave_the_others_alone() -> None:
    assert names(replace(WEB, replicas=5))[:3] == names(WEB)
    assert names(replace(WEB, replicas=1)) == names(WEB)[:1]
    assert names(replace(WEB, replicas=0)) == []


def test_thousands_of_names_are_all_different() -> None:
    many = replace(WEB, replicas=5_000)
    assert len(set(names(many))) == many.replicas
    assert names(replace(many, replicas=4_000)) == names(many)[:4_000]


def test_written_addresses_go_to_the_first_pods() -> None:
    given = replace(WEB, pod_ips=(parse_ip("10.0.0.1"), parse_ip("10.0.0.2")))
    assert [pod.ips for pod in pods_of(given)] == [("10.0.0.1",), ("10.0.0.2",), ()]


def test_names_differ_by_deployment_and_namespace_and_are_short_enough() -> None:
    other = replace(WEB, metadata=Metadata("web", "other"))
    long = replace(WEB, metadata=Metadata("w" * 200, "shop"))
    assert not set(names(WEB)) & set(names(other))
    assert all(len(name) <= 63 for name in names(long))


@pytest.mark.parametrize(
    ("owner", "namespace", "expected"),
    [
        pytest.param(Owner("Deployment", "web"), "shop", 0, id="its pods are written"),
        pytest.param(Owner("Deployment", "web"), "other", 3, id="those of another namespace are not"),
        pytest.param(Owner("Deployment", "cart"), "shop", 3, id="those of another deployment are not"),
    ],
)
def test_a_deployment_whose_pods_are_written_gets_no_others(owner: Owner, namespace: str, expected: int) -> None:
    written = Pod(Metadata("x", namespace, owner=owner))
    assert len(list(derived_pods(Manifests(pods=(written,), deployments=(WEB,))))) == expected


PODS = [Pod(Metadata(f"p{number}", "shop")) for number in range(200)]


def nodes_of(*nodes: str) -> dict[str, str]:
    return {pod.metadata.name: pod.spec.node_name for pod in on_nodes(PODS, nodes)}


def test_pods_are_spread_over_the_nodes_and_a_new_node_takes_its_share_alone() -> None:
    two, three = nodes_of("n1", "n2"), nodes_of("n1", "n2", "n3")
    moved = {name for name in two if two[name] != three[name]}
    assert set(two.values()) == {"n1", "n2"}
    assert {three[name] for name in moved} == {"n3"}
    assert 0 < len(moved) < len(PODS) / 2


def test_a_pod_keeps_the_node_it_names_and_has_none_where_there_is_none() -> None:
    named = Pod(Metadata("a", "shop"), PodSpec(node_name="mine"))
    assert list(on_nodes([named], ["n1"])) == [named]
    assert list(on_nodes(PODS, [])) == PODS
