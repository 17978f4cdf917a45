"""Routes: what they are attached to, where they lead, and which of their rules are never reached [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.check import codes
from istiod_py.check.nearest import nearest
from mesh_py.http import attachments
from mesh_py.manifests.core import Service
from mesh_py.manifests.gateway import Gateway
from mesh_py.manifests.networking import ServiceEntry
from mesh_py.manifests.references import GATEWAY_GROUP, ISTIO_NETWORKING_GROUP
from mesh_py.manifests.route_filters import (
    ExtensionFilter,
    ExternalAuth,
    RequestMirror,
    RequestRedirect,
    UrlRewrite,
    is_subset,
)
from mesh_py.manifests.routes import GRPCRouteRule, HTTPRouteRule, PathMatchType, TCPRouteRule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from istiod_py.check.checked_mesh import CheckedMesh
    from istiod_py.check.codes import Finding
    from mesh_py.manifests.metadata import Place
    from mesh_py.manifests.references import BackendReference, ParentReference
    from mesh_py.manifests.route_filters import RouteFilter
    from mesh_py.manifests.routes import Route

    Rule = HTTPRouteRule | GRPCRouteRule | TCPRouteRule


def check(mesh: CheckedMesh) -> Iterator[Finding]:
    """Everything about routes."""
    for route in mesh.routes:
        for parent in route.parent_refs:
            yield from _parent(route, parent, mesh)
        for rule in route.rules:
            yield from _rule(route, rule, mesh)


def _parent(route: Route, parent: ParentReference, mesh: CheckedMesh) -> Iterator[Finding]:
    match (parent.group, parent.kind):
        case ("", "Service") | ("core", "Service"):
            yield from _service_parent(route, parent, mesh)
        case (group, "Gateway") if group == GATEWAY_GROUP:
            yield from _gateway_parent(route, parent, mesh)
        case (group, "ServiceEntry") if group == ISTIO_NETWORKING_GROUP:
            if mesh.manifests.find(ServiceEntry, parent.namespace, parent.name) is None:
                yield _no_parent(route, parent, mesh.names(ServiceEntry.kind, parent.namespace))
        case _:
            what = f"{_subject(route)} is attached to a {parent.kind} of group {parent.group!r}"
            yield codes.UNREACHED.at(parent.place, what, "attach it to a Service (group '') or a Gateway")


def _service_parent(route: Route, parent: ParentReference, mesh: CheckedMesh) -> Iterator[Finding]:
    service = mesh.manifests.find(Service, parent.namespace, parent.name)
    if service is None:
        yield _no_parent(route, parent, mesh.names(Service.kind, parent.namespace))
        return
    names = {port.name for port in service.ports if port.name}
    if parent.port is not None and service.port(parent.port) is None:
        what = f"{_subject(route)} is attached to port {parent.port} of Service {service.metadata.key}"
        yield codes.NO_PARENT_PORT.at(parent.place, what, f"it has {_ports(service)}")
    if parent.section_name and parent.section_name not in names:
        what = f"{_subject(route)} is attached to port {parent.section_name!r} of Service {service.metadata.key}"
        yield codes.NO_PARENT_PORT.at(parent.place, what, nearest(parent.section_name, names, "name its ports"))
    waypoint = mesh.waypoint_of(service)
    if waypoint is None:
        if not mesh.has_sidecars:
            what = (
                f"{_subject(route)} routes Service {service.metadata.key}, which has no waypoint; nobody has a sidecar"
            )
            yield codes.NO_ROUTER.at(parent.place, what, "label the Service with istio.io/use-waypoint")
    elif route.metadata.namespace not in (service.metadata.namespace, waypoint.namespace):
        what = f"{_subject(route)} routes Service {service.metadata.key} from another namespace"
        yield codes.FAR_ROUTE.at(parent.place, what, f"move it to namespace {service.metadata.namespace}")


def _gateway_parent(route: Route, parent: ParentReference, mesh: CheckedMesh) -> Iterator[Finding]:
    gateway = mesh.manifests.find(Gateway, parent.namespace, parent.name)
    if gateway is None:
        yield _no_parent(route, parent, mesh.names(Gateway.kind, parent.namespace))
        return
    if gateway.is_waypoint:
        what = f"{_subject(route)} is attached to waypoint {gateway.metadata.key}"
        advice = "ours follows it, Istio's does not: attach it to a Service behind the waypoint (group '')"
        yield codes.WAYPOINT_PARENT.at(parent.place, what, advice)
    names = {listener.name for listener in gateway.listeners}
    ports = {listener.port for listener in gateway.listeners}
    if parent.section_name and parent.section_name not in names:
        what = f"{_subject(route)} is attached to listener {parent.section_name!r} of Gateway {gateway.metadata.key}"
        yield codes.NO_PARENT_PORT.at(parent.place, what, nearest(parent.section_name, names))
    if parent.port is not None and parent.port not in ports:
        what = f"{_subject(route)} is attached to port {parent.port} of Gateway {gateway.metadata.key}"
        yield codes.NO_PARENT_PORT.at(parent.place, what, f"it has {', '.join(map(str, sorted(ports)))}")


def _no_parent(route: Route, parent: ParentReference, names: Sequence[str]) -> Finding:
    what = f"{_subject(route)} is attached to {parent.kind} {parent.namespace}/{parent.name}, which is not there"
    return codes.NO_PARENT.at(parent.place, what, nearest(parent.name, names, f"namespace {parent.namespace} has none"))


def _rule(route: Route, rule: Rule, mesh: CheckedMesh) -> Iterator[Finding]:
    filters = () if isinstance(rule, TCPRouteRule) else rule.filters
    for backend in rule.backend_refs:
        yield from _backend(route, backend.backend_ref, mesh)
        yield from _filters(route, backend.filters, rule, mesh)
    yield from _filters(route, filters, rule, mesh)
    if not rule.backend_refs and not any(isinstance(one, RequestRedirect) for one in filters):
        what = f"{_subject(route)} has a rule that leads nowhere"
        yield codes.NO_BACKENDS.at(_place(route, rule), what, "add backendRefs, or a RequestRedirect")
    if rule.backend_refs and not any(backend.weight for backend in rule.backend_refs):
        what = f"{_subject(route)} has a rule whose backends all have weight 0"
        yield codes.NO_WEIGHT.at(_place(route, rule), what, "give one of them a weight")


def _place(route: Route, rule: Rule) -> Place:
    return rule.place if rule.place.line else route.metadata.place


def _filters(route: Route, filters: Sequence[RouteFilter], rule: Rule, mesh: CheckedMesh) -> Iterator[Finding]:
    for one in filters:
        if isinstance(one, ExtensionFilter) and not is_subset(one):
            what = f"{_subject(route)} has a filter of kind {one.group}/{one.kind}"
            yield codes.FOREIGN_FILTER.at(one.place, what, "remove it, or say it with filters of the Gateway API")
        elif isinstance(one, RequestMirror | ExternalAuth):
            yield from _backend(route, one.backend_ref, mesh)
        elif isinstance(one, UrlRewrite | RequestRedirect) and one.path is not None and one.path.replaces_prefix:
            yield from _prefix(route, rule, one.place)


def _prefix(route: Route, rule: Rule, place: Place) -> Iterator[Finding]:
    matches = rule.matches if isinstance(rule, HTTPRouteRule) else ()
    if any(match.path.type is not PathMatchType.PATH_PREFIX for match in matches):
        what = f"{_subject(route)} replaces a prefix (ReplacePrefixMatch) where a path is matched in another way"
        yield codes.PREFIX_REWRITE.at(place, what, "match by PathPrefix, or write ReplaceFullPath")


def _backend(route: Route, backend: BackendReference, mesh: CheckedMesh) -> Iterator[Finding]:
    if backend.group not in ("", "core") or backend.kind != "Service":
        if (backend.group, backend.kind) != (ISTIO_NETWORKING_GROUP, "Hostname"):
            what = f"{_subject(route)} leads to a {backend.kind} of group {backend.group!r}"
            yield codes.UNREACHED.at(backend.place, what, "lead to a Service (group '')")
        return
    service = mesh.manifests.find(Service, backend.namespace, backend.name)
    if service is None:
        what = f"{_subject(route)} leads to Service {backend.namespace}/{backend.name}, which is not there"
        names = mesh.names(Service.kind, backend.namespace)
        advice = nearest(backend.name, names, f"namespace {backend.namespace} has no Service")
        yield codes.NO_BACKEND.at(backend.place, what, advice)
        return
    if backend.port is not None and service.port(backend.port) is None:
        what = f"{_subject(route)} leads to port {backend.port} of Service {service.metadata.key}"
        yield codes.NO_BACKEND_PORT.at(backend.place, what, f"it has {_ports(service)}")
    if backend.namespace != route.metadata.namespace and not _is_granted(route, backend, mesh):
        what = f"{_subject(route)} leads to Service {service.metadata.key} of another namespace"
        yield codes.NOT_GRANTED.at(backend.place, what, f"add a ReferenceGrant in namespace {backend.namespace}")


def _is_granted(route: Route, backend: BackendReference, mesh: CheckedMesh) -> bool:
    """Routes at Gateways need a grant; as Istio has it, those inside the mesh do not."""
    is_at_gateway = any(parent.kind == Gateway.kind for parent in route.parent_refs)
    return not is_at_gateway or attachments.is_granted(mesh.manifests.reference_grants, route, backend)


def _ports(service: Service) -> str:
    return ", ".join(str(port.port) for port in service.ports) or "none"


def _subject(route: Route) -> str:
    return f"{route.kind} {route.metadata.key}"
