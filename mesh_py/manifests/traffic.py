"""DestinationRule: how the clients of a host spread and bound what they ask of it, as a whole and by subset [pure].

What is not said is None, so that rules can be laid over each other as Istio does (`DestinationRule.policy_of`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from mesh_py.manifests.metadata import NO_LABELS
from mesh_py.manifests.selector import has_labels

if TYPE_CHECKING:
    from mesh_py.manifests.client_tls import ClientTls
    from mesh_py.manifests.metadata import Labels, Metadata


class Balancing(Enum):
    """`loadBalancer.simple`."""

    UNSPECIFIED = "UNSPECIFIED"
    ROUND_ROBIN = "ROUND_ROBIN"
    LEAST_REQUEST = "LEAST_REQUEST"
    LEAST_CONN = "LEAST_CONN"
    """The older name of LEAST_REQUEST."""
    RANDOM = "RANDOM"
    PASSTHROUGH = "PASSTHROUGH"
    """Nobody is chosen: to where the client meant. Envoys only."""


@dataclass(frozen=True, slots=True)
class ConsistentHash:
    """`loadBalancer.consistentHash`: exactly one of the first four is set; what follows is for Envoys."""

    header: str = ""
    cookie: str = ""
    query_parameter: str = ""
    source_ip: bool = False
    cookie_path: str = ""
    cookie_ttl: float | None = None
    """Seconds that a cookie lives which the proxy sets where there is none; None: none is set."""
    ring_size: int = 0
    """The least entries of the ring; 0: Istio's 1024."""
    is_maglev: bool = False
    table_size: int = 0
    """Of Maglev, a prime; 0: Envoy's own."""


class Share(NamedTuple):
    """Where a part of the traffic of one locality goes."""

    to: str
    """A locality, or one whose end is `*`."""
    weight: int
    """Of a hundred."""


@dataclass(frozen=True, slots=True)
class LocalitySetting:
    """`localityLbSetting`. Localities are `region/zone/subzone`."""

    enabled: bool = True
    distribute: tuple[tuple[str, tuple[Share, ...]], ...] = ()
    """By the locality of the client."""
    failover: tuple[tuple[str, str], ...] = ()
    """From region to region, before any other."""


@dataclass(frozen=True, slots=True)
class LoadBalancer:
    """`loadBalancer`."""

    simple: Balancing = Balancing.UNSPECIFIED
    hash: ConsistentHash | None = None
    locality: LocalitySetting | None = None
    warmup: float | None = None
    """Seconds in which a new endpoint comes to its full share. Envoys only."""


class Keepalive(NamedTuple):
    """`tcpKeepalive`; None: as the system has it. Times are seconds."""

    probes: int | None = None
    time: float | None = None
    interval: float | None = None


class H2Upgrade(Enum):
    """`h2UpgradePolicy`: whether HTTP/1.1 goes on as HTTP/2."""

    DEFAULT = "DEFAULT"
    DO_NOT_UPGRADE = "DO_NOT_UPGRADE"
    UPGRADE = "UPGRADE"


@dataclass(frozen=True, slots=True)
class ConnectionPool:
    """`connectionPool`; None: no limit, and the proxy's own times. `max_requests_per_connection` 0: no limit either.

    The TCP idle timeout, the duration and the keepalive are for Envoys.
    """

    max_connections: int | None = None
    max_pending: int | None = None
    max_requests: int | None = None
    max_retries: int | None = None
    max_requests_per_connection: int = 0
    connect_timeout: float | None = None
    """Seconds."""
    idle_timeout: float | None = None
    """Seconds without a request until a connection closes."""
    tcp_idle_timeout: float | None = None
    """Seconds without a byte until a plain connection closes."""
    max_connection_duration: float | None = None
    """Seconds."""
    keepalive: Keepalive | None = None
    h2_upgrade: H2Upgrade = H2Upgrade.DEFAULT
    use_client_protocol: bool = False
    """Each request goes on in the version it came in."""
    max_concurrent_streams: int | None = None
    """Of one HTTP/2 connection."""


@dataclass(frozen=True, slots=True)
class OutlierDetection:
    """`outlierDetection`, with Istio's defaults. Times are seconds."""

    consecutive_5xx: int = 5
    consecutive_gateway_errors: int = 0
    interval: float = 10.0
    base_ejection_time: float = 30.0
    max_ejection_percent: int = 10
    min_health_percent: int = 0
    """With fewer healthy endpoints than this nobody is left out."""
    splits_local_errors: bool = False
    """Failures to connect are counted apart from answers. Envoys only, as the next."""
    consecutive_local_failures: int = 0


@dataclass(frozen=True, slots=True)
class TrafficPolicy:
    """`trafficPolicy` of a host, a port or a subset."""

    balancer: LoadBalancer | None = None
    pool: ConnectionPool | None = None
    outliers: OutlierDetection | None = None
    tls: ClientTls | None = None
    ports: tuple[tuple[int, TrafficPolicy], ...] = ()
    """`portLevelSettings`."""

    def of_port(self, port: int) -> TrafficPolicy | None:
        """What is said of a port alone: nothing else of the policy holds there."""
        return next((policy for number, policy in self.ports if number == port), None)

    def over(self, below: TrafficPolicy) -> TrafficPolicy:
        """Itself, with what it does not say taken from another. Nothing of ports."""
        return TrafficPolicy(
            self.balancer or below.balancer,
            self.pool or below.pool,
            self.outliers or below.outliers,
            self.tls or below.tls,
        )

    def without_secrets(self) -> TrafficPolicy:
        """For a client whose Secrets it may not name."""
        ports = tuple((number, policy.without_secrets()) for number, policy in self.ports)
        return replace(self, tls=self.tls and self.tls.withheld, ports=ports)


NO_POLICY = TrafficPolicy()


@dataclass(frozen=True, slots=True)
class Subset:
    """Some of a host's endpoints, by their labels."""

    name: str
    labels: Labels = field(default_factory=lambda: NO_LABELS)
    policy: TrafficPolicy = NO_POLICY


@dataclass(frozen=True, slots=True)
class DestinationRule:
    """One rule for one host."""

    kind: ClassVar[str] = "DestinationRule"
    metadata: Metadata
    host: str
    """A full name, a short one of the rule's own namespace, or one that begins with `*.`."""
    policy: TrafficPolicy = NO_POLICY
    subsets: tuple[Subset, ...] = ()
    export_to: tuple[str, ...] = ()
    """Namespaces that see it: `*` (as when empty), `.` its own, or names."""
    selector: Labels = field(default_factory=lambda: NO_LABELS)
    """`workloadSelector`: only clients of its own namespace that have these labels follow it; empty: all do."""

    def subset(self, name: str) -> Subset | None:
        """The first of that name."""
        return next((one for one in self.subsets if one.name == name), None)

    def policy_of(self, port: int, subset: str = "") -> TrafficPolicy:
        """What holds at a port of the host, or of a subset.

        As Istio merges: a port's own settings stand alone, and take nothing from those around them; else each section
        that the subset has replaces the host's whole.
        """
        whole = self.policy.of_port(port) or self.policy.over(NO_POLICY)
        narrower = self.subset(subset) if subset else None
        if narrower is None:
            return whole
        return narrower.policy.of_port(port) or narrower.policy.over(whole)

    def is_visible_to(self, namespace: str) -> bool:
        """Whether clients of a namespace follow it."""
        own = self.metadata.namespace
        return not self.export_to or bool({"*", namespace} & {own if to == "." else to for to in self.export_to})

    def is_for(self, namespace: str, labels: Labels) -> bool:
        """Whether a client of a namespace that has these labels follows it, if it names the host."""
        is_chosen = not self.selector or (namespace == self.metadata.namespace and has_labels(labels, self.selector))
        return is_chosen and self.is_visible_to(namespace)

    def without_secrets(self) -> DestinationRule:
        """For a client whose Secrets it may not name."""
        subsets = tuple(replace(one, policy=one.policy.without_secrets()) for one in self.subsets)
        without = replace(self, policy=self.policy.without_secrets(), subsets=subsets)
        return self if without == self else without

    def joined(self, younger: DestinationRule) -> DestinationRule:
        """Two rules for one host, as one: the older's policy if it has any, and the subsets of both."""
        names = {one.name for one in self.subsets}
        more = tuple(one for one in younger.subsets if one.name not in names)
        policy = younger.policy if self.policy == NO_POLICY else self.policy
        return replace(self, policy=policy, subsets=self.subsets + more)
