"""Clusters: the endpoints behind a port of a service, and which of them is next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.discovery.load_balance import Resolution, find_candidates
from mesh_py.discovery.waypoint import upstream_of
from mesh_py.http.errors import NoHealthyEndpoint
from mesh_py.model.address import format_address
from mesh_py.model.errors import NoHealthyUpstream, RouteError
from sidecar_py.ways import Endpoint, Plain, WayRules, way_to

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from mesh_py.discovery.record import ServiceRecord
    from mesh_py.discovery.state import MeshState
    from mesh_py.model.address import SocketAddress
    from mesh_py.model.workload import Workload
    from sidecar_py.directory import Destination


class Cluster:
    """One port of a service, or a single workload, as one source sees it."""

    def __init__(
        self,
        state: MeshState,
        source: Workload,
        record: ServiceRecord,
        port: int,
        rules: WayRules,
        random: Callable[[], float],
    ) -> None:
        self.record, self.port = record, port
        self._state, self._source, self._rules, self._random = state, source, rules, random
        found = find_candidates(record, state.workloads.by_uid, source, port, Resolution.STANDARD)
        here = [upstream for upstream in found.upstreams if upstream.workload.network == source.network]
        self._upstreams = here
        self._endpoints: dict[int, Endpoint] = {}

    @property
    def name(self) -> str:
        """As Istio names clusters."""
        return f"outbound|{self.port}||{self.record.service.hostname}"

    @property
    def endpoints(self) -> list[Endpoint]:
        """All that can be reached, for people."""
        found = []
        for index in range(len(self._upstreams)):
            try:
                found.append(self._endpoint(index))
            except RouteError:
                continue
        return found

    def choose(self, tried: frozenset[Endpoint] = frozenset()) -> Endpoint:
        """An endpoint by chance in proportion to capacity, one not tried yet where there is one.

        Raises NoHealthyEndpoint, RouteError.
        """
        fresh = [index for index in range(len(self._upstreams)) if self._endpoints.get(index) not in tried]
        candidates = fresh or range(len(self._upstreams))
        weights = [self._upstreams[index].workload.capacity for index in candidates]
        total = sum(weights)
        if not total:
            raise NoHealthyEndpoint(f"no healthy upstream: {self.name}")
        point = self._random() * total
        for index, weight in zip(candidates, weights, strict=True):
            point -= weight
            if point < 0:
                return self._endpoint(index)
        return self._endpoint(candidates[-1])

    def _endpoint(self, index: int) -> Endpoint:
        endpoint = self._endpoints.get(index)
        if endpoint is None:
            endpoint = self._endpoints[index] = way_to(
                self._state, self._source, self._upstreams[index], self._vip(), self.port, self._rules, self._random
            )
        return endpoint

    def _vip(self) -> SocketAddress | None:
        vips = self.record.service.vips
        return (vips[0].ip, self.port) if vips else None


class Clusters:
    """All clusters of one source, kept until the mesh changes."""

    def __init__(self, state: MeshState, rules: WayRules, random: Callable[[], float]) -> None:
        self._state, self._rules, self._random = state, rules, random
        self._version = -1
        self._known: dict[Hashable, Cluster] = {}

    def of(self, source: Workload, record: ServiceRecord, port: int) -> Cluster:
        """The cluster of a service's port."""
        if self._version != self._state.version:
            self._version = self._state.version
            self._known.clear()
        key = (record.service.key, port)
        cluster = self._known.get(key)
        if cluster is None:
            cluster = self._known[key] = Cluster(self._state, source, record, port, self._rules, self._random)
        return cluster

    def endpoint(self, source: Workload, destination: Destination) -> Endpoint:
        """Somewhere to go for a connection to a destination. Raises NoHealthyEndpoint, RouteError."""
        if destination.record is not None and not destination.record.service.is_passthrough:
            return self.of(source, destination.record, destination.port).choose()
        workload = destination.workload
        if workload is None:
            return Endpoint(Plain(destination.address))
        if workload.network != source.network:
            raise NoHealthyUpstream(format_address(*destination.address))
        upstream = upstream_of(workload, destination.port)
        return way_to(self._state, source, upstream, destination.address, destination.port, self._rules, self._random)

    def known(self) -> list[Cluster]:
        """Those in use, for people."""
        return list(self._known.values())
