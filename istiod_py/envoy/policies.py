"""Which AuthorizationPolicies concern a proxy (hbone-controlplane 9.6) [pure].

A sidecar obeys those that select its pod. A waypoint obeys those that name it, its class, or one of its services.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.manifests.gateway import WAYPOINT_CLASS
from mesh_py.manifests.selector import has_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from istiod_py.envoy.mesh import EnvoyMesh
    from istiod_py.envoy.node import EnvoyNode
    from mesh_py.manifests.references import TargetReference
    from mesh_py.manifests.security import AuthorizationPolicy
    from mesh_py.model.workload import Service


def policies_of_sidecar(mesh: EnvoyMesh, node: EnvoyNode) -> Sequence[AuthorizationPolicy]:
    """Those of its namespace and of the root namespace that select it."""
    labels = mesh.labels_of_proxy(node)
    return _in_order(
        one
        for one in mesh.manifests.authorization_policies
        if not one.target_refs
        and one.metadata.namespace in (node.namespace, mesh.config.root_namespace)
        and (not one.selector or has_labels(labels, one.selector))
    )


def policies_of_waypoint(mesh: EnvoyMesh, node: EnvoyNode, service: Service | None) -> Sequence[AuthorizationPolicy]:
    """Those for all that goes through a waypoint, and those for this service of its."""
    return _in_order(
        one
        for one in mesh.manifests.authorization_policies
        if any(_is_meant(mesh, node, service, one, target) for target in one.target_refs)
    )


def _is_meant(
    mesh: EnvoyMesh, node: EnvoyNode, service: Service | None, policy: AuthorizationPolicy, target: TargetReference
) -> bool:
    namespace = policy.metadata.namespace
    if target.namespace not in ("", namespace):
        return False
    match target.kind:
        case "GatewayClass":
            return target.name == WAYPOINT_CLASS and namespace == mesh.config.root_namespace
        case "Gateway":
            return (namespace, target.name) == (node.namespace, node.gateway_name)
        case "Service" | "ServiceEntry":
            return service is not None and (namespace, target.name) == (service.namespace, service.name)
        case _:
            return False


def _in_order(policies: Iterable[AuthorizationPolicy]) -> Sequence[AuthorizationPolicy]:
    return sorted(policies, key=lambda one: one.metadata.key)
