"""EDS: the endpoints of a cluster, each reached in the way its workload understands (hbone-controlplane 9.2) [pure].

HBONE when the workload takes tunnels, mutual TLS when it has a sidecar of its own (preferred where it has both), plain
TCP otherwise. The first two are told apart by `envoy.transport_socket_match`, which picks a socket of the cluster.
"""

from __future__ import annotations

from collections import defaultdict
from enum import Enum
from typing import TYPE_CHECKING

from istiod_py.envoy.extension import Json, socket_address
from istiod_py.envoy.names import CONNECT_ORIGINATE, endpoint_id
from mesh_py.model.workload import Protocol
from mesh_py.proxy.localities import ranks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from istiod_py.envoy.form import Form
    from istiod_py.envoy.mesh import EnvoyMesh, Place, Target
    from istiod_py.envoy.node import EnvoyNode
    from mesh_py.model.workload import Locality, Workload
    from mesh_py.proxy.localities import Rank

TUNNEL_MATCH: Json = {"tunnel": "http"}
SIDECAR_MATCH: Json = {"tlsMode": "istio"}
SOCKET_MATCH = "envoy.transport_socket_match"


class Way(Enum):
    """How an endpoint is reached."""

    TUNNEL = "tunnel"
    SIDECAR = "sidecar"
    PLAIN = "plain"


def way_to(mesh: EnvoyMesh, node: EnvoyNode, form: Form, place: Place) -> Way:
    """How `node` reaches a place as a client of it."""
    if mesh.takes_mutual_tls(place):
        return Way.SIDECAR
    if place.workload.protocol is Protocol.HBONE and form.sends_hbone(node):
        return Way.TUNNEL
    return Way.PLAIN


def load_assignment(mesh: EnvoyMesh, node: EnvoyNode, form: Form, cluster: str, target: Target) -> Json:
    """The endpoints of a cluster of the outbound kind."""
    places = mesh.places(*target)
    legs = tuple((place, way_to(mesh, node, form, place), _waypoint_on_the_way(mesh, form, place)) for place in places)
    ranked = _ranks(mesh, node, target, places)

    def make() -> Json:
        return _assignment(cluster, [(leg[0], _client_endpoint(form, *leg)) for leg in legs], ranked)

    return mesh.cache.get((form.name, cluster, form.sends_hbone(node), ranked), legs, make)


def tunnel_assignment(mesh: EnvoyMesh, node: EnvoyNode, form: Form, cluster: str, target: Target) -> Json:
    """The endpoints of a waypoint's own cluster: tunnels to what takes them, plain TCP to the rest."""
    places = mesh.places(*target)
    ranked = _ranks(mesh, node, target, places)

    def make() -> Json:
        return _assignment(cluster, [(place, _behind_waypoint(form, place)) for place in places], ranked)

    return mesh.cache.get((form.name, cluster, ranked), places, make)


def _ranks(mesh: EnvoyMesh, node: EnvoyNode, target: Target, places: Sequence[Place]) -> tuple[Rank, ...]:
    """How near each place is and what share it gets, as a DestinationRule of the client's says."""
    policy = mesh.rules_of(node).policy(target.service, target.port, target.subset_name)
    setting = policy.balancer.locality if policy.balancer is not None else None
    workloads = [place.workload for place in places]
    return tuple(ranks(workloads, mesh.locality(node), setting, fails_over=policy.outliers is not None))


def _client_endpoint(form: Form, place: Place, way: Way, waypoint: Place | None) -> Json:
    match way:
        case Way.TUNNEL:
            return _tunnelled(form, place, waypoint, TUNNEL_MATCH)
        case Way.SIDECAR:
            return _plain(place, {SOCKET_MATCH: SIDECAR_MATCH})
        case Way.PLAIN:
            return _plain(place, {})


def _waypoint_on_the_way(mesh: EnvoyMesh, form: Form, place: Place) -> Place | None:
    gateway = place.workload.waypoint
    return mesh.waypoint_place(gateway) if gateway is not None and form.sends_to_waypoints else None


def _behind_waypoint(form: Form, place: Place) -> Json:
    if place.workload.protocol is Protocol.HBONE:
        return _tunnelled(form, place, None, {})
    return _plain(place, {})


def _tunnelled(form: Form, place: Place, waypoint: Place | None, socket: Json) -> Json:
    metadata = form.tunnel_metadata(place, waypoint) | ({SOCKET_MATCH: socket} if socket else {})
    identifier = endpoint_id(place.ip, place.port)
    address = {"envoy_internal_address": {"server_listener_name": CONNECT_ORIGINATE, "endpoint_id": identifier}}
    return _endpoint(address, place, metadata)


def _plain(place: Place, metadata: Json) -> Json:
    return _endpoint(socket_address(place.ip, place.port), place, metadata)


def _endpoint(address: Json, place: Place, metadata: Json) -> Json:
    return {
        "endpoint": {"address": address},
        "metadata": {"filter_metadata": {**metadata, "istio": {"workload": _telemetry(place.workload)}}},
    }


def _telemetry(workload: Workload) -> str:
    """`name;namespace;canonical name;canonical revision;cluster`."""
    return ";".join(
        (
            workload.workload_name or workload.name,
            workload.namespace,
            workload.canonical_name,
            workload.canonical_revision,
            workload.cluster_id or "Kubernetes",
        )
    )


def _assignment(cluster: str, endpoints: Iterable[tuple[Place, Json]], ranked: Sequence[Rank]) -> Json:
    groups: defaultdict[tuple[int, Locality], list[Json]] = defaultdict(list)
    for (place, endpoint), rank in zip(endpoints, ranked, strict=True):
        if rank.weight > 0:  # Envoy knows no weight of 0: such an endpoint is never chosen
            weighed = endpoint | {"load_balancing_weight": rank.weight}
            groups[rank.priority, place.workload.locality].append(weighed)
    order = sorted({priority for priority, _ in groups})
    return {
        "cluster_name": cluster,
        "endpoints": [
            # Envoy's priorities have no gaps.
            _group(locality, found, order.index(priority))
            for (priority, locality), found in sorted(groups.items())
        ],
    }


def _group(locality: Locality, endpoints: list[Json], priority: int) -> Json:
    named = {"region": locality.region, "zone": locality.zone, "sub_zone": locality.subzone}
    return {
        "locality": {key: value for key, value in named.items() if value},
        "lb_endpoints": endpoints,
        "load_balancing_weight": sum(one["load_balancing_weight"] for one in endpoints),
        **({"priority": priority} if priority else {}),
    }
