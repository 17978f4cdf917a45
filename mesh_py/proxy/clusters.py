"""Clusters: the endpoints behind a port of a service or of its subset, and whoever is behind none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.address import format_address
from mesh_py.discovery.waypoint import upstream_of
from mesh_py.http.balancing import NO_WISH, Wish
from mesh_py.http.errors import InvalidBackend
from mesh_py.manifests.metadata import NO_LABELS
from mesh_py.manifests.objects import inner_labels
from mesh_py.manifests.selector import has_labels
from mesh_py.manifests.traffic import NO_POLICY
from mesh_py.model.errors import NoHealthyUpstream
from mesh_py.proxy.cluster import Cluster, Pick
from mesh_py.proxy.traffic import Traffic
from mesh_py.proxy.ways import Endpoint, Plain, WayRules, way_to

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from mesh_py.discovery.record import ServiceRecord
    from mesh_py.discovery.state import MeshState
    from mesh_py.manifests.metadata import Labels
    from mesh_py.model.workload import Workload
    from mesh_py.proxy.directory import Destination, Directory


class Clusters:
    """All clusters of one source."""

    def __init__(
        self,
        state: MeshState,
        directory: Directory,
        rules: WayRules,
        random: Callable[[], float],
        idle: float,
        naming: Callable[[int, str, str], str] = lambda port, subset, host: f"outbound|{port}|{subset}|{host}",
    ) -> None:
        """`naming`: how clusters are called in logs, by port, subset and host."""
        self.state, self.rules, self.random, self.naming = state, rules, random, naming
        self._directory, self._idle = directory, idle
        self._known: dict[Hashable, tuple[object, Cluster]] = {}

    def of(self, source: Workload, record: ServiceRecord, port: int, subset: str = "") -> Cluster:
        """The cluster of a service's port, or of a subset. Raises InvalidBackend where there is no such subset."""
        key = (record.service.key, port, subset)
        version = (self.state.version, self._directory.further)
        known = self._known.get(key)
        if known is not None and known[0] == version:
            return known[1]
        rule = self._directory.traffic(source, record)
        chosen = rule.subset(subset) if rule is not None else None
        if subset and chosen is None:
            raise InvalidBackend(f"no DestinationRule of {record.service.hostname} has a subset {subset}")
        cluster = Cluster(self, source, record, port, subset) if known is None else known[1]
        policy = NO_POLICY if rule is None else rule.policy_of(port, subset)
        cluster.refresh(source, record, Traffic.of(policy, self._idle), NO_LABELS if chosen is None else chosen.labels)
        self._forget_gone()
        self._known[key] = (version, cluster)
        return cluster

    def has_labels(self, workload: Workload, labels: Labels) -> bool:
        """Whether a workload has all of these."""
        if not labels:
            return True
        further = self._directory.further
        own = inner_labels(further.manifests, workload.uid) or further.labels_of(workload.namespace, workload.name)
        return has_labels(own, labels)

    def _forget_gone(self) -> None:
        services = self.state.services.by_key
        for key in [key for key, (_, cluster) in self._known.items() if cluster.record.service.key not in services]:
            del self._known[key]

    def pick(self, source: Workload, destination: Destination, now: float, client_ip: str = "") -> Pick:
        """Somewhere to go for a connection of a client to a destination. Raises NoHealthyEndpoint, RouteError."""
        if destination.record is not None and not destination.record.service.is_passthrough:
            cluster = self.of(source, destination.record, destination.port)
            by = cluster.traffic.hash_by
            return cluster.choose(now, Wish(client_ip) if by is not None and by.source_ip and client_ip else NO_WISH)
        return Pick(self._one(source, destination, self.rules))

    def pick_pod(self, source: Workload, pod: Destination, meant: Destination) -> Pick:
        """The pod that a client has chosen among a service's: of its rule the TLS holds. Raises RouteError."""
        if meant.record is None:
            return Pick(self._one(source, pod, self.rules))
        cluster = self.of(source, meant.record, meant.port)
        return Pick(cluster.secured(self._one(source, pod, self.rules.heeding(cluster.traffic.tls_mode))))

    def _one(self, source: Workload, destination: Destination, rules: WayRules) -> Endpoint:
        """Somebody who is not chosen among others."""
        workload = destination.workload
        if workload is None:
            return Endpoint(Plain(destination.address))
        if workload.network != source.network:
            raise NoHealthyUpstream(format_address(*destination.address))
        upstream = upstream_of(workload, destination.port)
        return way_to(self.state, source, upstream, destination.address, destination.port, rules, self.random)

    def known(self) -> list[Cluster]:
        """Those in use, for people."""
        return [cluster for _, cluster in self._known.values()]
