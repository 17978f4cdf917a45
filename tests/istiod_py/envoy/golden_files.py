"""Golden files: what Envoys of one mesh are told, kept as YAML that people read and compare with Istio's own.

    python -m tests.istiod_py.envoy.golden_files

writes them anew; what has changed is then in the diff.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from istiod_py.ambient.build import build
from istiod_py.command_envoy import FORMS, as_yaml
from istiod_py.envoy.mesh import EnvoyMesh
from istiod_py.envoy.node import EnvoyNode, ProxyType
from istiod_py.envoy.resources import resources_of
from mesh_py.manifests.objects import Manifests
from mesh_py.manifests.reader import read_manifests
from mesh_py.model.address import parse_ip

if TYPE_CHECKING:
    from istiod_py.envoy.resources import EnvoyResources

FOLDER = Path(__file__).parent / "golden"
MESH = FOLDER / "mesh.yaml"

NODES = {
    "sidecar": EnvoyNode(
        ProxyType.SIDECAR, parse_ip("10.1.0.1"), "sleep", "default", labels={"app": "sleep"}, listens_on_hbone=True
    ),
    "waypoint": EnvoyNode(ProxyType.WAYPOINT, parse_ip("10.1.0.9"), "waypoint", "default"),
    "router": EnvoyNode(ProxyType.ROUTER, parse_ip("10.1.0.8"), "ingress", "default"),
}
CASES = [("sidecar", "today"), ("waypoint", "today"), ("router", "today"), ("sidecar", "1.18"), ("waypoint", "1.18")]


def golden_mesh() -> EnvoyMesh:
    """The mesh of `mesh.yaml`."""
    manifests = Manifests.of(read_manifests(MESH.read_text(), MESH.name).objects)
    return EnvoyMesh(build(manifests), manifests)


def golden_resources(node: str, form: str) -> EnvoyResources:
    """What one of the proxies is told in one of the forms."""
    return resources_of(golden_mesh(), NODES[node], FORMS[form])


def golden_text(node: str, form: str) -> str:
    """The same as the golden file has it."""
    return as_yaml(golden_resources(node, form))


def golden_file(node: str, form: str) -> Path:
    """Where it lies."""
    return FOLDER / f"{node}-{form}.yaml"


if __name__ == "__main__":
    for case in CASES:
        golden_file(*case).write_text(golden_text(*case))
