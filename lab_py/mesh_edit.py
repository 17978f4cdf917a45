"""A lab's mesh while it is up: a pod is looked up where the proxies or the control plane read, and made ambient there.

Whichever of the two files there is follows every change by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import yaml

from lab_py.errors import Unusable
from lab_py.manifests import LABELS, read_kind
from lab_py.topology import Kind

if TYPE_CHECKING:
    from pathlib import Path

    from lab_py.world import WorldFiles


@dataclass(frozen=True, slots=True)
class KnownPod:
    """A pod as the mesh has it."""

    name: str
    node: str
    ip: str
    kind: Kind


class MeshEdit(Protocol):
    """The mesh, in either form."""

    def pod(self, name: str) -> KnownPod:
        """The pod of that name. Raises Unusable: there is none."""

    def make(self, name: str, kind: Kind) -> None:
        """Write that a pod is plain or ambient from now on, in one step. Raises OSError."""


def mesh_edit(files: WorldFiles) -> MeshEdit:
    """The mesh of a lab, as it is now. Raises OSError."""
    return _Manifests(files.manifests) if files.manifests.exists() else _LocalConfig(files.mesh)


class _LocalConfig:
    """What proxies read."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._mesh: Any = yaml.safe_load(file.read_text(encoding="utf-8"))

    def pod(self, name: str) -> KnownPod:
        """See `MeshEdit`."""
        one = self._workload(name)
        return KnownPod(name, one["node"], one["workloadIps"][0], _kind_of_workload(one))

    def make(self, name: str, kind: Kind) -> None:
        """See `MeshEdit`."""
        self._workload(name)["protocol"] = "HBONE" if kind is Kind.AMBIENT else "TCP"
        _write(self._file, yaml.safe_dump(self._mesh, sort_keys=False))

    def _workload(self, name: str) -> dict[str, Any]:
        return _named(name, {one["name"]: one for one in self._mesh["workloads"]})


class _Manifests:
    """What the control plane reads."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._documents: list[Any] = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))

    def pod(self, name: str) -> KnownPod:
        """See `MeshEdit`."""
        one = self._pod(name)
        return KnownPod(name, one["spec"]["nodeName"], one["status"]["podIP"], read_kind(one["metadata"]["labels"]))

    def make(self, name: str, kind: Kind) -> None:
        """See `MeshEdit`."""
        metadata = self._pod(name)["metadata"]
        before = LABELS[read_kind(metadata["labels"])]
        kept = {label: value for label, value in metadata["labels"].items() if label not in before}
        metadata["labels"] = kept | LABELS[kind]
        _write(self._file, yaml.safe_dump_all(self._documents, sort_keys=False))

    def _pod(self, name: str) -> dict[str, Any]:
        return _named(name, {one["metadata"]["name"]: one for one in self._documents if one["kind"] == "Pod"})


def _named(name: str, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    if name not in known:
        raise Unusable(f"there is no pod {name!r}: there are {', '.join(known)}")
    return known[name]


def _kind_of_workload(one: dict[str, Any]) -> Kind:
    if one["protocol"] != "HBONE":
        return Kind.SIDECAR if one.get("mutualTls") else Kind.PLAIN
    if not one.get("nativeTunnel"):
        return Kind.AMBIENT
    return Kind.SIDECAR if one.get("mutualTls") else Kind.WAYPOINT


def _write(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(file)
