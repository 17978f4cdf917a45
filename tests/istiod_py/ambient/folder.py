"""Manifests in a few words, and what they come to, for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from istiod_py.ambient.build import build
from istiod_py.ambient.options import AmbientOptions
from mesh_py.manifests import core, gateway, networking, security
from mesh_py.manifests.metadata import Metadata
from mesh_py.manifests.objects import KubernetesObject, Manifests
from mesh_py.model.address import Cidr, NamespacedHostname, parse_ip

if TYPE_CHECKING:
    from istiod_py.ambient.mesh import Mesh
    from mesh_py.model.workload import Service, Workload

SHOP = "shop"
ROOT = "istio-system"


def meta(name: str, namespace: str = SHOP, **fields: Any) -> Metadata:
    """Metadata in namespace `shop`; `age` is a day of January, the older the smaller."""
    if "age" in fields:
        fields["creation_timestamp"] = f"2026-01-{fields.pop('age'):02}T00:00:00Z"
    return Metadata(name, namespace, **fields)


def namespace(
    name: str = SHOP, labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None
) -> core.Namespace:
    """A namespace."""
    return core.Namespace(Metadata(name, labels=labels or {}, annotations=annotations or {}))


AMBIENT = namespace(labels={"istio.io/dataplane-mode": "ambient"})


def pod(name: str = "web-1", ip: str = "10.1.0.1", *, labels: dict[str, str] | None = None, **fields: Any) -> core.Pod:
    """A pod that is ready; fields of its metadata and of its spec go where they belong."""
    inside = {key: fields.pop(key) for key in ("namespace", "annotations", "owner", "is_deleted") if key in fields}
    own = {key: fields.pop(key) for key in ("phase", "ready") if key in fields}
    metadata = meta(name, labels=labels or {}, **inside)
    return core.Pod(metadata, core.PodSpec(**fields), (parse_ip(ip),) if ip else (), **own)


def service(name: str = "web", ip: str = "10.96.0.1", **fields: Any) -> core.Service:
    """A Service from port 80 to 8080 that selects `app: web`."""
    inside = {key: fields.pop(key) for key in ("namespace", "annotations", "labels", "age") if key in fields}
    given: dict[str, Any] = {
        "ports": (core.ServicePort(80, "http", 8080),),
        "selector": {"app": "web"},
        "cluster_ips": (parse_ip(ip),) if ip else (),
    }
    return core.Service(meta(name, **inside), **(given | fields))


def entry(name: str = "api", *hosts: str, **fields: Any) -> networking.ServiceEntry:
    """A ServiceEntry for `api.example.com` on port 443."""
    inside = {key: fields.pop(key) for key in ("namespace", "annotations", "labels", "age") if key in fields}
    given: dict[str, Any] = {
        "hosts": hosts or ("api.example.com",),
        "ports": (networking.EntryPort(443, "tls", "TLS"),),
        "resolution": networking.Resolution.STATIC,
    }
    addresses = tuple(Cidr.parse(text) for text in fields.pop("addresses", ()))
    return networking.ServiceEntry(meta(name, **inside), addresses=addresses, **(given | fields))


def machine(name: str = "vm", address: str = "10.9.0.1", **fields: Any) -> networking.WorkloadEntry:
    """A WorkloadEntry."""
    inside = {key: fields.pop(key) for key in ("namespace", "annotations", "labels") if key in fields}
    return networking.WorkloadEntry(meta(name, **inside), networking.EntryEndpoint(address, **fields))


def waypoint(name: str = "wp", **fields: Any) -> gateway.Gateway:
    """A Gateway of the waypoint class that takes traffic of its own namespace."""
    inside = {key: fields.pop(key) for key in ("namespace", "annotations", "labels") if key in fields}
    given: dict[str, Any] = {
        "gateway_class_name": gateway.WAYPOINT_CLASS,
        "listeners": (hbone_listener(),),
    }
    return gateway.Gateway(meta(name, **inside), **(given | fields))


def hbone_listener(allow: str = "Same", **fields: Any) -> gateway.Listener:
    """The listener of a waypoint."""
    return gateway.Listener("mesh", 15008, "HBONE", allowed_routes=gateway.AllowedRoutes(allow, **fields))


def authorization(name: str = "policy", *rules: security.Rule, **fields: Any) -> security.AuthorizationPolicy:
    """An ALLOW policy in namespace `shop`."""
    inside = {key: fields.pop(key) for key in ("namespace", "annotations", "age") if key in fields}
    return security.AuthorizationPolicy(meta(name, **inside), rules=rules, **fields)


def peers(
    name: str = "default",
    mode: str = "UNSET",
    ports: dict[int, str] | None = None,
    *,
    selector: dict[str, str] | None = None,
    **inside: Any,
) -> security.PeerAuthentication:
    """A PeerAuthentication in namespace `shop`."""
    modes = {port: security.MutualTls(word) for port, word in (ports or {}).items()}
    return security.PeerAuthentication(meta(name, **inside), selector, security.MutualTls(mode), modes)


def mesh(*objects: KubernetesObject, options: AmbientOptions | None = None) -> Mesh:
    """What node proxies are told about these objects."""
    return build(Manifests.of(objects), options or AmbientOptions())


def the_pod(told: Mesh, name: str = "web-1", namespace: str = SHOP) -> Workload:
    """A pod as it is told."""
    return told.workloads[f"Kubernetes//Pod/{namespace}/{name}"]


def the_service(told: Mesh, hostname: str = "web.shop.svc.cluster.local", namespace: str = SHOP) -> Service:
    """A service as it is told."""
    return told.services[str(NamespacedHostname(namespace, hostname))]


def codes(told: Mesh) -> list[str]:
    """What authors are told, by code."""
    return [one.code for one in told.notices]
