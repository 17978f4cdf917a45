"""Which routes are attached to a port of a service, and which to a waypoint's Gateway; and why one is not [pure].

A route's own namespace counts: for a service those of the service and of whoever asks, for a Gateway those that its
listener admits. Reasons are the Gateway API's (`status.parents.conditions`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

from mesh_py.manifests.references import GATEWAY_GROUP, ISTIO_NETWORKING_GROUP
from mesh_py.manifests.routes import GRPCRoute, HTTPRoute, TCPRoute

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mesh_py.manifests.gateway import Gateway, Listener, ReferenceGrant
    from mesh_py.manifests.metadata import Labels
    from mesh_py.manifests.references import BackendReference, ParentReference

AnyRoute = HTTPRoute | GRPCRoute | TCPRoute
Attached = TypeVar("Attached", HTTPRoute | GRPCRoute, TCPRoute)

SERVICE, SERVICE_ENTRY = "Service", "ServiceEntry"

ACCEPTED = "Accepted"
NO_MATCHING_PARENT = "NoMatchingParent"
NOT_ALLOWED = "NotAllowedByListeners"


class ServicePort(NamedTuple):
    """What routes are attached to inside a mesh: a port of a Service or of a ServiceEntry."""

    kinds: tuple[str, ...]
    """What it was made from; both where nobody knows."""
    namespace: str
    name: str
    port: int
    port_name: str = ""

    def is_named_by(self, parent: ParentReference) -> bool:
        """Whether a parent is it, or the whole of it."""
        groups = (ISTIO_NETWORKING_GROUP,) if parent.kind == SERVICE_ENTRY else ("", "core")
        return (
            parent.kind in self.kinds
            and parent.group in groups
            and (parent.namespace, parent.name) == (self.namespace, self.name)
            and parent.port in (None, self.port)
            and parent.section_name in ("", self.port_name)
        )


def routes_of_service(
    routes: Iterable[Attached], of: ServicePort, namespaces: frozenset[str] | None = None
) -> list[Attached]:
    """The routes attached to a port of a service.

    `namespaces` are those whose routes count: for a waypoint the service's and its own, for a sidecar the service's
    and its client's. None: all.
    """
    return [
        route
        for route in routes
        if (namespaces is None or route.metadata.namespace in namespaces)
        and any(of.is_named_by(parent) for parent in route.parent_refs)
    ]


# Gateways -------------------------------------------------------------------------------------------------------------


def routes_of_gateway(
    routes: Iterable[Attached], gateway: Gateway, labels_of: Callable[[str], Labels]
) -> list[Attached]:
    """The routes attached to a Gateway; `labels_of` are a namespace's."""
    return [
        route
        for route in routes
        if any(
            is_gateway(parent, gateway) and judge(route, parent, gateway, labels_of) == ACCEPTED
            for parent in route.parent_refs
        )
    ]


def is_gateway(parent: ParentReference, gateway: Gateway) -> bool:
    """Whether a parent is the Gateway, whatever listener of it."""
    named = (parent.group, parent.kind, parent.namespace, parent.name)
    return named == (GATEWAY_GROUP, gateway.kind, gateway.metadata.namespace, gateway.metadata.name)


def judge(route: AnyRoute, parent: ParentReference, gateway: Gateway, labels_of: Callable[[str], Labels]) -> str:
    """The reason of `Accepted`, for a parent that is the Gateway."""
    named = [
        listener
        for listener in gateway.listeners
        if parent.section_name in ("", listener.name) and parent.port in (None, listener.port)
    ]
    if not named:
        return NO_MATCHING_PARENT
    return ACCEPTED if any(_admits(one, gateway, route, labels_of) for one in named) else NOT_ALLOWED


def _admits(listener: Listener, gateway: Gateway, route: AnyRoute, labels_of: Callable[[str], Labels]) -> bool:
    allowed, namespace = listener.allowed_routes, route.metadata.namespace
    if allowed.kinds and route.kind not in allowed.kinds:
        return False
    match allowed.namespaces_from:
        case "All":
            return True
        case "Same":
            return namespace == gateway.metadata.namespace
        case "Selector":
            return allowed.selector is not None and allowed.selector.matches(labels_of(namespace))
        case _:
            return False


def is_granted(grants: Iterable[ReferenceGrant], route: AnyRoute, backend: BackendReference) -> bool:
    """Whether a route of a Gateway may name a backend: of its own namespace, or granted by the backend's."""
    namespace = route.metadata.namespace
    if backend.namespace in ("", namespace) or backend.kind != SERVICE:
        return True
    return any(
        grant.metadata.namespace == backend.namespace
        and any((one.group, one.kind, one.namespace) == (GATEWAY_GROUP, route.kind, namespace) for one in grant.from_)
        and any((one.group, one.kind) == ("", SERVICE) and one.name in ("", backend.name) for one in grant.to)
        for grant in grants
    )
