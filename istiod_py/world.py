"""One state of the mesh as it is served: what was converted, encoded, and indexed for the questions we get [pure].

A new state keeps every resource whose object stayed the same (`Mesh.sharing` finds those), so that an edit of one
manifest encodes one resource.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from istiod_py.ambient.mesh import Mesh
from istiod_py.snapshot import NOTHING, Collection, Resource
from mesh_py.manifests.objects import Manifests
from mesh_py.model.workload import NetworkMode
from mesh_py.xds.encode import encode_authorization, encode_service, encode_workload, wire, workload_message
from mesh_py.xds.types import ADDRESS, AUTHORIZATION, WORKLOAD
from mesh_py.xds.wire_values import DEFAULT_CLUSTER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mesh_py.model.authorization import Policy
    from mesh_py.model.workload import Service, Workload

Value = TypeVar("Value")


@dataclass(frozen=True)
class World:
    """Never changes."""

    mesh: Mesh = field(default_factory=Mesh)
    manifests: Manifests = field(default_factory=Manifests)
    addresses: Collection = NOTHING
    authorizations: Collection = NOTHING
    number: int = 0
    """Grows with every state."""

    def after(self, manifests: Manifests, mesh: Mesh) -> World:
        """The state that follows this one."""
        mesh = mesh.sharing(self.mesh)
        workloads = _encoded(mesh.workloads, self.mesh.workloads, self.addresses, workload_resource)
        services = _encoded(mesh.services, self.mesh.services, self.addresses, service_resource)
        policies = _encoded(mesh.policies, self.mesh.policies, self.authorizations, policy_resource)
        addresses = _unless_equal(self.addresses, [*services, *workloads])
        return World(mesh, manifests, addresses, _unless_equal(self.authorizations, policies), self.number + 1)

    def shared(self, type_url: str) -> Collection | None:
        """A type that every client sees alike; None for the others."""
        match type_url:
            case t if t == ADDRESS:
                return self.addresses
            case t if t == AUTHORIZATION:
                return self.authorizations
            case t if t == WORKLOAD:
                return self.bare_workloads
        return None

    @cached_property
    def bare_workloads(self) -> Collection:
        """Workloads without their envelope, for Envoy's metadata discovery."""
        found = self.mesh.workloads.values()
        return Collection(Resource(one.uid, wire(workload_message(one)), _addresses(one)) for one in found)

    def runs_on(self, cluster: str, node: str, namespace: str, service_account: str) -> bool:
        """Whether a workload of this account runs on this node; nodes of two clusters may have one name."""
        return (cluster, node, namespace, service_account or "default") in self._placements

    @cached_property
    def _placements(self) -> frozenset[tuple[str, str, str, str]]:
        return frozenset(
            (one.cluster_id or DEFAULT_CLUSTER, one.node, one.namespace, one.service_account or "default")
            for one in self.mesh.workloads.values()
            if one.node
        )


def workload_resource(workload: Workload) -> Resource:
    """A workload as an Address, found by its addresses, too."""
    services = tuple(map(str, workload.services))
    return Resource(workload.uid, wire(encode_workload(workload)), _addresses(workload), workload.node, services)


def service_resource(service: Service) -> Resource:
    """A service as an Address, found by its addresses, too: `network/ip`, `network/ip/length` (1.2)."""
    aliases = (*map(str, service.vips), *map(str, service.cidr_vips))
    return Resource(str(service.key), wire(encode_service(service)), aliases)


def policy_resource(policy: Policy) -> Resource:
    """A policy."""
    return Resource(policy.key, wire(encode_authorization(policy)))


def _addresses(workload: Workload) -> tuple[str, ...]:
    """Nobody is found by an address that it shares with its host (1.2)."""
    if workload.network_mode is NetworkMode.HOST_NETWORK:
        return ()
    return tuple(f"{workload.network}/{ip}" for ip in workload.workload_ips)


def _encoded(
    new: Mapping[str, Value], old: Mapping[str, Value], before: Collection, encode: Callable[[Value], Resource]
) -> Iterable[Resource]:
    """The resources of `new`; of what stayed the very same object, the very same resource."""
    for key, value in new.items():
        known = before.resources.get(key) if old.get(key) is value else None
        yield known if known is not None else encode(value)


def _unless_equal(old: Collection, resources: Iterable[Resource]) -> Collection:
    """A new collection, or the old one if there is no difference: then no stream has anything to look at."""
    new = Collection(resources)
    return new if new.changes_since(old) else old
