"""A service as routing sees it: with the endpoints that may serve it now [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mesh_py.model.workload import HealthStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesh_py.model.workload import Endpoint, Service


class ServiceRecord:
    """A service and its usable endpoints. Lives as long as the service's name does, through its changes."""

    __slots__ = ("candidates", "endpoints", "service")

    def __init__(self, service: Service) -> None:
        self.service = service
        self.endpoints: dict[str, Endpoint] = {}
        """By workload uid; unhealthy ones only if the service allows them."""
        self.candidates: dict[tuple[object, ...], Any] = {}
        """The load balancer's memory, emptied whenever an endpoint or its workload changes."""

    def replace(self, service: Service, endpoints: Iterable[Endpoint]) -> None:
        """Take over a new version of the service, with all endpoints known for it."""
        self.service = service
        self.endpoints.clear()
        for endpoint in endpoints:
            self.put(endpoint)
        self.candidates.clear()

    def put(self, endpoint: Endpoint) -> None:
        """Add or replace an endpoint, if its health permits."""
        self.candidates.clear()
        if endpoint.status is HealthStatus.HEALTHY or self.service.allows_unhealthy:
            self.endpoints[endpoint.workload_uid] = endpoint
        else:
            self.endpoints.pop(endpoint.workload_uid, None)

    def drop(self, uid: str) -> None:
        """Remove an endpoint."""
        self.candidates.clear()
        self.endpoints.pop(uid, None)


def preferred(records: Iterable[ServiceRecord], namespace: str | None) -> ServiceRecord | None:
    """The service that clients of `namespace` mean: visible; their own, else canonical, else the oldest.

    Without a namespace every service is visible and none is one's own (hbone-dataplane 2.6).
    """
    found: ServiceRecord | None = None
    for record in records:
        service = record.service
        if namespace is not None and not service.is_visible_to(namespace):
            continue
        if service.namespace == namespace:
            return record
        if found is None or (service.canonical and not found.service.canonical):
            found = record
    return found
