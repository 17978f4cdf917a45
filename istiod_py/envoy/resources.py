"""All resources of one Envoy: the way in to this package [pure].

Types come in the order in which they are safe to send: clusters and endpoints before the listeners and routes that
name them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from istiod_py.envoy import clusters, endpoints, names, tunnel
from istiod_py.envoy.access_log import logged
from istiod_py.envoy.form_today import TODAY
from istiod_py.envoy.inbound import application_ports, main_internal, virtual_inbound
from istiod_py.envoy.mesh import Target
from istiod_py.envoy.node import ProxyType
from istiod_py.envoy.outbound import outbound_listeners, outbound_routes, visible_services
from istiod_py.envoy.router import gateway_listeners, gateway_routes
from istiod_py.envoy.waypoint import Waypoint
from mesh_py.model.address import is_ipv6
from mesh_py.xds import types

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from istiod_py.envoy.extension import Json
    from istiod_py.envoy.form import Form
    from istiod_py.envoy.mesh import EnvoyMesh
    from istiod_py.envoy.node import EnvoyNode

Named = Mapping[str, "Json"]
"""Resources by name."""


class EnvoyResources(NamedTuple):
    """The resources of a proxy, all but its certificates (`secrets.py`)."""

    clusters: Named
    endpoints: Named
    listeners: Named
    routes: Named

    def by_type(self) -> Mapping[str, Named]:
        """The same by type URL."""
        return {
            types.CLUSTER: self.clusters,
            types.ENDPOINTS: self.endpoints,
            types.LISTENER: self.listeners,
            types.ROUTE: self.routes,
        }


def resources_of(mesh: EnvoyMesh, node: EnvoyNode, form: Form = TODAY) -> EnvoyResources:
    """What this proxy is to do in this mesh."""
    match node.type:
        case ProxyType.SIDECAR:
            told = _sidecar(mesh, node, form)
        case ProxyType.WAYPOINT:
            told = _waypoint(mesh, node, form)
        case ProxyType.ROUTER:
            told = _router(mesh, node, form)
    return told._replace(listeners=_by_name(logged(told.listeners.values(), node.access_log)))


def _sidecar(mesh: EnvoyMesh, node: EnvoyNode, form: Form) -> EnvoyResources:
    ipv6 = is_ipv6(node.ip)
    services, assignments = _client_side(mesh, node, form)
    own = [
        clusters.passthrough_cluster(),
        clusters.black_hole_cluster(),
        clusters.inbound_passthrough_cluster(ipv6=ipv6),
        *(clusters.inbound_cluster(port, kind, ipv6=ipv6) for port, kind in application_ports(mesh, node).items()),
    ]
    listeners = [*outbound_listeners(mesh, node), virtual_inbound(mesh, node)]
    if form.sends_hbone(node):
        own.append(tunnel.connect_originate_cluster(mesh, node, form))
        listeners.append(tunnel.connect_originate_listener(mesh, node, form))
    if node.listens_on_hbone:
        own.append(tunnel.main_internal_cluster())
        listeners += [tunnel.connect_terminate_listener(mesh, node, form), main_internal(mesh, node, form)]
    return EnvoyResources(_by_name([*services, *own]), assignments, _by_name(listeners), outbound_routes(mesh, node))


def _waypoint(mesh: EnvoyMesh, node: EnvoyNode, form: Form) -> EnvoyResources:
    waypoint = Waypoint(mesh, node, form)
    owned = [
        (name, target, clusters.service_cluster(mesh, node, form, target, name))
        for name, target in waypoint.owned_clusters()
    ]
    own = [
        tunnel.main_internal_cluster(),
        tunnel.internal_cluster(names.ENCAP, names.CONNECT_ORIGINATE),
        tunnel.connect_originate_cluster(mesh, node, form),
        clusters.black_hole_cluster(),
        *(cluster for _, _, cluster in owned),
    ]
    assignments = {
        name: endpoints.tunnel_assignment(mesh, node, form, name, target)
        for name, target, cluster in owned
        if cluster["type"] == "EDS"
    }
    listeners = [
        tunnel.connect_terminate_listener(mesh, node, form),
        waypoint.main_internal(),
        tunnel.connect_originate_listener(mesh, node, form),
    ]
    routes = waypoint.routes()
    routed_to = frozenset(_clusters_named([listeners, list(routes.values())]))
    services, client_assignments = _client_side(mesh, node, form, routed_to)
    return EnvoyResources(_by_name([*services, *own]), client_assignments | assignments, _by_name(listeners), routes)


def _router(mesh: EnvoyMesh, node: EnvoyNode, form: Form) -> EnvoyResources:
    services, assignments = _client_side(mesh, node, form)
    own = [clusters.black_hole_cluster(), tunnel.connect_originate_cluster(mesh, node, form)]
    listeners = [*gateway_listeners(mesh, node), tunnel.connect_originate_listener(mesh, node, form)]
    return EnvoyResources(_by_name([*services, *own]), assignments, _by_name(listeners), gateway_routes(mesh, node))


def _client_side(
    mesh: EnvoyMesh, node: EnvoyNode, form: Form, wanted: frozenset[str] | None = None
) -> tuple[list[Json], dict[str, Json]]:
    """Clusters and endpoints of the services it may call; of `wanted` names only, if given."""
    found, assignments = [], {}
    for target in _targets(mesh, node):
        name = names.outbound(target.port, target.service.hostname, target.subset_name)
        if wanted is None or name in wanted:
            cluster = clusters.outbound_cluster(mesh, node, form, target)
            found.append(cluster)
            if cluster["type"] == "EDS":
                assignments[name] = endpoints.load_assignment(mesh, node, form, name, target)
    return found, assignments


def _targets(mesh: EnvoyMesh, node: EnvoyNode) -> Iterator[Target]:
    """Every port of every service it may call, whole and by subset."""
    rules = mesh.rules_of(node)
    for service in visible_services(mesh, node):
        for port in service.ports:
            yield Target(service, port)
            yield from (Target(service, port, subset) for subset in rules.subsets(service))


def _clusters_named(value: object) -> Iterator[str]:
    """Names of clusters of services anywhere in a resource."""
    match value:
        case str() if value.startswith("outbound|"):
            yield value
        case dict():
            for one in value.values():
                yield from _clusters_named(one)
        case list():
            for one in value:
                yield from _clusters_named(one)


def _by_name(resources: Iterable[Json]) -> dict[str, Json]:
    """Of several that want one name, two services on one address say, the first has it."""
    found: dict[str, Json] = {}
    for one in resources:
        found.setdefault(one["name"], one)
    return found
