"""A sound mesh, and what the linter says of something that is added to it."""

from __future__ import annotations

from textwrap import dedent

from istiod_py.check.folder_check import CheckOptions, check_texts

SOUND = """\
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio.io/dataplane-mode: ambient}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {serviceAccountName: web, containers: [{name: web, ports: [{containerPort: 8080, name: http}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
"""
WAYPOINT = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop}
spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}
---
apiVersion: v1
kind: Pod
metadata: {name: waypoint, namespace: shop, labels: {gateway.networking.k8s.io/gateway-name: waypoint}}
spec: {containers: [], serviceAccountName: waypoint}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: waypoint, namespace: shop}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
"""
OPTIONS = CheckOptions()


def findings(text: str, *, waypoint: bool = False, sound: bool = True, options: CheckOptions = OPTIONS) -> list[str]:
    """What is said of `text`, each as `line:column: severity code: what; advice`.

    Args:
        waypoint: add a waypoint in front of Service cart.
        sound: whether the sound mesh is there at all.
    """
    texts = {"f.yaml": dedent(text)}
    if sound:
        texts["sound.yaml"] = SOUND
    if waypoint:
        texts["waypoint.yaml"] = WAYPOINT
    report = check_texts(texts, options)
    assert [str(one) for one in report.findings if one.place.file in ("sound.yaml", "waypoint.yaml")] == []
    return [str(one).removeprefix("f.yaml:").strip() for one in report.findings]
