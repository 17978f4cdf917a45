"""The mesh as node proxies are told it: the outcome of a conversion [pure]."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from istiod_py.ambient.notices import Notice
    from istiod_py.ambient.participation import DataPlane
    from istiod_py.ambient.waypoints import Waypoint
    from mesh_py.model.authorization import Policy
    from mesh_py.model.workload import Service, Workload

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Mesh:
    """Workloads, services and policies by the names of their resources (hbone-controlplane 1.5)."""

    workloads: Mapping[str, Workload] = field(default_factory=dict)
    """By uid."""
    services: Mapping[str, Service] = field(default_factory=dict)
    """By `namespace/hostname`."""
    policies: Mapping[str, Policy] = field(default_factory=dict)
    """By `namespace/name`."""
    data_planes: Mapping[str, DataPlane] = field(default_factory=dict)
    """Which proxy each pod has, by uid."""
    waypoints: Mapping[str, Waypoint] = field(default_factory=dict)
    """By `namespace/name` of their Gateways."""
    notices: tuple[Notice, ...] = ()
    """What authors should know, in the order of the files."""

    def sharing(self, old: Mesh) -> Mesh:
        """This mesh, with the very objects of `old` wherever they are equal, so that `is` tells what has changed."""
        return Mesh(
            _shared(self.workloads, old.workloads),
            _shared(self.services, old.services),
            _shared(self.policies, old.policies),
            self.data_planes,
            self.waypoints,
            self.notices,
        )


def _shared(new: Mapping[str, Value], old: Mapping[str, Value]) -> Mapping[str, Value]:
    return {key: _same(value, old.get(key)) for key, value in new.items()}


def _same(value: Value, old: Value | None) -> Value:
    return old if old is not None and old == value else value
