"""The mesh as Envoy's resources are made from it: workloads and services, and the manifests that shape them [pure].

Workloads and services are the same values that ztunnel is told; what layer 7 needs beside them is read from the
manifests: protocols of ports, labels, routes, policies.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from hbone_py.identity import SpiffeId
from istiod_py.ambient.mesh import Mesh
from istiod_py.envoy.grpc_routes import as_http_route
from istiod_py.envoy.node import ProxyType
from istiod_py.envoy.rules import Rules
from istiod_py.envoy.state_cache import StateCache
from mesh_py.manifests import core
from mesh_py.manifests.core import Pod
from mesh_py.manifests.mesh_config import MeshConfig
from mesh_py.manifests.metadata import NO_LABELS
from mesh_py.manifests.networking import WorkloadEntry
from mesh_py.manifests.objects import Manifests, inner_labels
from mesh_py.manifests.peer_modes import PeerModes
from mesh_py.manifests.rule_of_host import Client, RuleIndex
from mesh_py.manifests.security import MutualTls
from mesh_py.manifests.selector import has_labels
from mesh_py.model.address import NamespacedHostname, NetworkAddress
from mesh_py.model.workload import NOWHERE, AppProtocol, HealthStatus, NetworkMode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from istiod_py.envoy.node import EnvoyNode
    from mesh_py.manifests.metadata import Labels
    from mesh_py.manifests.routes import HTTPRoute
    from mesh_py.manifests.traffic import Subset
    from mesh_py.model.address import GatewayAddress, IpAddress
    from mesh_py.model.workload import Locality, Service, Workload

HTTP = frozenset({AppProtocol.HTTP11, AppProtocol.HTTP2, AppProtocol.GRPC})
"""Ports that speak HTTP for certain."""

PLAIN = frozenset({AppProtocol.TCP, AppProtocol.TLS})
"""Ports that do not, for certain."""

SERVER_SPEAKS_FIRST = frozenset({25, 3306})
"""SMTP and MySQL: whoever waits for the client's first bytes there waits for ever."""


class Place(NamedTuple):
    """A workload that serves a service's port, and the port it does so on."""

    workload: Workload
    ip: IpAddress
    port: int


class Target(NamedTuple):
    """What a cluster leads to: a port of a service, all of it or a subset."""

    service: Service
    port: int
    subset: Subset | None = None

    @property
    def subset_name(self) -> str:
        """Empty for all of it."""
        return "" if self.subset is None else self.subset.name


@dataclass(frozen=True)
class EnvoyMesh:
    """One state of the mesh. It never changes; what is looked up is computed once."""

    told: Mesh = field(default_factory=Mesh)
    """What node proxies are told of it."""
    manifests: Manifests = field(default_factory=Manifests)
    config: MeshConfig = field(default_factory=MeshConfig)
    cache: StateCache = field(default_factory=StateCache, compare=False)
    """What earlier states had computed."""

    @property
    def trust_domains(self) -> tuple[str, ...]:
        """Of the identities that a peer may have."""
        return (self.config.trust_domain,)

    @property
    def workloads(self) -> Mapping[str, Workload]:
        """By uid."""
        return self.told.workloads

    @cached_property
    def services(self) -> Mapping[NamespacedHostname, Service]:
        """By namespace and hostname."""
        return {one.key: one for one in self.told.services.values()}

    @cached_property
    def http_routes(self) -> Sequence[HTTPRoute]:
        """Those that are written, and those for gRPC as such."""
        return (*self.manifests.http_routes, *map(as_http_route, self.manifests.grpc_routes))

    @cached_property
    def peer_modes(self) -> PeerModes:
        """What workloads ask of their peers."""
        return PeerModes(self.manifests.peer_authentications, self.config.root_namespace)

    def rules_of(self, node: EnvoyNode) -> Rules:
        """The DestinationRules that a proxy follows."""
        labels = self.labels_of_proxy(node) if self._rule_index.has_selectors else NO_LABELS
        is_gateway = node.type is not ProxyType.SIDECAR
        key = (node.namespace, tuple(sorted(labels.items())), is_gateway)
        if key not in self._rules_of_clients:
            client = Client(node.namespace, labels, self.config.root_namespace, is_gateway)
            self._rules_of_clients[key] = Rules(self._rule_index, client)
        return self._rules_of_clients[key]

    def places(self, service: Service, port: int, subset: Subset | None = None) -> Sequence[Place]:
        """Who serves a port of a service: ready, with an address and the port, in the order of their uids."""
        return tuple(one for one in self._places(service, port) if self._is_of(one.workload, subset))

    def names(self, service: Service, port: int, subset: Subset | None = None) -> Sequence[tuple[str, int]]:
        """Who serves a port of a service and is known by a DNS name only: the name and the port."""
        found = (
            (workload.hostname, self._target(service, workload, port))
            for workload in self._by_service.get(service.key, ())
            if workload.hostname and not workload.workload_ips and self._is_of(workload, subset)
        )
        return tuple((name, target) for name, target in found if target)

    def protocol(self, service: Service, port: int) -> AppProtocol:
        """What a port of a service speaks; UNKNOWN is found out by the first bytes, where a client speaks first."""
        declared = service.app_protocols.get(port, AppProtocol.UNKNOWN)
        return AppProtocol.TCP if declared is AppProtocol.UNKNOWN and port in SERVER_SPEAKS_FIRST else declared

    def port_name(self, service: Service, port: int) -> str:
        """What a service's manifest calls a port; empty if nothing."""
        written = self.manifests.find(core.Service, service.namespace, service.name)
        found = written.port(port) if written is not None else None
        return found.name if found is not None else ""

    def services_of(self, workload: Workload) -> Sequence[Service]:
        """The services a workload serves, by name."""
        return [self.services[key] for key in sorted(workload.services) if key in self.services]

    def service_named(self, namespace: str, name: str) -> Service | None:
        """The service of this name in Kubernetes."""
        return self._by_name.get((namespace, name))

    def workload_at(self, ip: IpAddress) -> Workload | None:
        """The workload with this address, on whatever network."""
        return self._by_ip.get(ip)

    def labels(self, workload: Workload) -> Labels:
        """The labels of the pod or entry that a workload was made from; none if its manifest is not here."""
        found = self._manifest(workload)
        if found is None:
            return inner_labels(self.manifests, workload.uid)
        return found.labels if isinstance(found, WorkloadEntry) else found.metadata.labels

    def identity(self, workload: Workload) -> str:
        """The SPIFFE URI of a workload. The wire leaves the mesh's own trust domain out (1.6)."""
        trust_domain = workload.trust_domain or self.trust_domains[0]
        return str(SpiffeId.of(trust_domain, workload.namespace, workload.service_account or "default"))

    def labels_of_proxy(self, node: EnvoyNode) -> Labels:
        """What selectors see of a proxy's pod: its manifest, which changes, before what the proxy said when it came."""
        workload = self.workload_at(node.ip)
        is_known = workload is not None and (workload.namespace, workload.name) == (node.namespace, node.name)
        found = self._manifest(workload) if workload is not None and is_known else None
        return node.labels if workload is None or found is None else self.labels(workload)

    def locality(self, node: EnvoyNode) -> Locality:
        """Where a proxy is, if that is known."""
        workload = self.workload_at(node.ip)
        return NOWHERE if workload is None else workload.locality

    def takes_mutual_tls(self, place: Place) -> bool:
        """Whether a place takes mutual TLS between sidecars: a sidecar is there, and the port has not opted out."""
        workload = place.workload
        if not workload.mutual_tls:
            return False
        peers = self.peer_modes.levels(workload.namespace, self.labels(workload)).resolve()
        return peers.at(place.port) is not MutualTls.DISABLE

    def attached(self, waypoint: EnvoyNode) -> Sequence[Service]:
        """The services whose waypoint this proxy is, by name."""
        own = self.gateway_addresses(waypoint)
        return [
            service
            for key, service in sorted(self.services.items())
            if service.waypoint is not None and service.waypoint.destination in own
        ]

    def attached_workloads(self, waypoint: EnvoyNode) -> Sequence[Workload]:
        """The workloads whose own waypoint this proxy is, by uid."""
        own = self.gateway_addresses(waypoint)
        return [
            workload
            for _, workload in sorted(self.workloads.items())
            if workload.waypoint is not None and workload.waypoint.destination in own
        ]

    def gateway_addresses(self, waypoint: EnvoyNode) -> frozenset[NetworkAddress | NamespacedHostname]:
        """What others may call a waypoint: its own address, its services and their addresses."""
        workload = self.workload_at(waypoint.ip)
        network = workload.network if workload is not None else ""
        found: set[NetworkAddress | NamespacedHostname] = {NetworkAddress(network, waypoint.ip)}
        hostname = f"{waypoint.gateway_name}.{waypoint.namespace}.svc.{waypoint.dns_domain}"
        found.add(NamespacedHostname(waypoint.namespace, hostname))
        if (known := self.told.waypoints.get(f"{waypoint.namespace}/{waypoint.gateway_name}")) is not None:
            found.add(known.address.destination)
        for service in self.services_of(workload) if workload is not None else ():
            found.add(service.key)
            found.update(service.vips)
        return frozenset(found)

    def waypoint_place(self, gateway: GatewayAddress) -> Place | None:
        """A proxy that serves a waypoint; None if nobody does (the first, where several do)."""
        destination = gateway.destination
        if isinstance(destination, NamespacedHostname):
            service = self.services.get(destination)
        else:
            service = self._by_vip.get(destination)
            workload = self.workload_at(destination.ip)
            if service is None and workload is not None:
                return Place(workload, destination.ip, gateway.hbone_mtls_port)
        found = self._serving(service) if service is not None else ()
        return next((Place(one, one.workload_ips[0], gateway.hbone_mtls_port) for one in found), None)

    def _is_of(self, workload: Workload, subset: Subset | None) -> bool:
        return subset is None or has_labels(self.labels(workload), subset.labels)

    def _places(self, service: Service, port: int) -> Iterable[Place]:
        for workload in self._serving(service):
            target = self._target(service, workload, port)
            if target:
                yield Place(workload, workload.workload_ips[0], target)

    def _serving(self, service: Service) -> Iterable[Workload]:
        """Tunnels know one address: the first, where there are several (9.2)."""
        for workload in self._by_service.get(service.key, ()):
            is_ready = workload.status is HealthStatus.HEALTHY or service.allows_unhealthy
            if workload.workload_ips and is_ready:
                yield workload

    def _target(self, service: Service, workload: Workload, port: int) -> int:
        """The port a workload serves a service's port on, 0 if none (2.9: port choice)."""
        named = service.endpoints.get(workload.uid)
        for ports in (named.ports if named is not None else {}, workload.services.get(service.key, {})):
            if port in ports:
                return ports[port]
        tunnel = workload.application_tunnel
        if service.ports.get(port, 0) == 0 and tunnel is not None and tunnel.port:
            return port
        return service.ports.get(port, 0)

    def _manifest(self, workload: Workload) -> Pod | WorkloadEntry | None:
        parts = workload.uid.split("/")
        kinds: dict[str, type[Pod] | type[WorkloadEntry]] = {"Pod": Pod, "WorkloadEntry": WorkloadEntry}
        if len(parts) < 3 or parts[-3] not in kinds:
            return None
        return self.manifests.find(kinds[parts[-3]], parts[-2], parts[-1])

    @cached_property
    def _rule_index(self) -> RuleIndex:
        return RuleIndex(self.manifests.destination_rules, self.config.cluster_domain)

    @cached_property
    def _rules_of_clients(self) -> dict[tuple[str, tuple[tuple[str, str], ...], bool], Rules]:
        return {}

    @cached_property
    def _by_ip(self) -> Mapping[IpAddress, Workload]:
        # On the host's network an address is shared, so nobody is found by it (1.2).
        own = (one for _, one in sorted(self.workloads.items()) if one.network_mode is NetworkMode.STANDARD)
        return {ip: one for one in own for ip in one.workload_ips}

    @cached_property
    def _by_name(self) -> Mapping[tuple[str, str], Service]:
        return {(one.namespace, one.name): one for _, one in sorted(self.services.items())}

    @cached_property
    def _by_vip(self) -> Mapping[NetworkAddress, Service]:
        return {vip: one for _, one in sorted(self.services.items()) for vip in one.vips}

    @cached_property
    def _by_service(self) -> Mapping[NamespacedHostname, Sequence[Workload]]:
        found: dict[NamespacedHostname, dict[str, Workload]] = {}
        for uid, workload in sorted(self.workloads.items()):
            for key in workload.services:
                found.setdefault(key, {})[uid] = workload
        for key, service in self.services.items():
            named = {uid: self.workloads[uid] for uid in service.endpoints if uid in self.workloads}
            if named:
                found.setdefault(key, {}).update(named)
        return {key: [by_uid[uid] for uid in sorted(by_uid)] for key, by_uid in found.items()}
