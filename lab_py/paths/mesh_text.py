"""The mesh of the three paths as people read and edit it [pure]."""

from __future__ import annotations

SERVICE_PORT, APPLICATION_PORT = 8000, 8080
HELLO_PORT = 5000
"""Of helloworld, service and application alike, as in Istio's samples."""
WEIGHTS = (75, 25)
"""Of helloworld's versions."""


def mesh_text(net: str) -> str:
    """The text, for addresses that begin with `net`."""
    pods = [
        _pod("ambient", "sleep", f"{net}.1.1", "node-a", "", _HBONE),
        _pod("sidecar", "sleep", f"{net}.1.2", "node-a", "", _SIDECAR),
        _pod("sidecar", "httpbin", f"{net}.2.1", "node-b", _serves("sidecar/httpbin"), _SIDECAR_TAKES_HBONE),
        _pod("ambient", "httpbin", f"{net}.2.3", "node-b", _serves("ambient/httpbin"), _HBONE + _MAY_BE_DENIED),
        _pod("ambient", "waypoint", f"{net}.3.1", "node-c", "", _WAYPOINT),
        *(_hello(net, version) for version in (1, 2)),
    ]
    waypoint = f'  waypoint: {{destination: "/{net}.3.1", hboneMtlsPort: 15008}}   # through the waypoint\n'
    services = [
        _service("sidecar", "httpbin", f"{net}.96.1", SERVICE_PORT, APPLICATION_PORT),
        _service("ambient", "httpbin", f"{net}.96.2", SERVICE_PORT, APPLICATION_PORT),
        _service("ambient", "helloworld", f"{net}.96.3", HELLO_PORT, HELLO_PORT, waypoint),
        *(_service("ambient", f"helloworld-v{n}", f"{net}.96.{3 + n}", HELLO_PORT, HELLO_PORT) for n in (1, 2)),
    ]
    further = _FURTHER.format(port=HELLO_PORT, one=WEIGHTS[0], two=WEIGHTS[1])
    return "".join((_HEAD, "workloads:\n", *pods, "services:\n", *services, _POLICIES, further))


def _hello(net: str, version: int) -> str:
    names = ("ambient/helloworld", f"ambient/helloworld-v{version}")
    serves = "".join(_serves(name, HELLO_PORT, HELLO_PORT) for name in names)
    node = {1: "node-d", 2: "node-e"}[version]
    return _pod("ambient", f"helloworld-v{version}", f"{net}.4.{version}", node, serves, _HBONE)


def _pod(namespace: str, name: str, ip: str, node: str, serves: str, more: str) -> str:
    app, _, version = name.partition("-")
    return _POD.format(
        namespace=namespace, name=name, ip=ip, node=node, app=app, version=version or "v1", serves=serves or " {}\n"
    ) + more  # fmt: skip


def _serves(service: str, port: int = SERVICE_PORT, target: int = APPLICATION_PORT) -> str:
    namespace, _, name = service.partition("/")
    return f'\n    "{namespace}/{name}.{namespace}.svc.cluster.local": {{{port}: {target}}}\n'


def _service(namespace: str, name: str, vip: str, port: int, target: int, more: str = "") -> str:
    return _SERVICE.format(namespace=namespace, name=name, vip=vip, port=port, target=target) + more


_HEAD = """\
# The world of the three paths. Every proxy follows this file: an edit takes effect at once, a broken one is reported
# and changes nothing. Things to try, while it serves:
#  - path 2: take the comment marks off `authorizationPolicies` and `policies`: ztunnel-b refuses the sidecar's sleep;
#  - path 3: change the weights, or take the comment marks off the policy at the end: the waypoint answers 403.
"""
_POD = """\
- uid: paths//Pod/{namespace}/{name}
  name: {name}
  namespace: {namespace}
  serviceAccount: {app}
  trustDomain: cluster.local
  clusterId: Kubernetes
  workloadName: {name}
  workloadType: deployment
  canonicalName: {app}
  canonicalRevision: {version}
  node: {node}
  workloadIps: ["{ip}"]
  services:{serves}"""
_HBONE = """\
  protocol: HBONE               # its node's ztunnel takes HBONE
"""
_SIDECAR = """\
  mutualTls: true               # it has a sidecar
"""
_SIDECAR_TAKES_HBONE = """\
  mutualTls: true               # it has a sidecar ...
  nativeTunnel: true            # ... which takes HBONE itself
  protocol: HBONE
"""
_WAYPOINT = """\
  nativeTunnel: true
  protocol: HBONE
"""
_MAY_BE_DENIED = """\
  # authorizationPolicies: [ambient/no-sleep]
"""
_SERVICE = """\
- name: {name}
  namespace: {namespace}
  hostname: {name}.{namespace}.svc.cluster.local
  vips: ["/{vip}"]
  ports: {{{port}: {target}}}
  canonical: true
"""
_POLICIES = """\
# policies:                       # layer 4: ztunnel and sidecar enforce them
# - name: no-sleep
#   namespace: ambient
#   scope: WorkloadSelector
#   action: Deny
#   dryRun: false
#   rules:
#   - - - principals: [!Exact cluster.local/ns/sidecar/sa/sleep]
"""
_FURTHER = """\
# Layer 7, for the waypoint and the sidecars (docs/http.md).
manifests:
- apiVersion: gateway.networking.k8s.io/v1
  kind: HTTPRoute
  metadata: {{name: versions, namespace: ambient}}
  spec:
    parentRefs: [{{kind: Service, group: "", name: helloworld, port: {port}}}]
    rules:
    - matches: [{{headers: [{{name: x-version, value: v2}}]}}]
      backendRefs: [{{name: helloworld-v2, port: {port}}}]
    - backendRefs:
      - {{name: helloworld-v1, port: {port}, weight: {one}}}
      - {{name: helloworld-v2, port: {port}, weight: {two}}}
# - apiVersion: security.istio.io/v1
#   kind: AuthorizationPolicy
#   metadata: {{name: nobody-may-get, namespace: ambient}}
#   spec:
#     targetRefs: [{{kind: Service, group: "", name: helloworld}}]
#     action: DENY
#     rules:
#     - to: [{{operation: {{methods: ["GET"]}}}}]
"""
