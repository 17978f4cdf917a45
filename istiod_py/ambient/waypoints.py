"""Waypoints: which there are, where they are, and which one an object goes through (hbone-controlplane 1.6) [pure].

In a cluster the Gateway controller gives a waypoint its Deployment and Service and writes the address into the status.
Here the pods are the author's. A waypoint without a Service gets one, so that its name leads to its pods, and it has
its address from the moment it is written: while it has no pod, connections to what is behind it are refused. Istio lets
them pass until the first pod is ready.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from istiod_py.ambient import waypoint_remarks as remarks
from istiod_py.ambient.vocabulary import (
    CANARY_WEIGHT,
    GATEWAY_MANAGED,
    GATEWAY_NAME,
    HBONE_PORT,
    INBOUND_BINDING,
    MANAGED_EAST_WEST,
    MANAGED_WAYPOINT,
    USE_CANARY,
    USE_CANARY_NAMESPACE,
    USE_WAYPOINT,
    USE_WAYPOINT_NAMESPACE,
)
from istiod_py.ambient.waypoint_remarks import Subject
from mesh_py.manifests.core import Namespace, Service, ServicePort
from mesh_py.manifests.gateway import HBONE_PROTOCOL, WAYPOINT_CLASS, AllowedRoutes
from mesh_py.manifests.metadata import NO_LABELS, Metadata
from mesh_py.model.address import GatewayAddress, NamespacedHostname, NetworkAddress, parse_ip
from mesh_py.model.workload import ApplicationTunnel, TunnelProtocol, WeightedWaypoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from istiod_py.ambient.notices import Notice
    from mesh_py.manifests.gateway import Gateway, Listener
    from mesh_py.manifests.mesh_config import MeshConfig
    from mesh_py.manifests.metadata import Labels
    from mesh_py.manifests.objects import Manifests

STATUS_PORT = 15021
_MANAGED = frozenset({MANAGED_WAYPOINT, MANAGED_EAST_WEST})


@dataclass(frozen=True, slots=True)
class Waypoint:
    """A Gateway that others may name as their waypoint."""

    namespace: str
    name: str
    address: GatewayAddress
    takes: str = "service"
    """`service`, `workload`, `all` or `none`: the traffic it is for."""
    allowed: AllowedRoutes = field(default_factory=AllowedRoutes)
    """The namespaces that may use it."""
    binding: ApplicationTunnel | None = None
    """How the node proxy of its own pods hands connections to it."""
    service_accounts: tuple[str, ...] = ()
    """Of its pods, sorted."""
    takes_hbone: bool = True
    """Whether tunnels end at it; an ingress, say, which has an address too, takes none."""

    @property
    def key(self) -> str:
        """`namespace/name` of the Gateway."""
        return f"{self.namespace}/{self.name}"

    def is_for(self, traffic: str) -> bool:
        """Whether it takes traffic addressed to a `service` or to a `workload`."""
        return self.takes in (traffic, "all")

    def admits(self, namespace: str, namespace_labels: Labels) -> bool:
        """Whether objects of a namespace may use it."""
        if self.allowed.namespaces_from == "All":
            return True
        if self.allowed.namespaces_from == "Selector":
            return self.allowed.selector is not None and self.allowed.selector.matches(namespace_labels)
        return namespace == self.namespace


class Canary(NamedTuple):
    """A second waypoint that takes a share of the connections."""

    waypoint: Waypoint
    percent: int


class Choice(NamedTuple):
    """The waypoint that an object asks for, and what is wrong with the wish."""

    waypoint: Waypoint | None = None
    problem: Notice | None = None
    canary: Canary | None = None
    """For services only."""

    @property
    def waypoints(self) -> tuple[Waypoint, ...]:
        """All that connections may go through."""
        both = (self.waypoint, self.canary.waypoint if self.canary else None)
        return tuple(one for one in both if one is not None)

    @property
    def weighted(self) -> tuple[WeightedWaypoint, ...]:
        """Both with their shares; nothing where there is one only."""
        if self.waypoint is None or self.canary is None:
            return ()
        percent = self.canary.percent
        return (
            WeightedWaypoint(self.waypoint.address, 100 - percent),
            WeightedWaypoint(self.canary.waypoint.address, percent),
        )


class Waypoints:
    """All waypoints of a mesh, and the choice among them."""

    def __init__(self, manifests: Manifests, mesh: MeshConfig) -> None:
        self._manifests = manifests
        found = (_waypoint(gateway, manifests, mesh) for gateway in manifests.gateways)
        self.by_key: Mapping[str, Waypoint] = {one.key: one for one in found if one is not None}

    def of_service(self, kind: str, metadata: Metadata) -> Choice:
        """The waypoint in front of a Service or ServiceEntry; a gateway's own Service has none."""
        own = self.by_key.get(metadata.key) or self.instance(metadata)
        if (own is not None and own.takes_hbone) or metadata.labels.get(GATEWAY_MANAGED) in _MANAGED:
            return Choice()
        choice = self._choose(kind, metadata, metadata.labels, "service")
        return choice if choice.waypoint is None else self._with_canary(choice, kind, metadata)

    def of_workload(self, kind: str, metadata: Metadata, labels: Labels) -> Choice:
        """The waypoint in front of a workload itself; a waypoint's own pods have none."""
        if self.instance(metadata) is not None:
            return Choice()
        return self._choose(kind, metadata, labels, "workload")

    def instance(self, metadata: Metadata) -> Waypoint | None:
        """The waypoint that a pod is an instance of, or a Service leads to."""
        name = metadata.labels.get(GATEWAY_NAME)
        return self.by_key.get(f"{metadata.namespace}/{name}") if name else None

    def _choose(self, kind: str, metadata: Metadata, labels: Labels, traffic: str) -> Choice:
        """By the object's own label, else by its namespace's, which then is the one to be told what is wrong."""
        is_own = USE_WAYPOINT in labels
        source = None if is_own else self._manifests.find(Namespace, "", metadata.namespace)
        wish = labels if is_own else source.metadata.labels if source is not None else NO_LABELS
        key = asked_for(wish, metadata.namespace)
        if key is None:
            return Choice()
        who = Subject(kind, metadata) if source is None else Subject(source.kind, source.metadata)
        choice = self._allowed(key, who, metadata.namespace, traffic)
        # A namespace's waypoint for services is no waypoint for its pods, and nobody meant it to be.
        is_meant = is_own or choice.problem is None or choice.problem.code != remarks.OTHER_TRAFFIC
        return choice if is_meant else Choice()

    def _allowed(self, key: str, who: Subject, namespace: str, traffic: str) -> Choice:
        waypoint = self.by_key.get(key)
        if waypoint is None:
            return Choice(None, remarks.unknown(who, key))
        if not waypoint.admits(namespace, self._manifests.namespace_labels(namespace)):
            return Choice(None, remarks.denied(who, key, namespace))
        if not waypoint.is_for(traffic):
            return Choice(None, remarks.other_traffic(who, waypoint, traffic))
        return Choice(waypoint)

    def _with_canary(self, choice: Choice, kind: str, metadata: Metadata) -> Choice:
        """Add the second waypoint that the object asks for, or its namespace if the first is the namespace's wish."""
        levels = [Subject(kind, metadata)]
        namespace = self._manifests.find(Namespace, "", metadata.namespace)
        if USE_WAYPOINT not in metadata.labels and namespace is not None:
            levels.append(Subject(namespace.kind, namespace.metadata))
        who = next((one for one in levels if USE_CANARY in one.metadata.labels), levels[0])
        key = asked_for(who.metadata.labels, metadata.namespace, USE_CANARY, USE_CANARY_NAMESPACE)
        if key is None:
            return choice
        weights = (one.metadata.annotations.get(CANARY_WEIGHT) for one in levels)
        percent = _percent(next((weight for weight in weights if weight is not None), "0"))
        if percent is None or choice.waypoint is None or key == choice.waypoint.key:
            return choice._replace(problem=remarks.useless_canary(who, key))
        second = self._allowed(key, who, metadata.namespace, "service")
        if second.waypoint is None:
            return choice._replace(problem=second.problem)
        return choice._replace(canary=Canary(second.waypoint, percent))


def _percent(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and int(text) <= 100 else None


def asked_for(
    labels: Labels, namespace: str, key: str = USE_WAYPOINT, namespace_key: str = USE_WAYPOINT_NAMESPACE
) -> str | None:
    """`namespace/name` of the waypoint that labels ask for; None for no wish and for the word `none`."""
    name = labels.get(key)
    if not name or name == "none":
        return None
    return f"{labels.get(namespace_key, namespace)}/{name}"


def waypoint_services(manifests: Manifests) -> Iterator[Service]:
    """A Service for each waypoint that has none: no address of its own, its name leads to the pods."""
    for gateway in manifests.gateways:
        if gateway.is_waypoint and not gateway.status_addresses and _service_of(gateway, manifests) is None:
            yield _made_service(gateway)


def _made_service(gateway: Gateway) -> Service:
    metadata = Metadata(
        gateway.metadata.name,
        gateway.metadata.namespace,
        {GATEWAY_NAME: gateway.metadata.name, GATEWAY_MANAGED: MANAGED_WAYPOINT},
        NO_LABELS,
        gateway.metadata.creation_timestamp,
        order=gateway.metadata.order,
        place=gateway.metadata.place,
    )
    ports = (
        ServicePort(STATUS_PORT, "status-port", STATUS_PORT, app_protocol="tcp"),
        ServicePort(HBONE_PORT, "mesh", HBONE_PORT, app_protocol="hbone"),
    )
    return Service(metadata, ports, selector={GATEWAY_NAME: gateway.metadata.name}, is_headless=True)


def _service_of(gateway: Gateway, manifests: Manifests) -> Service | None:
    """The author's own Service of a waypoint: labelled with its name, or called as it is."""
    for service in manifests.services:
        metadata = service.metadata
        if metadata.namespace == gateway.metadata.namespace and gateway.metadata.name in (
            metadata.labels.get(GATEWAY_NAME),
            metadata.name,
        ):
            return service
    return None


def _waypoint(gateway: Gateway, manifests: Manifests, mesh: MeshConfig) -> Waypoint | None:
    address = _address(gateway, manifests, mesh)
    if address is None:
        return None
    namespace, name = gateway.metadata.namespace, gateway.metadata.name
    binding = read_binding(gateway.metadata.annotations.get(INBOUND_BINDING, ""))
    pods = manifests.pods_selected(namespace, {GATEWAY_NAME: name})
    return Waypoint(
        namespace,
        name,
        address,
        gateway.waypoint_for,
        _allowed(gateway.listeners, binding),
        binding,
        tuple(sorted({pod.spec.service_account_name for pod in pods})),
        gateway.is_waypoint or any(map(_is_hbone, gateway.listeners)),
    )


def _address(gateway: Gateway, manifests: Manifests, mesh: MeshConfig) -> GatewayAddress | None:
    """By name if the status has one, else by IP; a waypoint without status is known by its Service's name."""
    namespace = gateway.metadata.namespace
    for address in gateway.status_addresses:
        if address.type == "Hostname":
            return GatewayAddress(NamespacedHostname(namespace, address.value), HBONE_PORT)
    for address in gateway.status_addresses:
        if address.type == "IPAddress":
            return GatewayAddress(NetworkAddress(mesh.network, parse_ip(address.value)), HBONE_PORT)
    if gateway.gateway_class_name != WAYPOINT_CLASS:
        return None
    service = _service_of(gateway, manifests)
    name = service.metadata.name if service else gateway.metadata.name
    return GatewayAddress(NamespacedHostname(namespace, mesh.hostname(name, namespace)), HBONE_PORT)


def read_binding(text: str) -> ApplicationTunnel | None:
    """`PROXY`, `PROXY/15088`, `NONE/15088`; None for nothing and for what cannot be understood."""
    word, _, port = text.partition("/")
    protocols = {one.value: one for one in TunnelProtocol}
    if word not in protocols or (port and not (port.isascii() and port.isdigit())):
        return None
    return ApplicationTunnel(protocols[word], int(port) or None if port else None)


def _allowed(listeners: Iterable[Listener], binding: ApplicationTunnel | None) -> AllowedRoutes:
    """Of the listener that the node proxy hands over to, else of the HBONE one, else the same namespace."""
    listeners = tuple(listeners)
    bound = (one for one in listeners if binding is not None and binding.port == one.port)
    hbone = filter(_is_hbone, listeners)
    listener = next(bound, None) or next(hbone, None)
    return listener.allowed_routes if listener is not None else AllowedRoutes()


def _is_hbone(listener: Listener) -> bool:
    return listener.protocol == HBONE_PROTOCOL and listener.port == HBONE_PORT
