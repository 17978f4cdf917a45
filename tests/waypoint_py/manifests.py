"""Manifests as a mesh file has them, from the few words that tests want to say."""

from __future__ import annotations

import json
from typing import Any

from tests.waypoint_py.waypoints import PORT

SLEEP = "cluster.local/ns/default/sa/sleep"

WAY = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "waypoint"}
GATEWAY = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "waypoint", "namespace": "default"},
    "spec": {
        "gatewayClassName": "istio-waypoint",
        "listeners": [{"name": "mesh", "port": 15008, "protocol": "HBONE"}],
    },
}


def manifests(*objects: dict[str, Any], **keys: Any) -> str:
    """The file's further keys; JSON is YAML."""
    found = {"manifests": list(objects)} | keys
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in found.items())


def backend(name: str, **more: Any) -> dict[str, Any]:
    """A backend of a route: `httpbin` is v1, `v2` is v2."""
    return {"name": name, "port": PORT, **more}


def route(*rules: dict[str, Any], name: str = "route", kind: str = "HTTPRoute", to: str = "httpbin") -> dict[str, Any]:
    """A route attached to a service."""
    return {
        "apiVersion": f"gateway.networking.k8s.io/{'v1alpha2' if kind == 'TCPRoute' else 'v1'}",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"parentRefs": [{"kind": "Service", "group": "", "name": to, "port": PORT}], "rules": list(rules)},
    }


def attached(
    parent: dict[str, Any], *rules: dict[str, Any], hosts: tuple[str, ...] = (), **more: Any
) -> dict[str, Any]:
    """A route of that parent."""
    found = route(*rules, **more)
    found["spec"] |= {"parentRefs": [parent], **({"hostnames": list(hosts)} if hosts else {})}
    return found


def policy(
    *rules: dict[str, Any], action: str = "ALLOW", name: str = "policy", target: str = "Service/httpbin", **more: Any
) -> dict[str, Any]:
    """An AuthorizationPolicy; `target` is `Kind/name`."""
    kind, _, target_name = target.partition("/")
    group = "" if kind == "Service" else "gateway.networking.k8s.io"
    namespace = "istio-system" if kind == "GatewayClass" else "default"
    spec = {
        "targetRefs": [{"group": group, "kind": kind, "name": target_name}],
        "action": action,
        "rules": list(rules),
        **more,
    }
    return security("AuthorizationPolicy", name, namespace, spec)


def security(kind: str, name: str, namespace: str, spec: dict[str, Any]) -> dict[str, Any]:
    """An object of Istio's security API."""
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def methods(*names: str) -> dict[str, Any]:
    """A rule for methods."""
    return {"to": [{"operation": {"methods": list(names)}}]}


def principals(*names: str) -> dict[str, Any]:
    """A rule for callers."""
    return {"from": [{"source": {"principals": list(names)}}]}


def of_subset(name: str) -> dict[str, Any]:
    """The filter by which a route chooses a subset."""
    return {"type": "ExtensionRef", "extensionRef": {"group": "hbone.mesh", "kind": "Subset", "name": name}}


def destination_rule(*subsets: dict[str, Any], **policy: Any) -> dict[str, Any]:
    """How httpbin's requests are spread and bounded."""
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "DestinationRule",
        "metadata": {"name": "httpbin", "namespace": "default"},
        "spec": {"host": "httpbin", "trafficPolicy": policy, "subsets": list(subsets)},
    }
