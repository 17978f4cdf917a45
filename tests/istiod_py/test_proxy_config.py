"""Which manifests concern one sidecar or waypoint (hbone-controlplane 9.6, docs/proxy-config.md)."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from istiod_py.ambient.build import build
from istiod_py.proxy_config import ProxyConfigs
from mesh_py.discovery.local_file import LocalConfig
from mesh_py.manifests.chain import told_by
from mesh_py.manifests.mesh_config import MeshConfig
from mesh_py.manifests.objects import Manifests, inner_labels
from mesh_py.manifests.reader import read_manifests
from mesh_py.xds.decode import RejectedResource
from mesh_py.xds.encode import wire
from mesh_py.xds.proxy_config import decode_proxy_config, encode_proxy_config
from tests.support.world import workload

if TYPE_CHECKING:
    from mesh_py.manifests.proxy_config import ProxyConfig

WORLD = """\
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio.io/use-waypoint: wp}}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop, labels: {app: web, sidecar.istio.io/inject: "true"}}
spec: {serviceAccountName: web, containers: [{name: web}]}
status: {podIP: 10.1.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: sleep, namespace: front, labels: {app: sleep}}
spec: {containers: []}
status: {podIP: 10.1.0.2}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: vm, namespace: shop, labels: {app: web}}
spec: {address: 10.9.0.1}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, clusterIP: 10.96.0.1, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: direct, namespace: shop, labels: {istio.io/use-waypoint: none}}
spec: {selector: {app: web}, clusterIP: 10.96.0.2, ports: [{port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: shop}
spec: {hosts: [api.example.com], ports: [{number: 443, name: tls, protocol: TLS}], resolution: DNS}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: wp, namespace: shop}
spec:
  gatewayClassName: istio-waypoint
  listeners: [{name: mesh, port: 15008, protocol: HBONE}]
"""


def policy(name: str, spec: str = "", namespace: str = "shop", kind: str = "AuthorizationPolicy") -> str:
    return dedent(f"""\
        ---
        apiVersion: security.istio.io/v1
        kind: {kind}
        metadata: {{name: {name}, namespace: {namespace}}}
        spec: {{{spec}}}
        """)


def route(name: str, parent: str, namespace: str = "shop", *, kind: str = "HTTPRoute", to: str = "web") -> str:
    version = "v1alpha2" if kind == "TCPRoute" else "v1"
    return dedent(f"""\
        ---
        apiVersion: gateway.networking.k8s.io/{version}
        kind: {kind}
        metadata: {{name: {name}, namespace: {namespace}}}
        spec:
          parentRefs: [{{{parent}}}]
          rules: [{{backendRefs: [{{name: {to}, port: 80}}]}}]
        """)


TO_WEB = 'group: "", kind: Service, name: web, namespace: shop'
TO_DIRECT = 'group: "", kind: Service, name: direct, namespace: shop'
TO_API = "group: networking.istio.io, kind: ServiceEntry, name: api, namespace: shop"
SELECT_WEB, SELECT_OTHER = "selector: {matchLabels: {app: web}}", "selector: {matchLabels: {app: db}}"


def configs(*more: str) -> ProxyConfigs:
    manifests = Manifests.of(read_manifests(WORLD + "".join(more), "f.yaml").objects)
    return ProxyConfigs(manifests, build(manifests), MeshConfig())


def sidecar(*more: str, of: str = "shop/web-1") -> ProxyConfig:
    found = configs(*more).of_sidecar(*of.split("/"))
    assert found is not None
    return found


def waypoint(*more: str) -> ProxyConfig:
    found = configs(*more).of_waypoint("shop", "wp")
    assert found is not None
    return found


def keys(config: ProxyConfig, *kinds: str) -> list[str]:
    return [one.metadata.key for one in config.objects if not kinds or one.kind in kinds]


# The proxy itself.


def test_a_sidecar_is_told_of_its_own_pod() -> None:
    found = sidecar()
    assert found.name == "shop/web-1"
    assert [(one.kind, one.metadata.key) for one in found.objects] == [("Pod", "shop/web-1")]
    assert found.objects[0].metadata.labels["app"] == "web"


def test_a_waypoint_is_told_of_its_own_gateway() -> None:
    assert [(one.kind, one.metadata.key) for one in waypoint().objects] == [("Gateway", "shop/wp")]


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        pytest.param("sidecar", "web-1", "shop/web-1", id="a sidecar by its pod"),
        pytest.param("waypoint", "wp", "shop/wp", id="a waypoint by its Gateway"),
        pytest.param("waypoint", "wp-1", "shop/wp", id="a waypoint by its pod"),
        pytest.param("waypoint", "web-1", None, id="a pod of no Gateway"),
    ],
)
def test_a_proxy_is_known_by_what_it_calls_itself(kind: str, name: str, expected: str | None) -> None:
    instance = dedent("""\
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: wp-1, namespace: shop, labels: {gateway.networking.k8s.io/gateway-name: wp}}
        spec: {containers: []}
        """)
    found = configs(instance).of_proxy(kind, "shop", name)
    assert (found.name if found is not None else None) == expected


def test_a_machine_has_a_sidecar_too() -> None:
    found = sidecar(policy("p", SELECT_WEB), of="shop/vm")
    assert keys(found) == ["shop/p", "shop/vm"]


def test_whom_nobody_knows_has_no_configuration() -> None:
    assert configs().of_sidecar("shop", "gone") is None
    assert configs().of_waypoint("shop", "gone") is None


def test_a_workload_of_a_local_file_has_no_labels() -> None:
    local = LocalConfig((workload("extra", "10.7.0.1", namespace="shop"),))
    text = WORLD + policy("all") + policy("some", SELECT_WEB)
    manifests = Manifests.of(read_manifests(text, "f.yaml").objects, (local,))
    found = ProxyConfigs(manifests, build(manifests), MeshConfig()).of_sidecar("shop", "extra")
    assert found is not None
    assert keys(found) == ["shop/all"]


# Policies of a sidecar.


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(policy("p", SELECT_WEB), True, id="selects it"),
        pytest.param(policy("p"), True, id="its namespace"),
        pytest.param(policy("p", namespace="istio-system"), True, id="the mesh"),
        pytest.param(policy("p", SELECT_WEB, "istio-system"), True, id="selects it in every namespace"),
        pytest.param(policy("p", SELECT_OTHER), False, id="selects another"),
        pytest.param(policy("p", namespace="front"), False, id="another namespace"),
        pytest.param(policy("p", 'targetRefs: [{group: "", kind: Service, name: web}]'), False, id="has a target"),
        pytest.param(policy("p", SELECT_WEB, kind="RequestAuthentication"), True, id="tokens of requests"),
    ],
)
def test_policies_of_a_sidecar(text: str, told: bool) -> None:
    assert bool(keys(sidecar(text), "AuthorizationPolicy", "RequestAuthentication")) is told


def test_peer_authentication_in_force_one_of_each_level() -> None:
    texts = [
        policy("mesh", "mtls: {mode: STRICT}", "istio-system", "PeerAuthentication"),
        policy("mesh-2", "mtls: {mode: DISABLE}", "istio-system", "PeerAuthentication"),
        policy("namespace", "mtls: {mode: STRICT}", "shop", "PeerAuthentication"),
        policy("own", f"mtls: {{mode: STRICT}}, {SELECT_WEB}", "shop", "PeerAuthentication"),
        policy("other", f"mtls: {{mode: STRICT}}, {SELECT_OTHER}", "shop", "PeerAuthentication"),
        policy("front", "mtls: {mode: STRICT}", "front", "PeerAuthentication"),
    ]
    assert keys(sidecar(*texts), "PeerAuthentication") == ["istio-system/mesh", "shop/namespace", "shop/own"]
    assert keys(waypoint(*texts), "PeerAuthentication") == []


# Policies of a waypoint.


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(policy("p", 'targetRefs: [{group: "", kind: Service, name: web}]'), True, id="a service of it"),
        pytest.param(
            policy("p", "targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: api}]"), True, id="entry"
        ),
        pytest.param(policy("p", 'targetRefs: [{group: "", kind: Service, name: direct}]'), False, id="not behind it"),
        pytest.param(
            policy("p", "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: wp}]"), True, id="itself"
        ),
        pytest.param(
            policy("p", "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: wp}]", "front"),
            False,
            id="its name in another namespace",
        ),
        pytest.param(
            policy(
                "p",
                "targetRefs: [{group: gateway.networking.k8s.io, kind: GatewayClass, name: istio-waypoint}]",
                "istio-system",
            ),
            True,
            id="its class",
        ),
        pytest.param(
            policy("p", 'targetRefs: [{group: "", kind: Service, name: web, namespace: front}]'), False, id="elsewhere"
        ),
        pytest.param(policy("p", SELECT_WEB), False, id="a selector"),
        pytest.param(policy("p"), False, id="its namespace"),
    ],
)  # fmt: skip
def test_policies_of_a_waypoint(text: str, told: bool) -> None:
    assert bool(keys(waypoint(text), "AuthorizationPolicy")) is told


# Routes.


@pytest.mark.parametrize(
    ("text", "web", "sleep", "wp"),
    [
        pytest.param(route("r", TO_WEB), True, True, True, id="by the service's owner"),
        pytest.param(route("r", TO_WEB, kind="GRPCRoute"), True, True, True, id="of gRPC"),
        pytest.param(route("r", TO_WEB, kind="TCPRoute"), True, True, True, id="of TCP"),
        pytest.param(route("r", TO_API), True, True, True, id="to a ServiceEntry"),
        pytest.param(route("r", TO_DIRECT), True, True, False, id="to a service without waypoint"),
        pytest.param(route("r", TO_WEB, "front"), False, True, False, id="by a client, for itself"),
        pytest.param(route("r", "name: wp"), False, False, True, id="attached to the waypoint"),
        pytest.param(route("r", "name: ingress"), False, False, False, id="of a gateway"),
    ],
)
def test_who_is_told_of_a_route(text: str, web: bool, sleep: bool, wp: bool) -> None:
    kinds = ("HTTPRoute", "GRPCRoute", "TCPRoute")
    assert bool(keys(sidecar(text), *kinds)) is web
    assert bool(keys(sidecar(text, of="front/sleep"), *kinds)) is sleep
    assert bool(keys(waypoint(text), *kinds)) is wp


def test_a_second_waypoint_of_a_service_is_told_what_the_first_is() -> None:
    second = WORLD.partition("kind: Gateway")[2].replace("name: wp", "name: second")
    gateway = f"---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway{second}"
    shared = gateway + dedent("""\
        ---
        apiVersion: v1
        kind: Service
        metadata:
          name: both
          namespace: shop
          labels: {istio.io/use-waypoint: wp, istio.io/use-waypoint-canary: second}
        spec: {selector: {app: web}, clusterIP: 10.96.0.3, ports: [{port: 80}]}
        """)
    to_both = route("r", 'group: "", kind: Service, name: both, namespace: shop')
    found = configs(shared, to_both)
    for name in ("wp", "second"):
        config = found.of_waypoint("shop", name)
        assert config is not None
        assert keys(config, "HTTPRoute") == ["shop/r"]


def test_services_come_with_the_routes_and_policies_that_name_them() -> None:
    assert keys(sidecar(route("r", TO_WEB)), "Service", "ServiceEntry") == ["shop/web"]
    assert keys(waypoint(route("r", TO_WEB), route("s", TO_API)), "Service", "ServiceEntry") == ["shop/web", "shop/api"]
    target = policy("p", 'targetRefs: [{group: "", kind: Service, name: web}]')
    assert keys(waypoint(target), "Service") == ["shop/web"]


def test_grants_are_for_gateways_and_not_told() -> None:
    grant = dedent("""\
        ---
        apiVersion: gateway.networking.k8s.io/v1beta1
        kind: ReferenceGrant
        metadata: {name: g, namespace: back}
        spec:
          from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}]
          to: [{group: "", kind: Service}]
        """)
    abroad = route("r", TO_WEB, to="db, namespace: back")
    assert keys(sidecar(grant, abroad), "HTTPRoute", "ReferenceGrant") == ["shop/r"]


# Order, and the way to the proxy.


def test_objects_come_by_kind_and_the_oldest_first() -> None:
    young = policy("a").replace("name: a,", 'name: a, creationTimestamp: "2026-02-01T00:00:00Z",')
    old = policy("b").replace("name: b,", 'name: b, creationTimestamp: "2026-01-01T00:00:00Z",')
    assert keys(sidecar(policy("z"), policy("y"), young, old, route("r", TO_WEB))) == [
        "shop/b", "shop/a", "shop/z", "shop/y", "shop/r", "shop/web-1", "shop/web",
    ]  # fmt: skip


def test_what_is_told_can_be_sent_and_read() -> None:
    for config in (sidecar(policy("p"), route("r", TO_WEB)), waypoint(route("r", TO_API)), sidecar(of="shop/vm")):
        try:
            found = decode_proxy_config(wire(encode_proxy_config(config)), config.name)
        except RejectedResource as error:
            pytest.fail(str(error))
        assert [(one.kind, one.metadata.key) for one in found.objects] == [
            (one.kind, one.metadata.key) for one in config.objects
        ]


# Rules of hosts.


def rule(name: str, spec: str, namespace: str = "shop") -> str:
    return dedent(f"""\
        ---
        apiVersion: networking.istio.io/v1
        kind: DestinationRule
        metadata: {{name: {name}, namespace: {namespace}}}
        spec: {{{spec}}}
        """)


@pytest.mark.parametrize(
    ("text", "of", "told"),
    [
        pytest.param(rule("r", "host: web"), "shop/web-1", True, id="of its namespace"),
        pytest.param(rule("r", "host: web"), "front/sleep", True, id="of the service's, which all see"),
        pytest.param(rule("r", "host: web, exportTo: ['.']"), "front/sleep", False, id="which nobody else sees"),
        pytest.param(rule("r", "host: x, exportTo: [front]", "other"), "front/sleep", True, id="shown to it"),
    ],
)
def test_rules_of_a_sidecar(text: str, of: str, told: bool) -> None:
    assert bool(keys(sidecar(text, of=of), "DestinationRule")) is told


def test_subsets_bring_the_labels_of_who_is_in_them() -> None:
    plain, subsets = rule("r", "host: web"), rule("r", "host: web, subsets: [{name: v1, labels: {app: web}}]")
    assert keys(waypoint(plain), "Pod", "WorkloadEntry") == []
    found = waypoint(subsets)
    assert keys(found, "Pod", "WorkloadEntry") == ["shop/web-1", "shop/vm"]
    again = decode_proxy_config(wire(encode_proxy_config(found)), found.name)
    assert {one.metadata.key: one.metadata.labels.get("app") for one in again.objects if one.kind == "Pod"} == {
        "shop/web-1": "web"
    }
    assert keys(again, "DestinationRule") == ["shop/r"]


INLINE = """\
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: inner, namespace: shop}
spec:
  hosts: [api.example.org]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.7.0.1, labels: {version: v1}}, {address: 10.7.0.2}]
"""


def test_labels_inside_a_service_entry_come_with_it() -> None:
    found = waypoint(INLINE + rule("r", "host: api.example.org, subsets: [{name: v1, labels: {version: v1}}]"))
    again = decode_proxy_config(wire(encode_proxy_config(found)), found.name)
    manifests = Manifests.of(again.objects)
    uid = "Kubernetes/networking.istio.io/ServiceEntry/shop/inner/10.7.0.{}".format
    assert [dict(inner_labels(manifests, uid(last))) for last in (1, 2, 3)] == [{"version": "v1"}, {}, {}]


# Routes of the waypoint itself.


def test_what_decides_of_a_gateway_s_routes_is_told_with_them() -> None:
    grant = dedent("""\
        ---
        apiVersion: gateway.networking.k8s.io/v1beta1
        kind: ReferenceGrant
        metadata: {name: g, namespace: far}
        spec:
          from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}]
          to: [{group: '', kind: Service}]
        """)
    shared = route("shared", "name: wp")
    assert keys(waypoint(grant), "ReferenceGrant") == []
    assert keys(waypoint(grant, shared), "HTTPRoute", "ReferenceGrant") == ["shop/shared", "far/g"]
    assert keys(waypoint(shared), "Namespace") == []


def test_labels_of_namespaces_are_told_where_a_listener_selects_by_them() -> None:
    selecting = WORLD.replace(
        "protocol: HBONE}]",
        "protocol: HBONE, allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {a: b}}}}}]",
    )
    manifests = Manifests.of(read_manifests(selecting + route("shared", "name: wp"), "f.yaml").objects)
    found = ProxyConfigs(manifests, build(manifests), MeshConfig()).of_waypoint("shop", "wp")
    assert found is not None
    again = decode_proxy_config(wire(encode_proxy_config(found)), found.name)
    [namespace] = [one for one in again.objects if one.kind == "Namespace"]
    assert namespace.metadata.labels == {"istio.io/use-waypoint": "wp"}


# Filters.


def filters(namespace: str, spec: str) -> str:
    return dedent(f"""\
        ---
        apiVersion: hbone.mesh/v1
        kind: FilterConfig
        metadata: {{name: f, namespace: {namespace}}}
        spec: {{{spec}}}
        """)


OPA = "extensionProviders: [{name: opa, envoyExtAuthzHttp: {service: opa.shop.svc.cluster.local, port: 9191}}]"


def test_whose_filters_are_told() -> None:
    own = filters("shop", "faults: [{service: shop/web, abort: {httpStatus: 503}}]")
    text = own, filters("istio-system", OPA), filters("front", "")
    assert sorted(keys(waypoint(*text), "FilterConfig")) == ["istio-system/f", "shop/f"]
    assert keys(sidecar(*text), "FilterConfig") == ["istio-system/f"]
    found = waypoint(*text)
    again = decode_proxy_config(wire(encode_proxy_config(found)), found.name)
    chain = told_by(Manifests.of(again.objects).filter_configs, "istio-system")
    assert [one.name for one in chain.providers] == ["opa"]
    assert [one.service for one in chain.faults] == ["shop/web"]


def test_authorizers_are_the_root_s_alone() -> None:
    chain = told_by(Manifests.of(read_manifests(filters("shop", OPA), "f.yaml").objects).filter_configs, "istio-system")
    assert chain.providers == ()
