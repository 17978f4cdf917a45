"""Meshes, proxies and manifests in a few words, for tests of what Envoy is told."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from istiod_py.ambient.mesh import Mesh
from istiod_py.envoy.mesh import EnvoyMesh
from istiod_py.envoy.node import EnvoyNode, ProxyType
from mesh_py.manifests.gateway import Gateway, Listener
from mesh_py.manifests.mesh_config import MeshConfig
from mesh_py.manifests.metadata import Metadata
from mesh_py.manifests.objects import Manifests
from mesh_py.manifests.references import BackendReference, ParentReference, TargetReference
from mesh_py.manifests.routes import (
    HTTPRoute,
    HTTPRouteMatch,
    HTTPRouteRule,
    PathMatch,
    PathMatchType,
    TCPRoute,
    TCPRouteRule,
    WeightedBackend,
)
from mesh_py.manifests.security import AuthorizationPolicy, PeerAuthentication
from mesh_py.model.address import parse_ip
from mesh_py.model.workload import AppProtocol, Service, Workload
from tests.support import world
from tests.support.processes import run_tool

if TYPE_CHECKING:
    from mesh_py.manifests.security import Rule

ECHO = "echo.default.svc.cluster.local"


def mesh(*things: Any, sidecars: tuple[str, ...] = (), **config: Any) -> EnvoyMesh:
    """A mesh of workloads, services and manifests; `sidecars` are names of pods that have one."""
    pods = [one for one in things if isinstance(one, Workload)]
    workloads = {one.uid: dataclasses.replace(one, mutual_tls=one.name in sidecars) for one in pods}
    services = {str(one.key): one for one in things if isinstance(one, Service)}
    manifests = Manifests.of(one for one in things if not isinstance(one, Workload | Service))
    return EnvoyMesh(Mesh(workloads, services), manifests, MeshConfig(**config))


def sidecar(ip: str = "10.1.0.1", name: str = "client", **fields: Any) -> EnvoyNode:
    """A sidecar in namespace `default`."""
    return EnvoyNode(ProxyType.SIDECAR, parse_ip(ip), name, **{"namespace": "default", **fields})


def waypoint(ip: str = "10.1.0.9", name: str = "waypoint", **fields: Any) -> EnvoyNode:
    """A waypoint in namespace `default`."""
    return EnvoyNode(ProxyType.WAYPOINT, parse_ip(ip), name, **{"namespace": "default", **fields})


def router(ip: str = "10.1.0.8", name: str = "ingress", **fields: Any) -> EnvoyNode:
    """An ingress gateway in namespace `default`."""
    return EnvoyNode(ProxyType.ROUTER, parse_ip(ip), name, **{"namespace": "default", **fields})


def gateway(*listeners: Listener, name: str = "ingress", class_name: str = "istio") -> Gateway:
    """A gateway in namespace `default`."""
    return Gateway(Metadata(name, "default"), class_name, listeners)


def gateway_route(*rules: HTTPRouteRule, **fields: Any) -> HTTPRoute:
    """Rules for the gateway `ingress` of namespace `default`."""
    parent = ParentReference("ingress", "default", section_name=fields.pop("section_name", ""))
    metadata = Metadata(fields.pop("name", "route"), fields.pop("namespace", "default"))
    return HTTPRoute(metadata, (parent,), rules=rules, **fields)


def echo_service(vip: str = "10.2.0.1", **fields: Any) -> Service:
    """`echo`: HTTP on 80, plain TCP on 81, unknown on 82; all lead to 8080."""
    protocols = {80: AppProtocol.HTTP11, 81: AppProtocol.TCP}
    given: dict[str, Any] = {"ports": dict.fromkeys((80, 81, 82), 8080), "app_protocols": protocols}
    return world.service(ECHO, vip, **(given | fields))


def echo_pod(ip: str = "10.1.0.2", name: str = "echo", **fields: Any) -> Workload:
    """A pod that serves `echo`, by HBONE unless told otherwise."""
    return world.workload(name, ip, **{"services": {f"default/{ECHO}": {}}, **fields})


def backend(name: str = "echo", port: int | None = 80, weight: int = 1, **fields: Any) -> WeightedBackend:
    """A service of namespace `default` as backend of a route; `filters` are the backend's."""
    filters = fields.pop("filters", ())
    return WeightedBackend(BackendReference(name, "default", port=port, **fields), weight, filters)


def rule(path: str = "/", *backends: WeightedBackend, **fields: Any) -> HTTPRouteRule:
    """A rule for a path prefix, or the exact path where it starts with `=`."""
    kind = PathMatchType.EXACT if path.startswith("=") else PathMatchType.PATH_PREFIX
    match = HTTPRouteMatch(PathMatch(kind, path.removeprefix("=")))
    return HTTPRouteRule(**{"matches": (match,), "backend_refs": backends or (backend(),), **fields})


def http_route(*rules: HTTPRouteRule, service: str = "echo", name: str = "route", **fields: Any) -> HTTPRoute:
    """Rules for a service of namespace `default`."""
    namespace = fields.pop("namespace", "default")
    parent = ParentReference(service, "default", "Service", "", port=fields.pop("port", None))
    return HTTPRoute(Metadata(name, namespace, **fields), (parent,), rules=rules or (rule(),))


def tcp_route(*backends: WeightedBackend, service: str = "echo", **fields: Any) -> TCPRoute:
    """Backends for the connections of a service of namespace `default`."""
    parent = ParentReference(service, "default", "Service", "")
    return TCPRoute(Metadata("tcp", "default", **fields), (parent,), (TCPRouteRule(backend_refs=backends),))


def policy(*rules: Rule, name: str = "policy", namespace: str = "default", **fields: Any) -> AuthorizationPolicy:
    """A policy of a namespace; `service` is its target, if given."""
    target = fields.pop("service", None)
    if target is not None:
        fields["target_refs"] = (TargetReference("Service", target),)
    annotations = fields.pop("annotations", {})
    return AuthorizationPolicy(Metadata(name, namespace, annotations=annotations), rules=rules, **fields)


def peer_authentication(name: str, namespace: str = "default", **fields: Any) -> PeerAuthentication:
    """What peers are asked for."""
    return PeerAuthentication(Metadata(name, namespace, order=fields.pop("order", 0)), **fields)


async def curl(*arguments: str) -> tuple[int, dict[str, Any]]:
    """Status and JSON body of a request by curl; status 0 if there was no answer."""
    done = await run_tool("curl", "-s", "--max-time", "10", "-w", "\n%{http_code}", *arguments)
    body, _, status = done.stdout.decode().rpartition("\n")
    return int(status), json.loads(body) if body.startswith("{") else {"text": body}
