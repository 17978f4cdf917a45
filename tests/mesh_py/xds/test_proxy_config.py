"""Our own resource: what was written goes to bytes and back, and is read as a file is."""

from __future__ import annotations

from textwrap import dedent

import pytest
from google.protobuf import text_format

from mesh_py.manifests.core import Pod, PodSpec, Service
from mesh_py.manifests.mesh_config import MeshConfig
from mesh_py.manifests.metadata import Metadata
from mesh_py.manifests.objects import KubernetesObject, Manifests
from mesh_py.manifests.proxy_config import ProxyConfig
from mesh_py.manifests.reader import read_manifests
from mesh_py.xds.decode import RejectedResource
from mesh_py.xds.encode import wire
from mesh_py.xds.proto import proxy_config_pb2
from mesh_py.xds.proxy_config import decode_proxy_config, encode_proxy_config

WRITTEN = dedent("""\
    apiVersion: security.istio.io/v1
    kind: AuthorizationPolicy
    metadata: {name: readers, namespace: shop, labels: {team: a}, annotations: {note: "1"}}
    spec:
      selector: {matchLabels: {app: web}}
      rules:
      - from: [{source: {principals: ["cluster.local/ns/front/*"]}}]
        to: [{operation: {methods: [GET], paths: ["/v1/*"], ports: ["8080"]}}]
        when: [{key: "request.headers[x-version]", values: ["1.10"]}]
    ---
    apiVersion: security.istio.io/v1beta1
    kind: PeerAuthentication
    metadata: {name: own, namespace: shop, creationTimestamp: "2026-01-02T03:04:05Z"}
    spec:
      selector: {matchLabels: {app: web}}
      portLevelMtls: {8080: {mode: DISABLE}}
    ---
    apiVersion: gateway.networking.k8s.io/v1
    kind: HTTPRoute
    metadata: {name: split, namespace: shop}
    spec:
      parentRefs: [{group: "", kind: Service, name: web, port: 80}]
      rules:
      - matches: [{path: {type: PathPrefix, value: /v2}}]
        timeouts: {request: 10s}
        backendRefs: [{name: web-v1, port: 80, weight: 90}, {name: web-v2, port: 80, weight: 0}]
    """)
OBJECTS = read_manifests(WRITTEN, "shop.yaml").objects
MESH = MeshConfig(trust_domain="corp", root_namespace="root", cluster_domain="corp.local")


def there_and_back(*objects: KubernetesObject, mesh: MeshConfig | None = None) -> ProxyConfig:
    sent = ProxyConfig("shop/web-1", mesh or MeshConfig(), objects)
    return decode_proxy_config(wire(encode_proxy_config(sent)), "shop/web-1")


def message(text: str) -> bytes:
    return wire(text_format.Parse(text, proxy_config_pb2.ProxyConfig()))


def test_what_was_written_comes_back() -> None:
    found = there_and_back(*OBJECTS)
    assert found.objects == OBJECTS
    assert [one.metadata.written for one in found.objects] == [one.metadata.written for one in OBJECTS]


def test_names_of_the_mesh_come_back_and_empty_ones_have_their_defaults() -> None:
    assert there_and_back(mesh=MESH).mesh == MESH
    assert decode_proxy_config(b"", "shop/web-1") == ProxyConfig("shop/web-1")


def test_equal_configurations_are_equal_bytes() -> None:
    again = read_manifests(WRITTEN, "other.yaml").objects
    one, other = (encode_proxy_config(ProxyConfig("n", objects=objects)) for objects in (OBJECTS, again))
    assert wire(one) == wire(other)


def test_age_comes_back_as_the_position() -> None:
    text = "apiVersion: v1\nkind: Service\nmetadata: {{name: {}}}\nspec: {{}}\n"
    first = read_manifests(text.format("z"), "a.yaml").objects
    second = read_manifests(text.format("a"), "b.yaml").objects
    found = there_and_back(*first, *second).objects
    assert [one.metadata.name for one in sorted(found, key=lambda one: one.metadata.age)] == ["z", "a"]


def test_a_pod_is_told_by_what_concerns_its_proxy() -> None:
    made = Pod(Metadata("web-1", "shop", {"app": "web"}), PodSpec("web", "n1"))
    [found] = there_and_back(made).objects
    assert found == made


def test_another_object_that_nobody_wrote_is_refused() -> None:
    made = ProxyConfig("n", objects=(Service(Metadata("web", "shop")),))
    with pytest.raises(ValueError, match=r"Service shop/web was made, not read"):
        encode_proxy_config(made)


def test_a_kind_yet_to_be_invented_is_passed_over() -> None:
    found = decode_proxy_config(
        message("""
            manifests { api_version: "example.com/v1" kind: "HTTPRouted" name: "x" }
            manifests { api_version: "v1" kind: "Namespace" name: "shop" }
        """),
        "n",
    )
    assert [one.kind for one in found.objects] == ["Namespace"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(
            'manifests { api_version: "security.istio.io/v9" kind: "PeerAuthentication" namespace: "a" name: "p" }',
            r"PeerAuthentication a/p: .*v9",
            id="a version yet to be invented",
        ),
        pytest.param(
            'manifests { api_version: "security.istio.io/v1" kind: "PeerAuthentication" namespace: "a" name: "p" '
            'spec { fields { key: "mtls" value { string_value: "STRICT" } } } }',
            "PeerAuthentication a/p: expected a mapping",
            id="of another form",
        ),
    ],
)
def test_what_cannot_be_read_rejects_the_whole(text: str, reason: str) -> None:
    with pytest.raises(RejectedResource, match=reason):
        decode_proxy_config(message(text), "n")


def test_bytes_of_something_else_are_rejected() -> None:
    with pytest.raises(RejectedResource, match="not a ProxyConfig"):
        decode_proxy_config(b"\xff", "n")


def test_what_comes_back_is_found_as_in_a_folder() -> None:
    manifests = Manifests.of(there_and_back(*OBJECTS).objects)
    assert [one.metadata.name for one in manifests.http_routes] == ["split"]
    assert manifests.http_routes[0].rules[0].timeouts.request == 10.0
