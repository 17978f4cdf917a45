"""What the mesh says of a destination: its service, its routes, what is spoken there [pure].

Everything that is worked out here is kept until the mesh, or the manifests beside it, change.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from mesh_py.http.attachments import SERVICE, SERVICE_ENTRY, ServicePort, routes_of_service
from mesh_py.http.errors import InvalidBackend
from mesh_py.http.router import NO_ROUTES, AnyRoute, RouteTable, tcp_backend
from mesh_py.manifests import core, networking
from mesh_py.manifests.chain import Chain
from mesh_py.manifests.objects import Manifests
from mesh_py.manifests.proxy_file import Further
from mesh_py.manifests.rule_of_host import Client, find_rule
from mesh_py.model.workload import AppProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesh_py.discovery.record import ServiceRecord
    from mesh_py.discovery.state import MeshState
    from mesh_py.manifests.references import BackendReference
    from mesh_py.manifests.traffic import DestinationRule
    from mesh_py.model.address import SocketAddress
    from mesh_py.model.workload import Workload


@dataclass(frozen=True, slots=True)
class Destination:
    """What a client means: a port of a service, a workload by its own address, or somebody the mesh does not know."""

    address: SocketAddress
    """As the client dialled it."""
    record: ServiceRecord | None = None
    workload: Workload | None = None

    @property
    def port(self) -> int:
        """The port that was dialled: a service's port, or a workload's."""
        return self.address[1]

    @property
    def is_known(self) -> bool:
        """Whether the mesh knows it."""
        return self.record is not None or self.workload is not None

    @property
    def app_protocol(self) -> AppProtocol:
        """What the service says is spoken there."""
        if self.record is None:
            return AppProtocol.UNKNOWN
        return self.record.service.app_protocols.get(self.port, AppProtocol.UNKNOWN)


class Directory:
    """Lookups for one source, our workload."""

    def __init__(
        self,
        state: MeshState,
        cluster_domain: str,
        root_namespace: str = "istio-system",
        *,
        is_gateway: bool = False,
    ) -> None:
        """`root_namespace`: whose rules are for the whole mesh, where no source of manifests says it. `is_gateway`:
        the source is a waypoint, no sidecar's workload."""
        self._state = state
        self._domain, self._root, self._is_gateway = cluster_domain, root_namespace, is_gateway
        self.further = Further()
        """The manifests and labels beside the mesh; `take` sets them."""
        self._told: dict[str, Further] = {}
        self._expected: set[str] = set()
        self._watchers: list[Callable[[], None]] = []
        self._version = -1
        self._routes: dict[tuple[str, str, int], RouteTable] = {}
        self._hosts: dict[str, ServiceRecord] = {}

    @property
    def is_complete(self) -> bool:
        """Whether everybody who is to tell of policies has done so: before that nobody may be let in."""
        return not self._expected

    def expect_configuration(self, source: str = "control plane") -> None:
        """Somebody is going to tell of manifests, and has not yet."""
        self._expected.add(source)

    def take(self, further: Further, source: str = "file") -> None:
        """Manifests and labels as one source tells them now."""
        self._told[source] = further
        self._expected.discard(source)
        self.further = _joined(list(self._told.values()))
        self._version = -1
        for watcher in self._watchers:
            watcher()

    def watch(self, callback: Callable[[], None]) -> None:
        """Call `callback` whenever manifests have been told."""
        self._watchers.append(callback)

    def destination(self, source: Workload, address: SocketAddress) -> Destination:
        """Who has that address."""
        state = self._state
        ip, port = address
        record = state.services.at(state.network, ip, source.namespace)
        if record is not None:
            return Destination((ip, port), record)
        return Destination((ip, port), None, state.workloads.at(state.network, ip))

    def by_host(self, source: Workload, authority: str, near: Destination) -> Destination:
        """Whom a request's Host means, on the port that was dialled; `near` where it names nobody we know there."""
        host = host_of(authority)
        record = self._records(source).get(host)
        if record is None or near.port not in record.service.ports:
            return near
        return Destination(near.address, record) if record is not near.record else near

    def backend(self, source: Workload, reference: BackendReference) -> ServiceRecord | None:
        """The service that a route's backend names; None if there is none that the source may see.

        As in Istio, routes attached to services may lead into any namespace: a ReferenceGrant is for routes of a
        Gateway, and whether they have theirs is asked elsewhere (`RouteTable`).
        """
        if reference.kind == "Hostname":
            return self._records(source).get(reference.name.lower())
        if reference.kind != "Service":
            return None
        name = f"{reference.name}.{reference.namespace}.svc.{self._domain}"
        return self._records(source).get(name)

    def traffic(self, source: Workload, record: ServiceRecord) -> DestinationRule | None:
        """The rule that a client follows for a service's host."""
        rules = self.further.manifests.destination_rules
        if not rules:
            return None
        labels = self.further.labels_of(source.namespace, source.name)
        client = Client(source.namespace, labels, self.further.root_namespace or self._root, self._is_gateway)
        return find_rule(rules, record.service, self._domain, client)

    def routes(self, source: Workload, record: ServiceRecord, port: int) -> RouteTable:
        """The routes attached to a service's port, its own namespace's and the client's."""
        self._refresh()
        service = record.service
        key = (service.namespace, service.hostname, port)
        table = self._routes.get(key)
        if table is None:
            manifests = self.further.manifests
            namespaces = frozenset((service.namespace, source.namespace))
            routes: list[AnyRoute] = [*manifests.http_routes, *manifests.grpc_routes]
            attached = routes_of_service(routes, self.parent_of(record, port), namespaces)
            table = self._routes[key] = RouteTable(attached) if attached else NO_ROUTES
        return table

    def by_tcp_route(self, source: Workload, meant: Destination, random: Callable[[], float]) -> Destination:
        """Where the TCPRoutes of a service's port send a connection; `meant` where there are none.

        Raises InvalidBackend.
        """
        routes = self.further.manifests.tcp_routes
        if meant.record is None or not routes:
            return meant
        service = meant.record.service
        namespaces = frozenset((service.namespace, source.namespace))
        attached = routes_of_service(routes, self.parent_of(meant.record, meant.port), namespaces)
        return self.by_tcp_backend(source, meant, tcp_backend(attached, random)[1]) if attached else meant

    def by_tcp_backend(self, source: Workload, meant: Destination, reference: BackendReference) -> Destination:
        """Where a TCPRoute's backend sends a connection. Raises InvalidBackend."""
        found = self.backend(source, reference)
        port = reference.port or meant.port
        if found is None or port not in found.service.ports:
            raise InvalidBackend(f"a TCPRoute names {reference.namespace}/{reference.name}:{port}, which is not there")
        return Destination((meant.address[0], port), found)

    def parent_of(self, record: ServiceRecord, port: int) -> ServicePort:
        """What routes call a service's port. Names of ports are known where the manifests have the object itself."""
        service, manifests = record.service, self.further.manifests
        named = service.namespace, service.name
        if service.hostname == f"{service.name}.{service.namespace}.svc.{self._domain}":
            its = manifests.find(core.Service, *named)
            name = next((one.name for one in its.ports if one.port == port), "") if its is not None else ""
            return ServicePort((SERVICE,), *named, port, name)
        entry = manifests.find(networking.ServiceEntry, *named)
        if entry is None:
            return ServicePort((SERVICE, SERVICE_ENTRY), *named, port)
        name = next((one.name for one in entry.ports if one.number == port), "")
        return ServicePort((SERVICE_ENTRY,), *named, port, name)

    def _records(self, source: Workload) -> dict[str, ServiceRecord]:
        """Every visible service by each of its names."""
        self._refresh()
        if not self._hosts:
            for record in self._state.services.by_key.values():
                if record.service.is_visible_to(source.namespace):
                    for name in self._names(record, source.namespace):
                        self._hosts.setdefault(name, record)
        return self._hosts

    def _names(self, record: ServiceRecord, namespace: str) -> list[str]:
        service = record.service
        names = [service.hostname.lower()]
        if service.hostname == f"{service.name}.{service.namespace}.svc.{self._domain}":
            names += [f"{service.name}.{service.namespace}.svc", f"{service.name}.{service.namespace}"]
            if service.namespace == namespace:
                names.append(service.name)
        return names

    def _refresh(self) -> None:
        if self._version != self._state.version:
            self._version = self._state.version
            self._routes.clear()
            self._hosts.clear()


def host_of(authority: str) -> str:
    """The host of an authority, lower case, without its port."""
    if authority.startswith("["):
        return authority[: authority.find("]") + 1].lower()
    return authority.partition(":")[0].lower().removesuffix(".")


def _joined(told: list[Further]) -> Further:
    """What several sources say together."""
    if len(told) == 1:
        return told[0]
    objects = [one for further in told for one in further.manifests.all()]
    labels = {name: found for further in told for name, found in further.labels.items()}
    chain = reduce(Chain.joined, (further.chain for further in told), Chain())
    root = next((further.root_namespace for further in told if further.root_namespace), "")
    return Further(Manifests.of(objects), labels, chain, root)
