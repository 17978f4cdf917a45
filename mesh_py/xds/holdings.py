"""What we hold of one type of resource: names, versions and sizes, within bounds [no I/O].

A control plane that is broken, or not ours at all, may name resources without end. What would lead beyond the bounds
is refused by name; what is held already stays held, and can still be changed and removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesh_py.xds.delta import Resource

LONGEST_NAME = 2048
"""Characters of a name or a version; Kubernetes' names make some 800 of them at most."""


class HoldingLimits(NamedTuple):
    """How much one type may make us hold."""

    resources: int = 1_000_000
    """As many as our control plane takes back from a proxy that comes again."""
    size: int = 200 << 20
    """Bytes as they came, and characters of names and versions. The real control plane sends all of a type in one
    message, and the real ztunnel takes none above this (hbone-controlplane 2.1): a mesh that is larger is none."""


class Holdings:
    """Versions by name, and how much of the bounds they use up."""

    def __init__(self, limits: HoldingLimits) -> None:
        self.versions: dict[str, str] = {}
        self.sizes: dict[str, int] = {}
        self.size = 0
        self.limits = limits

    def put(self, resource: Resource) -> None:
        """It has been applied."""
        size = _size_of(resource)
        self.size += size - self.sizes.get(resource.name, 0)
        self.sizes[resource.name] = size
        self.versions[resource.name] = resource.version

    def drop(self, name: str) -> None:
        """It is gone, if it was ever there."""
        self.size -= self.sizes.pop(name, 0)
        self.versions.pop(name, None)


class Admission:
    """Looks at the resources of one response, one by one, before anything is done with them.

    Args:
        held: what there is already.
        removed: names that leave with the same response, and so make room.
    """

    def __init__(self, held: Holdings, removed: Iterable[str]) -> None:
        self._held, self._limits = held, held.limits
        self._leaving = {name for name in removed if name in held.sizes}
        self._admitted: dict[str, int] = {}
        self._room = held.limits.resources - len(held.sizes) + len(self._leaving)
        self._space = held.limits.size - held.size + sum(held.sizes[name] for name in self._leaving)

    def reason_against(self, resource: Resource) -> str | None:
        """Why there is no room for it; None if there is, and then it takes it."""
        longest = max(len(resource.name), len(resource.version))
        if longest > LONGEST_NAME:
            return f"a name or version of {longest} characters: at most {LONGEST_NAME} are taken"
        size, before = _size_of(resource), self._size_before(resource.name)
        if before is None and not self._room:
            return f"there are {self._limits.resources:,} resources of this type, and no more are held: {_ADVICE}"
        growth = size - (before or 0)
        if growth > max(self._space, 0):
            return f"with it, this type had more than the {self._limits.size:,} bytes that are held: {_ADVICE}"
        self._room -= before is None
        self._space -= growth
        self._admitted[resource.name] = size
        return None

    def _size_before(self, name: str) -> int | None:
        if name in self._admitted:
            return self._admitted[name]
        return None if name in self._leaving else self._held.sizes.get(name)


_ADVICE = "remove some, or see whether XDS_ADDRESS leads to the right control plane"


def _size_of(resource: Resource) -> int:
    return len(resource.name) + len(resource.version) + len(resource.data)
