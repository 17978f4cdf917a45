"""States of a control plane's mesh from manifests as text."""

from __future__ import annotations

from istiod_py.ambient.build import build
from istiod_py.world import World
from mesh_py.manifests.objects import Manifests
from mesh_py.manifests.reader import read_manifests


def manifests_of(*texts: str) -> Manifests:
    """Objects of several YAML documents."""
    return Manifests.of(one for text in texts for one in read_manifests(text, "mesh.yaml").objects)


def world_of(*texts: str, after: World | None = None) -> World:
    """The state that follows `after` (or none) when these are all manifests there are."""
    manifests = manifests_of(*texts)
    return (after or World()).after(manifests, build(manifests))


def pod(name: str, ip: str, namespace: str = "shop", node: str = "node-a", app: str = "cart") -> str:
    """A pod of service account `app`."""
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {namespace}, labels: {{app: {app}}}}}
spec: {{serviceAccountName: {app}, nodeName: {node}, containers: [{{name: app}}]}}
status: {{podIP: {ip}, phase: Running}}
---
"""


def service(name: str, vip: str, port: int = 80, target: int = 8080, namespace: str = "shop") -> str:
    """A service in front of the pods of that `app`."""
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{clusterIP: {vip}, selector: {{app: {name}}}, ports: [{{port: {port}, targetPort: {target}, name: grpc}}]}}
---
"""
