"""What every conversion looks at."""

from __future__ import annotations

import pytest

from istiod_py.ambient.context import Context
from istiod_py.ambient.options import AmbientOptions
from mesh_py.manifests.core import Node
from mesh_py.manifests.mesh_config import MeshConfig
from mesh_py.manifests.metadata import Metadata
from mesh_py.manifests.objects import KubernetesObject, Manifests
from tests.istiod_py.ambient.folder import namespace, service, waypoint

NETWORK = {"topology.istio.io/network": "net"}


def context(*objects: KubernetesObject, **names: str) -> Context:
    return Context(Manifests.of(objects), AmbientOptions(MeshConfig(**names)))


@pytest.mark.parametrize(
    ("names", "root", "expected"),
    [
        pytest.param({}, "istio-system", "net", id="the root namespace's label"),
        pytest.param({"network": "mine"}, "istio-system", "mine", id="the operator's choice"),
        pytest.param({"root_namespace": "root"}, "root", "net", id="a root namespace of another name"),
        pytest.param({}, "other", "", id="another namespace's label"),
    ],
)
def test_the_network_of_the_mesh(names: dict[str, str], root: str, expected: str) -> None:
    assert context(namespace(root, NETWORK), **names).mesh.network == expected


def test_services_are_those_that_are_written_and_those_of_waypoints() -> None:
    assert [one.metadata.name for one in context(service(), waypoint()).services] == ["web", "wp"]


def test_what_nothing_describes_has_no_annotations_and_is_no_node() -> None:
    found = context(namespace(annotations={"a": "b"}), Node(Metadata("n1")))
    assert found.namespace_annotations("shop") == {"a": "b"}
    assert found.namespace_annotations("other") == {}
    assert list(found.nodes) == ["n1"]
