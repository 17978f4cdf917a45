"""One cluster: which of its endpoints is next, and how much they may be asked. Compiled, for every request asks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.address import format_address
from mesh_py.discovery.load_balance import Resolution, find_candidates
from mesh_py.http.balancing import NO_WISH, Host, HostSet, Wish
from mesh_py.http.circuit import Circuit
from mesh_py.http.errors import NoHealthyEndpoint
from mesh_py.http.outliers import Outcome, OutlierDetector
from mesh_py.manifests.metadata import NO_LABELS
from mesh_py.model.errors import RouteError
from mesh_py.model.workload import AppProtocol
from mesh_py.proxy.localities import ranks
from mesh_py.proxy.traffic import Traffic
from mesh_py.proxy.ways import way_to

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesh_py.discovery.load_balance import Upstream
    from mesh_py.discovery.record import ServiceRecord
    from mesh_py.manifests.metadata import Labels
    from mesh_py.model.address import SocketAddress
    from mesh_py.model.route import Random
    from mesh_py.model.workload import Workload
    from mesh_py.proxy.clusters import Clusters
    from mesh_py.proxy.ways import Endpoint


class Pick:
    """An endpoint that was chosen once."""

    __slots__ = ("endpoint", "host", "shown")

    def __init__(self, endpoint: Endpoint, host: Host[Upstream] | None = None) -> None:
        self.endpoint = endpoint
        self.host = host
        """Its place among those of its cluster; None for who is not behind a service."""
        self.shown = format_address(*endpoint.address)
        """Where TCP goes, for the log."""

    @property
    def name(self) -> str:
        """The pod's `ip:port`."""
        return self.host.address if self.host is not None else self.shown


class Cluster:
    """One port of a service or of its subset, as one source sees it. Its memory outlives changes of its endpoints."""

    def __init__(self, clusters: Clusters, source: Workload, record: ServiceRecord, port: int, subset: str) -> None:
        self.record, self.port, self.source, self.subset = record, port, source, subset
        self.traffic = Traffic()
        self.circuit = Circuit()
        self.hosts: HostSet[Upstream] = HostSet()
        self.outliers: OutlierDetector | None = None
        self.name = clusters.naming(port, subset, record.service.hostname)
        """As Istio names clusters."""
        self.app_protocol = AppProtocol.UNKNOWN
        """What the service says is spoken there."""
        self._clusters = clusters
        self._is_refused = False
        self._picks: dict[str, Pick] = {}
        """Those that chance has no part in."""

    def refresh(self, source: Workload, record: ServiceRecord, traffic: Traffic, labels: Labels = NO_LABELS) -> None:
        """The mesh has changed. `labels`: of the endpoints that belong to the subset."""
        self.source, self.record = source, record
        self.app_protocol = record.service.app_protocols.get(self.port, AppProtocol.UNKNOWN)
        self._picks.clear()
        if traffic != self.traffic:
            self.traffic = traffic
            self.circuit.limits = traffic.limits
            self.hosts.policy, self.hosts.least_healthy = traffic.policy, traffic.least_healthy
            self.outliers = None if traffic.outliers is None else OutlierDetector(traffic.outliers)
        self.hosts.update(self._hosts(labels))

    def _hosts(self, labels: Labels) -> Iterator[Host[Upstream]]:
        clusters, source, traffic = self._clusters, self.source, self.traffic
        workloads = clusters.state.workloads.by_uid
        found = find_candidates(self.record, workloads, source, self.port, Resolution.STANDARD)
        near = [
            upstream
            for upstream in found.upstreams
            if upstream.workload.network == source.network and clusters.has_labels(upstream.workload, labels)
        ]
        ranked = ranks(
            [upstream.workload for upstream in near],
            source.locality,
            traffic.locality,
            fails_over=traffic.outliers is not None,
        )
        for upstream, rank in zip(near, ranked, strict=True):
            yield Host(_name(upstream), upstream, rank.weight, rank.priority)

    def choose(self, now: float, wish: Wish = NO_WISH) -> Pick:
        """An endpoint. Raises NoHealthyEndpoint, RouteError (there is no way to the one that was chosen)."""
        if self.outliers is not None and self.outliers.release(self.hosts.hosts, now):
            self.hosts.changed()
        host = self.hosts.choose(self._clusters.random, wish)
        if host is None:
            raise NoHealthyEndpoint(f"no healthy upstream: {self.name}")
        return self._picks.get(host.address) or self._pick(host)

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
        if self.outliers is not None:
            outcome = Outcome.GATEWAY_ERROR if status is None else Outcome.of(status)
            if self.outliers.record(pick.host, outcome, self.hosts.hosts, now):
                self.hosts.changed()

    def endpoints(self) -> list[tuple[Host[Upstream], Endpoint]]:
        """All that can be reached, for people."""
        found = []
        for host in self.hosts.hosts.values():
            try:
                found.append((host, self._pick(host).endpoint))
            except RouteError:
                continue
        return found

    def _pick(self, host: Host[Upstream]) -> Pick:
        """How it is reached: each time in the same way, unless it lies behind several pods of a waypoint."""
        clusters, chance = self._clusters, _Chance(self._clusters.random)
        rules = clusters.rules.heeding(self.traffic.tls_mode)
        endpoint = way_to(clusters.state, self.source, host.target, self._vip(), self.port, rules, chance)
        pick = Pick(self.secured(endpoint), host)
        if not chance.was_asked:
            self._picks[host.address] = pick
        return pick

    def secured(self, endpoint: Endpoint) -> Endpoint:
        """An endpoint with the TLS that the rule asks for."""
        tls = self.traffic.originated
        return endpoint if tls is None else endpoint.secured(tls, self.record.service)

    def _vip(self) -> SocketAddress | None:
        vips = self.record.service.vips
        return (vips[0].ip, self.port) if vips else None


class _Chance:
    """Random numbers, and whether anybody has asked for one."""

    __slots__ = ("_random", "was_asked")

    def __init__(self, random: Random) -> None:
        self._random = random
        self.was_asked = False

    def __call__(self) -> float:
        self.was_asked = True
        return self._random()


def _name(upstream: Upstream) -> str:
    workload = upstream.workload
    if not workload.workload_ips:
        return f"{workload.hostname or workload.uid}:{upstream.port}"
    return format_address(workload.workload_ips[0], upstream.port)
