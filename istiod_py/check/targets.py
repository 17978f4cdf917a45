"""What policies are attached to by targetRefs (hbone-controlplane 9.6) [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.check import codes
from istiod_py.check.nearest import nearest
from mesh_py.manifests.core import Service
from mesh_py.manifests.gateway import WAYPOINT_CLASS, Gateway
from mesh_py.manifests.networking import ServiceEntry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from istiod_py.check.checked_mesh import CheckedMesh
    from istiod_py.check.codes import Finding
    from mesh_py.manifests.references import TargetReference
    from mesh_py.manifests.security import AuthorizationPolicy, RequestAuthentication

    Policy = AuthorizationPolicy | RequestAuthentication

_CLASSES: dict[str, type[Service] | type[ServiceEntry] | type[Gateway]] = {
    "Service": Service,
    "ServiceEntry": ServiceEntry,
    "Gateway": Gateway,
}


def check_targets(policy: Policy, mesh: CheckedMesh) -> Iterator[Finding]:
    """Whether each target is there, where it may be, and has somebody who enforces the policy."""
    for target in policy.target_refs:
        if target.kind == "GatewayClass":
            yield from _class(policy, target, mesh)
        elif target.namespace not in ("", policy.metadata.namespace):
            what = f"{_subject(policy)} is attached to {target.kind} {target.namespace}/{target.name}"
            yield codes.TARGET_NAMESPACE.at(target.place, what, f"move the policy to namespace {target.namespace}")
        else:
            yield from _object(policy, target, mesh)


def _class(policy: Policy, target: TargetReference, mesh: CheckedMesh) -> Iterator[Finding]:
    if policy.metadata.namespace != mesh.root_namespace:
        what = f"{_subject(policy)} is attached to GatewayClass {target.name} from outside the root namespace"
        yield codes.TARGET_NAMESPACE.at(target.place, what, f"move the policy to namespace {mesh.root_namespace}")
    elif target.name != WAYPOINT_CLASS:
        what = f"{_subject(policy)} is attached to GatewayClass {target.name}, which has no waypoints"
        yield codes.NO_TARGET.at(target.place, what, f"write {WAYPOINT_CLASS}")


def _object(policy: Policy, target: TargetReference, mesh: CheckedMesh) -> Iterator[Finding]:
    namespace, kind = policy.metadata.namespace, _CLASSES[target.kind]
    found = mesh.manifests.find(kind, namespace, target.name)
    if found is None:
        what = f"{_subject(policy)} is attached to {target.kind} {target.name}, which is not in its namespace"
        yield codes.NO_TARGET.at(
            target.place, what, _elsewhere(target, mesh) or nearest(target.name, mesh.names(target.kind, namespace))
        )
    elif isinstance(found, Service | ServiceEntry) and mesh.waypoint_of(found) is None:
        what = f"{_subject(policy)} is attached to {target.kind} {target.name}, which has no waypoint to enforce it"
        yield codes.TARGET_WITHOUT_WAYPOINT.at(target.place, what, "label it with istio.io/use-waypoint")


def _elsewhere(target: TargetReference, mesh: CheckedMesh) -> str:
    """Advice if something of that kind and name is in another namespace."""
    for one in mesh.manifests.all():
        if one.kind == target.kind and one.metadata.name == target.name:
            return f"there is one in namespace {one.metadata.namespace}: move the policy there"
    return ""


def _subject(policy: Policy) -> str:
    return f"{policy.kind} {policy.metadata.key}"
