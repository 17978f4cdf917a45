"""Where a route's decision leads: to which cluster, within which limits. Cached, since most are the same each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.http.errors import InvalidBackend
from mesh_py.proxy.backends import limits_of
from mesh_py.proxy.mesh_cache import MeshCache

if TYPE_CHECKING:
    from mesh_py.discovery.record import ServiceRecord
    from mesh_py.exchange.passage import Limits
    from mesh_py.http.router import Forward
    from mesh_py.manifests.references import BackendReference
    from mesh_py.proxy.cluster import Cluster
    from mesh_py.proxy.clusters import Clusters
    from mesh_py.proxy.context import AnyContext

_KEPT = 4096


class ResolvedRoute:
    """A route's decision with the cluster and limits it comes to."""

    __slots__ = ("asked", "cluster", "decision", "limits")

    def __init__(self, asked: ServiceRecord, decision: Forward | None, cluster: Cluster, limits: Limits) -> None:
        self.asked = asked
        """The service that the request was for."""
        self.decision = decision
        """None: no route is for the request."""
        self.cluster, self.limits = cluster, limits


class ResolvedRoutes:
    """One per process and direction."""

    def __init__(self, context: AnyContext, clusters: Clusters) -> None:
        self._context, self._clusters = context, clusters
        self._known: MeshCache[tuple[int, int, int], ResolvedRoute] = MeshCache(context, _KEPT)

    def of(self, record: ServiceRecord, port: int, decision: Forward | None) -> ResolvedRoute:
        """The route of a request to a service's port. Raises InvalidBackend.

        Decisions that change requests are made anew each time, and so are not cached.
        """
        key = (id(record), port, id(decision))
        known = self._known.get(key)
        if known is not None and known.asked is record and known.decision is decision:
            return known
        resolved = self._find(record, port, decision)
        return resolved if decision is not None and decision.filters else self._known.keep(key, resolved)

    def _find(self, record: ServiceRecord, port: int, decision: Forward | None) -> ResolvedRoute:
        found, subset = record, ""
        if decision is not None:
            found, port = self.backend(decision, decision.backend, port)
            subset = decision.subset
        cluster = self._clusters.of(self._context.workload, found, port, subset)
        return ResolvedRoute(record, decision, cluster, limits_of(decision))

    def backend(self, decision: Forward, reference: BackendReference, port: int) -> tuple[ServiceRecord, int]:
        """The service that a route names, and its port. Raises InvalidBackend."""
        found = self._context.directory.backend(self._context.workload, reference)
        port = reference.port or port
        if found is None or port not in found.service.ports:
            where = f"{reference.namespace}/{reference.name}:{port}"
            raise InvalidBackend(f"route {decision.rule.name}: there is no backend {where}")
        return found, port
