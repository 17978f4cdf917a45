"""How a cluster is used: what a DestinationRule says of it, in the terms of those who do it [pure]."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mesh_py.exchange.pool import PoolLimits
from mesh_py.http.balancing import Policy
from mesh_py.http.circuit import NO_LIMIT, CircuitLimits
from mesh_py.http.hash_key import HashBy
from mesh_py.http.outliers import OutlierRules
from mesh_py.manifests.traffic import Balancing, ConnectionPool, H2Upgrade, LoadBalancer

if TYPE_CHECKING:
    from mesh_py.http.messages import HttpRequest
    from mesh_py.manifests.client_tls import ClientTls, TlsMode
    from mesh_py.manifests.traffic import ConsistentHash, LocalitySetting, OutlierDetection, TrafficPolicy

_POLICIES = {
    Balancing.UNSPECIFIED: Policy.LEAST_REQUEST,
    Balancing.LEAST_REQUEST: Policy.LEAST_REQUEST,
    Balancing.LEAST_CONN: Policy.LEAST_REQUEST,
    Balancing.ROUND_ROBIN: Policy.ROUND_ROBIN,
    Balancing.RANDOM: Policy.RANDOM,
    Balancing.PASSTHROUGH: Policy.LEAST_REQUEST,
}


@dataclass(slots=True)
class Traffic:
    """One cluster's."""

    policy: Policy = Policy.LEAST_REQUEST
    hash_by: HashBy | None = None
    locality: LocalitySetting | None = None
    limits: CircuitLimits = field(default_factory=CircuitLimits)
    pool: PoolLimits = field(default_factory=PoolLimits)
    outliers: OutlierRules | None = None
    least_healthy: float = 0.0
    """With a smaller part of the endpoints healthy nobody is left out."""
    tls: ClientTls | None = None
    upgrades: bool = False
    """HTTP/1.1 goes on as HTTP/2."""
    as_client: bool = False
    """Each request goes on in the version it came in."""
    says_version: bool = field(init=False)
    """Whether `is_http2` has anything to say: asked for with every request."""

    def __post_init__(self) -> None:
        self.says_version = self.upgrades or self.as_client

    @property
    def tls_mode(self) -> TlsMode | None:
        """What it says of TLS, if anything."""
        return None if self.tls is None else self.tls.mode

    @property
    def originated(self) -> ClientTls | None:
        """The TLS that we begin ourselves, if it says so."""
        return self.tls if self.tls is not None and self.tls.is_originated else None

    @staticmethod
    def of(policy: TrafficPolicy, idle: float) -> Traffic:
        """What a policy says; where it says nothing, Istio's defaults. `idle`: seconds that connections are kept."""
        balancer = policy.balancer or LoadBalancer()
        pool, found = policy.pool or ConnectionPool(), policy.outliers
        return Traffic(
            Policy.CONSISTENT_HASH if balancer.hash is not None else _POLICIES[balancer.simple],
            _hash_by(balancer.hash),
            balancer.locality,
            _limits(pool),
            _pool(pool, idle),
            _outliers(found),
            0.0 if found is None else found.min_health_percent / 100,
            policy.tls,
            pool.h2_upgrade is H2Upgrade.UPGRADE and not pool.use_client_protocol,
            pool.use_client_protocol,
        )

    def is_http2(self, request: HttpRequest) -> bool | None:
        """Whether a request goes on as HTTP/2, where a rule says so; None where it says nothing.

        What asks for another protocol (WebSocket) stays in the version that such servers know.
        """
        if self.as_client:
            return request.version == "HTTP/2"
        return True if self.upgrades and not request.protocol else None


def _hash_by(by: ConsistentHash | None) -> HashBy | None:
    if by is None:
        return None
    return HashBy(by.header, by.cookie, by.query_parameter, by.source_ip, by.cookie_ttl, by.cookie_path)


def _outliers(found: OutlierDetection | None) -> OutlierRules | None:
    if found is None:
        return None
    return OutlierRules(
        found.consecutive_5xx,
        found.consecutive_gateway_errors,
        found.interval,
        found.base_ejection_time,
        max_ejection_percent=found.max_ejection_percent,
    )


def _limits(pool: ConnectionPool) -> CircuitLimits:
    told = (pool.max_requests, pool.max_retries)
    return CircuitLimits(*(NO_LIMIT if one is None else one for one in told))


def _pool(pool: ConnectionPool, idle: float) -> PoolLimits:
    usual = PoolLimits()
    return PoolLimits(
        pool.max_connections or usual.connections,
        pool.max_pending or usual.waiting,
        pool.max_requests_per_connection,
        pool.idle_timeout or idle,
        pool.connect_timeout,
        pool.max_concurrent_streams or usual.streams,
    )
