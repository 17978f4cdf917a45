"""RDS: virtual hosts and routes, from services and the HTTPRoutes attached to them (hbone-controlplane 9.6) [pure].

A service without HTTPRoute is passed on plainly. With some, requests that no rule matches get 404, as the Gateway API
wants it; a backend that is not there gives 500.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from istiod_py.envoy.route_actions import default_route, route_action
from istiod_py.envoy.route_matches import precedence, route_match
from istiod_py.envoy.rules import NOWHERE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from istiod_py.envoy.extension import Json
    from istiod_py.envoy.mesh import EnvoyMesh
    from istiod_py.envoy.rules import Backends, Lead
    from mesh_py.manifests.references import BackendReference, ParentReference
    from mesh_py.manifests.routes import HTTPRoute, HTTPRouteMatch, HTTPRouteRule
    from mesh_py.model.workload import Service


class Attached(NamedTuple):
    """A route and one rule of it, with its place among the others of that route."""

    route: HTTPRoute
    position: int
    rule: HTTPRouteRule
    match: HTTPRouteMatch


def routes_of_service(
    mesh: EnvoyMesh, service: Service, port: int, backends: Backends, namespaces: Iterable[str]
) -> list[Json]:
    """The routes of a service's port, the first that matches counting; they are taken from `namespaces` only."""
    found = attached_to_service(mesh, service, port, namespaces)
    if not found:
        return [default_route(*backends.lead(service, port))]
    return routes_of(mesh, found, backends, port)


def routes_of(
    mesh: EnvoyMesh,
    routes: Sequence[HTTPRoute],
    backends: Backends,
    port: int,
    *,
    grants_needed: bool = False,
) -> list[Json]:
    """The routes of these HTTPRoutes together, in the Gateway API's order of precedence.

    `port` is where their requests come in. With `grants_needed`, backends of other namespaces need a ReferenceGrant: at
    gateways, not inside the mesh.
    """
    every = [
        Attached(route, index, rule, match)
        for route in routes
        for index, rule in enumerate(route.rules)
        for match in rule.matches
    ]
    # Sorting is stable: of equal precedence the oldest route's first rule comes first.
    every.sort(key=lambda one: precedence(one.match))
    return [_route(mesh, one, backends, port, grants_needed=grants_needed) for one in every]


def attached_to_service(mesh: EnvoyMesh, service: Service, port: int, namespaces: Iterable[str]) -> list[HTTPRoute]:
    """The HTTPRoutes whose parent is the service or that port of it, the oldest first."""
    allowed = frozenset(namespaces)
    found = [
        route
        for route in mesh.http_routes
        if route.metadata.namespace in allowed and any(is_parent(mesh, one, service, port) for one in route.parent_refs)
    ]
    return sorted(found, key=lambda route: route.metadata.age)


def backend_service(mesh: EnvoyMesh, reference: BackendReference, from_namespace: str) -> Service | None:
    """The service behind a reference, None if there is none."""
    if reference.kind == "Hostname":
        return next((one for key, one in mesh.services.items() if key.hostname == reference.name), None)
    if reference.kind != "Service" or reference.group not in ("", "core"):
        return None
    return mesh.service_named(reference.namespace or from_namespace, reference.name)


def virtual_host(name: str, domains: Sequence[str], routes: Sequence[Json], **fields: object) -> Json:
    """Hosts and what becomes of their requests."""
    return {
        "name": name,
        "domains": list(domains),
        "routes": list(routes),
        "include_request_attempt_count": True,
    } | fields


def domains_of(service: Service, namespace: str, dns_domain: str) -> list[str]:
    """What clients of a namespace may call a service: its names, short, full and rooted (`x.`), and its addresses."""
    names = [service.hostname]
    names += [] if service.hostname.startswith("*") else [f"{service.hostname}."]
    suffix = f".{service.namespace}.svc.{dns_domain}"
    if service.hostname.endswith(suffix):
        short = service.hostname.removesuffix(suffix)
        names += [f"{short}.{service.namespace}.svc", f"{short}.{service.namespace}"]
        names += [short] if service.namespace == namespace else []
    return names + [f"[{vip.ip}]" if ":" in vip.ip else vip.ip for vip in service.vips]


def _route(mesh: EnvoyMesh, one: Attached, backends: Backends, port: int, *, grants_needed: bool) -> Json:
    namespace = one.route.metadata.namespace

    def lead(reference: BackendReference, subset: str) -> Lead:
        if grants_needed and not _is_granted(mesh, reference, namespace):
            return NOWHERE
        service = backend_service(mesh, reference, namespace)
        if service is None or reference.port is None or reference.port not in service.ports:
            return NOWHERE
        return backends.lead(service, reference.port, subset)

    name = f"{one.route.metadata.namespace}.{one.route.metadata.name}.{one.rule.name or one.position}"
    return {"name": name, "match": route_match(one.match), **route_action(one.rule, one.match, lead, port)}


def is_parent(mesh: EnvoyMesh, parent: ParentReference, service: Service, port: int) -> bool:
    """Whether a route with this parent is for a service's port, by its number and its name."""
    if parent.kind != "Service" or parent.group not in ("", "core"):
        return False
    if (parent.namespace, parent.name) != (service.namespace, service.name) or parent.port not in (None, port):
        return False
    return not parent.section_name or parent.section_name == mesh.port_name(service, port)


def _is_granted(mesh: EnvoyMesh, reference: BackendReference, from_namespace: str) -> bool:
    return reference.namespace in ("", from_namespace) or any(
        grant.metadata.namespace == reference.namespace
        and any(one.kind in ("HTTPRoute", "GRPCRoute") and one.namespace == from_namespace for one in grant.from_)
        and any(one.kind == "Service" and one.name in ("", reference.name) for one in grant.to)
        for grant in mesh.manifests.reference_grants
    )
