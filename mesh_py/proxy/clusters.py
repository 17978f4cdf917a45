"""Clusters: the endpoints behind a port of a service, which of them is next, and how much they may be asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mesh_py.discovery.load_balance import Resolution, find_candidates
from mesh_py.discovery.waypoint import upstream_of
from mesh_py.exchange.pool import PoolLimits
from mesh_py.http.balancing import NO_WISH, Host, HostSet, Policy, Wish
from mesh_py.http.circuit import NO_LIMIT, Circuit, CircuitLimits
from mesh_py.http.errors import NoHealthyEndpoint
from mesh_py.http.hash_key import HashBy
from mesh_py.http.outliers import Outcome, OutlierDetector, OutlierRules
from mesh_py.manifests.traffic import Balancing, ConnectionPool
from mesh_py.model.address import format_address
from mesh_py.model.errors import NoHealthyUpstream, RouteError
from mesh_py.proxy.ways import Endpoint, Hbone, Plain, WayRules, way_to

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from mesh_py.discovery.load_balance import Upstream
    from mesh_py.discovery.record import ServiceRecord
    from mesh_py.discovery.state import MeshState
    from mesh_py.manifests.traffic import DestinationRule
    from mesh_py.model.address import SocketAddress
    from mesh_py.model.workload import Workload
    from mesh_py.proxy.directory import Destination, Directory

_POLICIES = {
    Balancing.UNSPECIFIED: Policy.LEAST_REQUEST,
    Balancing.LEAST_REQUEST: Policy.LEAST_REQUEST,
    Balancing.ROUND_ROBIN: Policy.ROUND_ROBIN,
    Balancing.RANDOM: Policy.RANDOM,
}


@dataclass(eq=False, slots=True)
class Pick:
    """An endpoint that was chosen once."""

    endpoint: Endpoint
    host: Host[Upstream] | None = None
    """Its place among those of its cluster; None for who is not behind a service."""

    @property
    def name(self) -> str:
        """The pod's `ip:port`."""
        return self.host.address if self.host is not None else format_address(*self.endpoint.address)


@dataclass(slots=True)
class Traffic:
    """How a cluster is used: a DestinationRule in the terms of this file."""

    policy: Policy = Policy.LEAST_REQUEST
    hash_by: HashBy | None = None
    limits: CircuitLimits = field(default_factory=CircuitLimits)
    pool: PoolLimits = field(default_factory=PoolLimits)
    outliers: OutlierRules | None = None

    @staticmethod
    def of(rule: DestinationRule | None, idle: float) -> Traffic:
        """What a rule says; without one, Istio's defaults."""
        if rule is None:
            return Traffic(pool=PoolLimits(idle=idle))
        by = rule.hash
        policy = Policy.CONSISTENT_HASH if by is not None else _POLICIES[rule.balancing]
        found = rule.outliers
        outliers = None
        if found is not None:
            outliers = OutlierRules(
                found.consecutive_5xx,
                found.consecutive_gateway_errors,
                found.interval,
                found.base_ejection_time,
                max_ejection_percent=found.max_ejection_percent,
            )
        hash_by = None if by is None else HashBy(by.header, by.cookie, by.query_parameter, by.source_ip)
        return Traffic(policy, hash_by, _limits(rule.pool), _pool(rule.pool, idle), outliers)


def _limits(pool: ConnectionPool) -> CircuitLimits:
    told = (pool.max_connections, pool.max_pending, pool.max_requests, pool.max_retries)
    return CircuitLimits(*(NO_LIMIT if one is None else one for one in told))


def _pool(pool: ConnectionPool, idle: float) -> PoolLimits:
    usual = PoolLimits()
    return PoolLimits(
        pool.max_connections or usual.connections,
        pool.max_pending or usual.waiting,
        pool.max_requests_per_connection,
        idle,
    )


class Cluster:
    """One port of a service, as one source sees it. Its memory outlives changes of its endpoints."""

    def __init__(self, clusters: Clusters, source: Workload, record: ServiceRecord, port: int) -> None:
        self.record, self.port, self.source = record, port, source
        self.traffic = Traffic()
        self.circuit = Circuit()
        self.hosts: HostSet[Upstream] = HostSet()
        self.outliers: OutlierDetector | None = None
        self._clusters = clusters
        self._ways: dict[str, Endpoint] = {}

    @property
    def name(self) -> str:
        """As Istio names clusters."""
        return self._clusters.naming.format(port=self.port, host=self.record.service.hostname)

    def refresh(self, source: Workload, record: ServiceRecord, traffic: Traffic) -> None:
        """The mesh has changed."""
        self.source, self.record = source, record
        self._ways.clear()
        if traffic != self.traffic:
            self.traffic = traffic
            self.circuit.limits = traffic.limits
            self.hosts.policy = traffic.policy
            self.outliers = None if traffic.outliers is None else OutlierDetector(traffic.outliers)
        found = find_candidates(record, self._clusters.state.workloads.by_uid, source, self.port, Resolution.STANDARD)
        self.hosts.update(
            Host(_name(upstream), upstream, upstream.workload.capacity)
            for upstream in found.upstreams
            if upstream.workload.network == source.network
        )

    def choose(self, now: float, wish: Wish = NO_WISH) -> Pick:
        """An endpoint. Raises NoHealthyEndpoint, RouteError (there is no way to the one that was chosen)."""
        if self.outliers is not None and self.outliers.release(self.hosts.hosts, now):
            self.hosts.changed()
        host = self.hosts.choose(self._clusters.random, wish)
        if host is None:
            raise NoHealthyEndpoint(f"no healthy upstream: {self.name}")
        return Pick(self._endpoint(host), host)

    def begun(self, pick: Pick) -> None:
        """A request is on its way. Raises UpstreamOverflow; then it is not."""
        self.circuit.take_request()
        if pick.host is not None:
            pick.host.active += 1

    def ended(self, pick: Pick, status: int | None, now: float) -> None:
        """It is over: how it was answered, None if it was not."""
        self.circuit.requests -= 1
        if pick.host is None:
            return
        pick.host.active -= 1
        outcome = Outcome.GATEWAY_ERROR if status is None else Outcome.of(status)
        if self.outliers is not None and self.outliers.record(pick.host, outcome, self.hosts.hosts, now):
            self.hosts.changed()

    def endpoints(self) -> list[tuple[Host[Upstream], Endpoint]]:
        """All that can be reached, for people."""
        found = []
        for host in self.hosts.hosts.values():
            try:
                found.append((host, self._endpoint(host)))
            except RouteError:
                continue
        return found

    def _endpoint(self, host: Host[Upstream]) -> Endpoint:
        endpoint = self._ways.get(host.address)
        if endpoint is None:
            clusters = self._clusters
            endpoint = way_to(
                clusters.state, self.source, host.target, self._vip(), self.port, clusters.rules, clusters.random
            )
            if not isinstance(endpoint.way, Hbone) or not endpoint.way.is_waypoint:  # a waypoint has pods of its own
                self._ways[host.address] = endpoint
        return endpoint

    def _vip(self) -> SocketAddress | None:
        vips = self.record.service.vips
        return (vips[0].ip, self.port) if vips else None


def _name(upstream: Upstream) -> str:
    workload = upstream.workload
    if not workload.workload_ips:
        return f"{workload.hostname or workload.uid}:{upstream.port}"
    return format_address(workload.workload_ips[0], upstream.port)


class Clusters:
    """All clusters of one source."""

    def __init__(
        self,
        state: MeshState,
        directory: Directory,
        rules: WayRules,
        random: Callable[[], float],
        idle: float,
        naming: str = "outbound|{port}||{host}",
    ) -> None:
        """`naming`: how clusters are called in logs."""
        self.state, self.rules, self.random, self.naming = state, rules, random, naming
        self._directory, self._idle = directory, idle
        self._known: dict[Hashable, tuple[object, Cluster]] = {}

    def of(self, source: Workload, record: ServiceRecord, port: int) -> Cluster:
        """The cluster of a service's port."""
        key = (record.service.key, port)
        version = (self.state.version, self._directory.further)
        known = self._known.get(key)
        if known is not None and known[0] == version:
            return known[1]
        cluster = Cluster(self, source, record, port) if known is None else known[1]
        cluster.refresh(source, record, Traffic.of(self._directory.traffic(record), self._idle))
        self._forget_gone()
        self._known[key] = (version, cluster)
        return cluster

    def _forget_gone(self) -> None:
        services = self.state.services.by_key
        for key in [key for key, (_, cluster) in self._known.items() if cluster.record.service.key not in services]:
            del self._known[key]

    def pick(self, source: Workload, destination: Destination, now: float) -> Pick:
        """Somewhere to go for a connection to a destination. Raises NoHealthyEndpoint, RouteError."""
        if destination.record is not None and not destination.record.service.is_passthrough:
            return self.of(source, destination.record, destination.port).choose(now)
        workload = destination.workload
        if workload is None:
            return Pick(Endpoint(Plain(destination.address)))
        if workload.network != source.network:
            raise NoHealthyUpstream(format_address(*destination.address))
        upstream = upstream_of(workload, destination.port)
        return Pick(
            way_to(self.state, source, upstream, destination.address, destination.port, self.rules, self.random)
        )

    def known(self) -> list[Cluster]:
        """Those in use, for people."""
        return [cluster for _, cluster in self._known.values()]
