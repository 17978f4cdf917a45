"""What gRPC's own xDS clients are told: applications that balance by themselves, without a proxy [pure].

As istiod does for nodes with `GENERATOR: grpc`: the target of a channel, `xds:///host:port`, is the name of a listener
that leads to one route, one cluster and its endpoints. gRPC speaks no HBONE, so endpoints are plain addresses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from istiod_py.envoy.extension import socket_address
from istiod_py.envoy.names import outbound
from istiod_py.envoy.resources import EnvoyResources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from istiod_py.envoy.mesh import EnvoyMesh, Place
    from mesh_py.model.workload import Locality, Service

Json = dict[str, Any]

_TYPE = "type.googleapis.com/"
_MANAGER = _TYPE + "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = _TYPE + "envoy.extensions.filters.http.router.v3.Router"
_BY_ADS: Json = {"ads": {}, "resource_api_version": "V3"}


def proxyless_resources(mesh: EnvoyMesh) -> EnvoyResources:
    """Everything such a client may ask for by name."""
    clusters: dict[str, Json] = {}
    assignments: dict[str, Json] = {}
    listeners: dict[str, Json] = {}
    routes: dict[str, Json] = {}
    for service in mesh.services.values():
        for port in service.ports:
            name = outbound(port, service.hostname)
            clusters[name] = _cluster(name)
            assignments[name] = _assignment(name, mesh.places(service, port))
            routes[name] = _route(name)
            listeners.update((target, _listener(target, name)) for target in _targets(service, port))
    return EnvoyResources(clusters, assignments, listeners, routes)


def _targets(service: Service, port: int) -> list[str]:
    """The names a channel may use: in full, and as short as they are within a cluster."""
    full = service.hostname
    short = full.partition(".svc.")[0]
    names = [full, f"{short}.svc", short] if ".svc." in full else [full]
    return [f"{name}:{port}" for name in names]


def _listener(target: str, route: str) -> Json:
    manager = {
        "@type": _MANAGER,
        "rds": {"config_source": _BY_ADS, "route_config_name": route},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}}],
    }
    return {"name": target, "api_listener": {"api_listener": manager}}


def _route(name: str) -> Json:
    everything = {"match": {"prefix": ""}, "route": {"cluster": name}}
    return {"name": name, "virtual_hosts": [{"name": name, "domains": ["*"], "routes": [everything]}]}


def _cluster(name: str) -> Json:
    return {
        "name": name,
        "type": "EDS",
        "lb_policy": "ROUND_ROBIN",
        "eds_cluster_config": {"eds_config": _BY_ADS, "service_name": name},
    }


def _assignment(name: str, places: Sequence[Place]) -> Json:
    by_locality: dict[Locality, list[Json]] = {}
    for place in places:
        endpoint = {"endpoint": {"address": socket_address(str(place.ip), place.port)}}
        by_locality.setdefault(place.workload.locality, []).append(endpoint)
    return {"cluster_name": name, "endpoints": [_group(*one) for one in by_locality.items()]}


def _group(locality: Locality, endpoints: list[Json]) -> Json:
    return {
        "locality": {"region": locality.region, "zone": locality.zone, "sub_zone": locality.subzone},
        "load_balancing_weight": len(endpoints),  # gRPC leaves out a locality without a weight
        "lb_endpoints": endpoints,
    }
