"""The example folders, read by whoever tries them with a real Envoy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import istiod_py
from istiod_py.ambient.build import build
from istiod_py.ambient.participation import DataPlane
from istiod_py.envoy.mesh import EnvoyMesh
from istiod_py.envoy.node import GATEWAY_LABEL
from istiod_py.envoy.pod_node import node_of_pod
from istiod_py.envoy.resources import resources_of
from istiod_py.registry import Registry, RegistrySettings
from tests.support.certificates import TestRoot
from tests.support.envoy_static import static_bootstrap, validate

if TYPE_CHECKING:
    from mesh_py.manifests.core import Pod
    from mesh_py.manifests.objects import Manifests

EXAMPLES = Path(istiod_py.__file__).parent / "examples"


def with_an_envoy(mesh: EnvoyMesh, pod: Pod) -> bool:
    """Whether a pod has a proxy of its own."""
    plane = mesh.told.data_planes.get(f"Kubernetes//Pod/{pod.metadata.key}")
    return plane is DataPlane.SIDECAR or GATEWAY_LABEL in pod.metadata.labels


def mesh_of(folder: Path) -> tuple[EnvoyMesh, Manifests]:
    manifests = Registry.load(RegistrySettings(folder)).manifests
    return EnvoyMesh(build(manifests), manifests), manifests


CASES = [
    pytest.param(folder, pod, id=f"{folder.name}-{pod.metadata.name}")
    for folder in sorted(EXAMPLES.iterdir())
    if folder.is_dir()
    for mesh, manifests in (mesh_of(folder),)
    for pod in manifests.pods
    if with_an_envoy(mesh, pod)
]


def test_there_are_some() -> None:
    assert {case.values[0].name for case in CASES} >= {"sidecar", "waypoint"}  # type: ignore[union-attr]


@pytest.mark.interop
@pytest.mark.parametrize(("folder", "pod"), CASES)
def test_the_real_envoy_takes_what_it_would_be_told(folder: Path, pod: Pod, tmp_path: Path) -> None:
    mesh, manifests = mesh_of(folder)
    files = TestRoot(tmp_path / "root").issue("proxy", "default/proxy")
    told = resources_of(mesh, node_of_pod(pod, manifests))
    assert validate(static_bootstrap(told, files, pod.ips[0]), tmp_path) == ""
