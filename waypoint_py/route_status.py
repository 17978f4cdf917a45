"""What became of each route, for people: by parent, with the reasons of the Gateway API's conditions [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mesh_py.http import attachments
from mesh_py.http.attachments import ACCEPTED, NO_MATCHING_PARENT, ServicePort, is_gateway, is_granted
from waypoint_py.attached import serves

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesh_py.discovery.record import ServiceRecord
    from mesh_py.http.attachments import AnyRoute
    from mesh_py.manifests.gateway import Gateway
    from mesh_py.manifests.references import BackendReference, ParentReference
    from waypoint_py.context import WaypointContext

RESOLVED = "ResolvedRefs"
NOT_FOUND, NOT_PERMITTED, INVALID_KIND = "BackendNotFound", "RefNotPermitted", "InvalidKind"
OTHER_NAMESPACE = "NotAllowedByNamespace"
"""Ours: the Gateway API has no word for a route of a third namespace."""


def route_statuses(context: WaypointContext, gateway: Gateway | None) -> list[dict[str, Any]]:
    """Of the routes attached to us or to what is behind us."""
    manifests = context.directory.further.manifests
    routes: list[AnyRoute] = [*manifests.http_routes, *manifests.grpc_routes, *manifests.tcp_routes]
    pairs = [(route, parent) for route in routes for parent in route.parent_refs]
    return [one for route, parent in pairs for one in _of_parent(context, gateway, route, parent)]


def _of_parent(
    context: WaypointContext, gateway: Gateway | None, route: AnyRoute, parent: ParentReference
) -> Iterator[dict[str, Any]]:
    is_ours = gateway is not None and is_gateway(parent, gateway)
    reason = _judged(context, gateway if is_ours else None, route, parent)
    if reason is None:
        return
    port = "" if parent.port is None else f":{parent.port}"
    yield {
        "route": f"{route.kind} {route.metadata.key}",
        "parent": f"{parent.kind} {parent.namespace}/{parent.name}{port}",
        "accepted": reason == ACCEPTED,
        "reason": reason,
        "backends": [_backend(context, route, one, needs_grant=is_ours) for one in _backends(route)],
    }


def _judged(context: WaypointContext, gateway: Gateway | None, route: AnyRoute, parent: ParentReference) -> str | None:
    """The reason; None where the parent is not ours to speak of."""
    if gateway is not None:
        return attachments.judge(route, parent, gateway, context.directory.further.manifests.namespace_labels)
    own, state = context.workload, context.state
    for record in state.services.by_key.values():
        service = record.service
        if (service.namespace, service.name) == (parent.namespace, parent.name) and serves(state, own, service):
            if not any(one.is_named_by(parent) for one in _ports(context, record)):
                return NO_MATCHING_PARENT
            is_near = route.metadata.namespace in (service.namespace, own.namespace)
            return ACCEPTED if is_near else OTHER_NAMESPACE
    return None


def _ports(context: WaypointContext, record: ServiceRecord) -> list[ServicePort]:
    return [context.directory.parent_of(record, port) for port in record.service.ports]


def _backends(route: AnyRoute) -> list[BackendReference]:
    return [backend.backend_ref for rule in route.rules for backend in rule.backend_refs]


def _backend(
    context: WaypointContext, route: AnyRoute, backend: BackendReference, *, needs_grant: bool
) -> dict[str, str]:
    port = "" if backend.port is None else f":{backend.port}"
    reason = _resolved(context, route, backend, needs_grant)
    return {"backend": f"{backend.namespace}/{backend.name}{port}", "reason": reason}


def _resolved(context: WaypointContext, route: AnyRoute, backend: BackendReference, needs_grant: bool) -> str:
    directory = context.directory
    if backend.kind not in ("Service", "Hostname"):
        return INVALID_KIND
    if needs_grant and not is_granted(directory.further.manifests.reference_grants, route, backend):
        return NOT_PERMITTED
    found = directory.backend(context.workload, backend)
    if found is None or (backend.port is not None and backend.port not in found.service.ports):
        return NOT_FOUND
    return RESOLVED
