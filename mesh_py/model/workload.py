"""Workloads and services: what the control plane tells about them (hbone-controlplane 1.2) [pure].

Field names follow the protocol. Enum values are the words of the local file and of config dumps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

from hbone_py.identity import InvalidSpiffeIdError, SpiffeId
from mesh_py.model.address import (
    GatewayAddress,
    IpAddress,
    NamespacedHostname,
    NetworkAddress,
    NetworkCidr,
    is_ipv6,
)

Ports = Mapping[int, int]
"""Service port to target port. On a service, target 0 is a named port that every endpoint resolves."""

NO_PORTS: Ports = MappingProxyType({})


class Protocol(Enum):
    """How a workload is reached: plain TCP, or HBONE on its port 15008."""

    TCP = "TCP"
    HBONE = "HBONE"


class NetworkMode(Enum):
    """A workload on the host's network shares its node's address, so it is never found by IP."""

    STANDARD = "Standard"
    HOST_NETWORK = "HostNetwork"


class HealthStatus(Enum):
    """Whether a workload is ready to serve."""

    HEALTHY = "Healthy"
    UNHEALTHY = "Unhealthy"


class TunnelProtocol(Enum):
    """What a workload behind an application tunnel expects in front of the payload."""

    NONE = "NONE"
    PROXY = "PROXY"


class LoadBalancerMode(Enum):
    """How endpoints are chosen (hbone-dataplane 2.4)."""

    STANDARD = "Standard"
    STRICT = "Strict"
    FAILOVER = "Failover"
    PASSTHROUGH = "Passthrough"


class LoadBalancerScope(Enum):
    """What may be compared between the source and an endpoint."""

    REGION = "Region"
    ZONE = "Zone"
    SUBZONE = "Subzone"
    NODE = "Node"
    CLUSTER = "Cluster"
    NETWORK = "Network"


class HealthPolicy(Enum):
    """Whether unhealthy endpoints of a service get traffic."""

    ONLY_HEALTHY = "OnlyHealthy"
    ALLOW_ALL = "AllowAll"


class IpFamilies(Enum):
    """The address families a service is offered on."""

    IPV4 = "IPv4"
    IPV6 = "IPv6"
    DUAL = "Dual"

    def accepts(self, ip: IpAddress) -> bool:
        """Whether an address of this family may serve."""
        return self is IpFamilies.DUAL or (self is IpFamilies.IPV6) is is_ipv6(ip)


class AppProtocol(Enum):
    """What a service port is declared to speak."""

    UNKNOWN = "UNKNOWN"
    HTTP11 = "HTTP11"
    HTTP2 = "HTTP2"
    GRPC = "GRPC"
    TCP = "TCP"
    TLS = "TLS"


class Visibility(Enum):
    """Who sees a service: everybody, or clients of its own namespace."""

    PUBLIC = "Public"
    NAMESPACE = "Namespace"


class Locality(NamedTuple):
    """Where a workload runs."""

    region: str = ""
    zone: str = ""
    subzone: str = ""


class ApplicationTunnel(NamedTuple):
    """A hand-over port in front of the application, as waypoints behind a node proxy have it."""

    protocol: TunnelProtocol
    port: int | None = None


class WeightedWaypoint(NamedTuple):
    """One of several waypoints; a connection picks one in proportion to the weights."""

    destination: GatewayAddress
    weight: int


NOWHERE = Locality()


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    """How a service spreads its connections."""

    routing_preferences: tuple[LoadBalancerScope, ...] = ()
    mode: LoadBalancerMode = LoadBalancerMode.STANDARD
    health_policy: HealthPolicy = HealthPolicy.ONLY_HEALTHY


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A workload's place behind a service; `ports` overrides the service's target ports."""

    workload_uid: str
    ports: Ports = field(default_factory=dict)
    status: HealthStatus = HealthStatus.HEALTHY


@dataclass(frozen=True, slots=True)
class Workload:
    """A pod, a virtual machine, or an address that merely stands for one.

    Defaults are those of the local file (hbone-controlplane 5); the protocol's own are filled in where
    it is decoded.
    """

    uid: str = ""
    """Globally unique, opaque, but for the `//Pod/` that marks a pod of Kubernetes."""
    name: str = ""
    namespace: str = ""
    workload_ips: tuple[IpAddress, ...] = ()
    hostname: str = ""
    """A DNS name to resolve on each use; only where `workload_ips` is empty."""
    network: str = ""
    protocol: Protocol = Protocol.TCP
    network_mode: NetworkMode = NetworkMode.STANDARD
    trust_domain: str = ""
    service_account: str = ""
    waypoint: GatewayAddress | None = None
    network_gateway: GatewayAddress | None = None
    """The gateway into `network`, used from other networks only."""
    node: str = ""
    workload_name: str = ""
    workload_type: str = ""
    canonical_name: str = ""
    canonical_revision: str = ""
    cluster_id: str = ""
    locality: Locality = NOWHERE
    native_tunnel: bool = False
    """The application speaks HBONE by itself."""
    application_tunnel: ApplicationTunnel | None = None
    services: Mapping[NamespacedHostname, Ports] = field(default_factory=dict)
    """The services it serves, each with the ports it serves them on."""
    authorization_policies: tuple[str, ...] = ()
    """Names (`namespace/name`) of the policies whose selector matches."""
    status: HealthStatus = HealthStatus.HEALTHY
    capacity: int = 1
    """Weight in load balancing; 0 is never chosen."""
    mutual_tls: bool = False
    """A proxy of its own takes Istio's mutual TLS on its ports: what a sidecar does that calls it. Ours; ztunnel's
    protocol does not know it."""
    identity: SpiffeId = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        identity = SpiffeId.of(self.trust_domain, self.namespace, self.service_account)
        object.__setattr__(self, "identity", identity)


@dataclass(frozen=True, slots=True)
class Service:
    """A name and its virtual addresses, in front of endpoints."""

    name: str
    namespace: str
    hostname: str
    vips: tuple[NetworkAddress, ...] = ()
    ports: Ports = field(default_factory=dict)
    cidr_vips: tuple[NetworkCidr, ...] = ()
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    """Endpoints the service itself names, by workload uid. Most come from `Workload.services` instead."""
    subject_alt_names: tuple[str, ...] = ()
    waypoint: GatewayAddress | None = None
    weighted_waypoints: tuple[WeightedWaypoint, ...] = ()
    load_balancer: LoadBalancer | None = None
    ip_families: IpFamilies | None = None
    canonical: bool = False
    visibility: Visibility = Visibility.PUBLIC
    app_protocols: Mapping[int, AppProtocol] = field(default_factory=dict)
    """By service port; a port that is not named here is UNKNOWN. Node proxies pass everything on alike."""
    key: NamespacedHostname = field(init=False, repr=False, compare=False)
    identities: tuple[SpiffeId, ...] = field(init=False, repr=False, compare=False)
    """The `subject_alt_names` that are SPIFFE identities, in order; others cannot be expected of anyone."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", NamespacedHostname(self.namespace, self.hostname))
        object.__setattr__(self, "identities", tuple(_identities(self.subject_alt_names)))

    @property
    def is_passthrough(self) -> bool:
        """Whether connections keep their original destination."""
        return self.load_balancer is not None and self.load_balancer.mode is LoadBalancerMode.PASSTHROUGH

    @property
    def allows_unhealthy(self) -> bool:
        """Whether unhealthy endpoints serve too."""
        balancer = self.load_balancer
        return balancer is not None and balancer.health_policy is HealthPolicy.ALLOW_ALL

    def is_visible_to(self, namespace: str) -> bool:
        """Whether clients of `namespace` may find the service."""
        return self.visibility is Visibility.PUBLIC or namespace == self.namespace


def _identities(names: tuple[str, ...]) -> list[SpiffeId]:
    found = []
    for name in names:
        try:
            found.append(SpiffeId.parse(name))
        except InvalidSpiffeIdError:
            continue  # hbone-dataplane 1.1: other subject alternative names are dropped
    return found
