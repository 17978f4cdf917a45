"""Whole files: documents, lists, kinds and versions; LocalConfig; mappings without places."""

from __future__ import annotations

import json
from contextlib import suppress
from textwrap import dedent

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct
from hypothesis import example, given
from hypothesis import strategies as st

from mesh_py.discovery.problems import ConfigError
from mesh_py.discovery.yaml_reader import compose, pairs, sequence
from mesh_py.manifests.core import Namespace, Pod, Service
from mesh_py.manifests.decoders import ManifestReader
from mesh_py.manifests.metadata import Place, Written
from mesh_py.manifests.reader import KINDS, FileContents, read_manifests, read_mapping, read_nodes, scan
from mesh_py.manifests.security import AuthorizationPolicy
from tests.support.manifests import faults, warnings

NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
POLICY = {
    "apiVersion": "security.istio.io/v1",
    "kind": "AuthorizationPolicy",
    "metadata": {"name": "p", "namespace": "shop"},
    "spec": {"rules": [{"to": [{"operation": {"ports": [80, "81"]}}]}]},
}


def names(contents: FileContents) -> list[str]:
    return [one.metadata.key for one in contents.objects]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", [], id="an empty file"),
        pytest.param("# nothing\n---\n---\n", [], id="empty documents"),
        pytest.param(f"---\n{NAMESPACE}---\n{NAMESPACE.replace('shop', 'b')}", ["shop", "b"], id="documents"),
        pytest.param(json.dumps(POLICY), ["shop/p"], id="JSON"),
        pytest.param(json.dumps({"apiVersion": "v1", "kind": "List", "items": [POLICY]}), ["shop/p"], id="a List"),
        pytest.param("apiVersion: v1\nkind: List\nitems: []", [], id="an empty List"),
        pytest.param(
            "apiVersion: v1\nkind: PodList\nitems: [{apiVersion: v1, kind: Namespace, metadata: {name: a}}]",
            ["a"],
            id="a List of a kind",
        ),
    ],
)
def test_what_a_file_may_hold(text: str, expected: list[str]) -> None:
    assert names(read_manifests(text, "f")) == expected


def test_an_object_that_is_passed_on_knows_what_was_written() -> None:
    text = "apiVersion: security.istio.io/v1beta1\nkind: PeerAuthentication\nmetadata: {name: p}\n"
    [first] = read_manifests(
        text + "spec: {selector: {matchLabels: {v: 1.10}}, portLevelMtls: {80: {mode: STRICT}}}", "f"
    ).objects
    spec = {"selector": {"matchLabels": {"v": "1.10"}}, "portLevelMtls": {"80": {"mode": "STRICT"}}}
    assert first.metadata.written == Written("security.istio.io/v1beta1", spec)
    [empty] = read_manifests(text, "f").objects
    assert empty.metadata.written == Written("security.istio.io/v1beta1", {})
    [other] = read_manifests(NAMESPACE, "f").objects
    assert other.metadata.written is None


def test_objects_know_their_place_and_their_order() -> None:
    contents = read_manifests(f"---\n{NAMESPACE}---\n{NAMESPACE}", "f.yaml")
    assert [one.metadata.place for one in contents.objects] == [Place("f.yaml", 2, 1), Place("f.yaml", 6, 1)]
    assert [one.metadata.order for one in contents.objects] == [0, 1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("kind: Pod", ["1:1: a manifest has no 'apiVersion'; add it"], id="no version"),
        pytest.param("apiVersion: v1", ["1:1: a manifest has no 'kind'; add it"], id="no kind"),
        pytest.param("[]", ["1:1: a manifest is a mapping; begin with 'apiVersion:' and 'kind:'"], id="a list"),
        pytest.param("hello", ["1:1: a manifest is a mapping; begin with 'apiVersion:' and 'kind:'"], id="a text"),
        pytest.param(
            "apiVersion: v1\nkind: Pod\nspec: {containers: []}",
            ["1:1: Pod has no 'metadata'; add metadata.name"],
            id="no metadata",
        ),
        pytest.param(
            "apiVersion: v1\nkind: Namespace\nmetadata: {nam: a}",
            ["3:11: metadata has no 'name'; add it", "3:12: unknown key 'nam' in metadata; did you mean 'name'?"],
            id="a key of metadata",
        ),
        pytest.param(
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: Shop}",
            ["3:18: 'Shop' is not a name (lower-case letters, digits, '-' and '.', at most 253)"],
            id="a name in upper case",
        ),
        pytest.param(
            "apiVersion: security.istio.io/v1alpha1\nkind: AuthorizationPolicy\nmetadata: {name: a}",
            [
                "1:13: apiVersion 'security.istio.io/v1alpha1' of AuthorizationPolicy is not read any more, "
                "or not yet; write security.istio.io/v1"
            ],
            id="an old version",
        ),
        pytest.param(
            "apiVersion: extensions/v1beta1\nkind: Deployment\nmetadata: {name: a}",
            [
                "1:13: apiVersion 'extensions/v1beta1' of Deployment is not read any more, or not yet; write apps/v1",
            ],
            id="an old group",
        ),
        pytest.param(
            "apiVersion: security.istoi.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a}",
            [
                "1:13: unknown apiVersion 'security.istoi.io/v1' of AuthorizationPolicy; "
                "did you mean 'security.istio.io/v1'?"
            ],
            id="a misspelt group",
        ),
        pytest.param(
            "apiVersion: security.istio.io/v1\nkind: AuthorisationPolicy\nmetadata: {name: a}",
            ["2:7: unknown kind 'AuthorisationPolicy'; did you mean 'AuthorizationPolicy'?"],
            id="a misspelt kind",
        ),
        pytest.param(
            "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspce: {}",
            ["1:1: Service has no 'spec'; add it", "4:1: unknown key 'spce' in Service; did you mean 'spec'?"],
            id="a key of the object",
        ),
        pytest.param(
            "apiVersion: v1\nkind: List\nitems: [{kind: Pod}, x]",
            [
                "3:9: a manifest has no 'apiVersion'; add it",
                "3:22: a manifest is a mapping; begin with 'apiVersion:' and 'kind:'",
            ],
            id="items of a List",
        ),
        pytest.param(
            f"{NAMESPACE}---\nworkloads: []\n",
            ["5:1: ztunnel's LocalConfig beside other documents; give it a file of its own"],
            id="LocalConfig beside others",
        ),
        pytest.param(
            "workloads:\n- nam: x\n",
            [
                "2:3: unknown key 'nam' in workload; did you mean 'name'?",
                "2:3: workload has no 'namespace'; add it",
                "2:3: workload has no 'workloadIps'; add it",
                "2:3: workload has no 'services'; add it",
            ],
            id="a fault in LocalConfig",
        ),
        pytest.param(
            "a: [", ["2:1: not YAML: did not find expected node content; while parsing a flow node"], id="cut"
        ),
        pytest.param("a: &a [*a]", ["1:4: an alias that holds itself; write it out"], id="an endless alias"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, expected: list[str]) -> None:
    assert faults(text) == expected


def test_everything_that_is_wrong_is_told_at_once_and_the_rest_is_read() -> None:
    contents = scan(f"kind: Pod\n---\n{NAMESPACE}---\napiVersion: v1\n", "f")
    assert [problem.line for problem in contents.faults] == [1, 7]
    assert names(contents) == ["shop"]
    with pytest.raises(ConfigError, match="f:1:1: a manifest has no 'apiVersion'"):
        contents.sound()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: b}",
            ["2:7: v1 ConfigMap does not concern the mesh; passed over"],
            id="a kind that is nothing to a mesh",
        ),
        pytest.param(
            "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: a}\nspec: {template: {}}",
            ["1:13: serving.knative.dev/v1 Service is no kind of ours (v1 is); passed over"],
            id="somebody else's Service",
        ),
        pytest.param(
            "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: a}\nspec: {}",
            [
                "2:7: networking.istio.io/v1 Gateway is not supported; passed over; "
                "the mesh behaves as if it was not there"
            ],
            id="Istio's own Gateway",
        ),
        pytest.param(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec: {}",
            [
                "2:7: networking.istio.io/v1 VirtualService is not supported; passed over; "
                "the mesh behaves as if it was not there"
            ],
            id="a kind of Istio's that is not read",
        ),
        pytest.param(
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: a}\nspec: {}",
            [
                "2:7: apps/v1 StatefulSet is passed over: only Deployments are given their pods; "
                "write its pods, or a Deployment"
            ],
            id="another sort of workload",
        ),
        pytest.param(
            "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {version: 1, on: true, half: 0.5, v: v1}}",
            [
                "3:39: the value of 'version' is no text: Kubernetes refuses it; write \"1\"",
                "3:46: the value of 'on' is no text: Kubernetes refuses it; write \"true\"",
                "3:58: the value of 'half' is no text: Kubernetes refuses it; write \"0.5\"",
            ],
            id="labels that are no text",
        ),
    ],
)
def test_what_is_passed_over_is_warned_of(text: str, expected: list[str]) -> None:
    assert faults(text) == []
    assert warnings(text) == expected


def test_a_local_config_is_told_by_its_keys() -> None:
    text = """\
    workloads:
    - uid: a
      namespace: shop
      serviceAccount: web
      workloadIps: [10.0.0.1]
      services: {}
      authorizationPolicies: [shop/nobody]
    """
    contents = scan(dedent(text), "f.yaml", trust_domain="td")
    assert contents.local_config is not None
    assert [str(workload.identity) for workload in contents.local_config.workloads] == ["spiffe://td/ns/shop/sa/web"]
    assert [str(warning)[:51] for warning in contents.warnings] == [
        "f.yaml: workload a: policy 'shop/nobody' is not in "
    ]


def test_a_config_dump_is_read_too() -> None:
    dump = {"workloads": [{"uid": "a", "namespace": "shop", "workloadIps": ["10.0.0.1"]}], "version": {}}
    contents = scan(json.dumps(dump), "dump.json")
    assert contents.local_config is not None
    assert len(contents.local_config.workloads) == 1


def test_a_mapping_is_read_like_a_file() -> None:
    [written] = read_manifests(json.dumps(POLICY), "f").objects
    assert read_mapping(POLICY, "xDS") == written
    assert isinstance(written, AuthorizationPolicy)
    assert written.rules[0].to[0].ports == (80, 81)


def test_a_struct_is_read_though_all_its_numbers_are_floats() -> None:
    struct = ParseDict(POLICY, Struct())
    assert read_mapping(MessageToDict(struct), "xDS") == read_mapping(POLICY, "xDS")


@pytest.mark.parametrize(
    ("manifest", "complaint"),
    [
        pytest.param({**POLICY, "spec": {"ruls": []}}, "xDS: unknown key 'ruls' .* did you mean 'rules'", id="a key"),
        pytest.param({**POLICY, "kind": "Secret", "apiVersion": "v1"}, "xDS: v1 Secret does not concern", id="a kind"),
        pytest.param({**POLICY, "spec": {"rules": [{"to": 1.5}]}}, "expected a list, found '1.5'", id="a number"),
        pytest.param({"apiVersion": "v1", "kind": "List"}, "no manifest", id="an empty list"),
    ],
)
def test_a_mapping_that_is_wrong_is_refused(manifest: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        read_mapping(manifest, "xDS")


def test_nodes_of_another_file_keep_their_places() -> None:
    text = "manifests:\n- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n- {apiVersion: v1, kind: Nothing}\n"
    reader = ManifestReader("local.yaml")
    [found] = read_nodes(reader, sequence(pairs(compose(text, "local.yaml"))[0][1]))
    assert isinstance(found, Namespace)
    assert found.metadata.place == Place("local.yaml", 2, 3)
    assert [problem.line for problem in reader.warnings] == [3]


# What the cluster prints: metadata, spec and status with much that is nothing to a mesh.

PRINTED = """\
apiVersion: v1
items:
- apiVersion: v1
  kind: Pod
  metadata:
    annotations: {ambient.istio.io/redirection: enabled, kubectl.kubernetes.io/restartedAt: "2024-05-01T00:00:00Z"}
    creationTimestamp: "2024-05-01T10:00:00Z"
    generateName: web-5d4c7b9f8-
    labels: {app: web, pod-template-hash: 5d4c7b9f8}
    managedFields:
    - {apiVersion: v1, fieldsType: FieldsV1, fieldsV1: {"f:metadata": {"f:labels": {".": {}}}}, manager: kubelet}
    name: web-5d4c7b9f8-x2k8p
    namespace: shop
    ownerReferences:
    - {apiVersion: apps/v1, blockOwnerDeletion: true, controller: true, kind: ReplicaSet, name: web-5d4c7b9f8, uid: u}
    resourceVersion: "123456"
    uid: 0b1d
  spec:
    automountServiceAccountToken: true
    containers:
    - env: [{name: A, value: b}]
      image: web:1
      name: web
      ports:
      - {containerPort: 8080, name: http, protocol: TCP}
      readinessProbe: {httpGet: {path: /, port: http}}
      resources: {}
      volumeMounts: [{mountPath: /x, name: x, readOnly: true}]
    dnsPolicy: ClusterFirst
    enableServiceLinks: true
    initContainers:
    - {name: proxy, image: p, restartPolicy: Always, ports: [{containerPort: 15090, name: http-envoy-prom}]}
    - {name: init, image: i, ports: [{containerPort: 1}]}
    nodeName: node-1
    preemptionPolicy: PreemptLowerPriority
    priority: 0
    schedulerName: default-scheduler
    securityContext: {}
    serviceAccount: web
    serviceAccountName: web
    terminationGracePeriodSeconds: 30
    tolerations: [{effect: NoExecute, key: node.kubernetes.io/not-ready, operator: Exists, tolerationSeconds: 300}]
    volumes: [{name: x, projected: {defaultMode: 420}}]
  status:
    conditions:
    - {lastProbeTime: null, lastTransitionTime: "2024-05-01T10:00:05Z", status: "False", type: Ready}
    - {status: "True", type: PodScheduled}
    containerStatuses: [{name: web, ready: false}]
    hostIP: 172.18.0.2
    phase: Running
    podIP: 10.244.1.7
    podIPs: [{ip: 10.244.1.7}, {ip: fd00:10:244:1::7}]
    qosClass: BestEffort
    startTime: "2024-05-01T10:00:00Z"
- apiVersion: v1
  kind: Service
  metadata: {name: web, namespace: shop, uid: u, resourceVersion: "1", creationTimestamp: "2024-05-01T10:00:00Z"}
  spec:
    clusterIP: 10.96.7.8
    clusterIPs: [10.96.7.8]
    externalTrafficPolicy: Cluster
    internalTrafficPolicy: Cluster
    ipFamilies: [IPv4]
    ipFamilyPolicy: SingleStack
    ports: [{name: http, nodePort: 31234, port: 80, protocol: TCP, targetPort: http}]
    selector: {app: web}
    sessionAffinity: None
    type: LoadBalancer
  status: {loadBalancer: {ingress: [{ip: 172.18.255.1, ipMode: VIP}]}}
kind: List
metadata: {resourceVersion: ""}
"""


def test_what_a_cluster_prints_is_read_without_a_word() -> None:
    contents = read_manifests(PRINTED, "f")
    assert contents.warnings == ()
    pod, service = contents.objects
    assert isinstance(pod, Pod)
    assert isinstance(service, Service)
    assert (pod.metadata.owner, pod.workload.name) == (("ReplicaSet", "web-5d4c7b9f8"), "web")
    assert pod.ips == ("10.244.1.7", "fd00:10:244:1::7")
    assert not pod.ready
    assert [port.container_port for port in pod.spec.ports] == [8080, 15090]
    assert service.cluster_ips == ("10.96.7.8",)
    assert service.load_balancer_addresses == ("172.18.255.1",)


# Nothing crashes it.

KEYS = [
    "apiVersion",
    "kind",
    "metadata",
    "name",
    "spec",
    "rules",
    "from",
    "source",
    "ports",
    "matches",
    "filters",
    "items",
]
MARKS = [
    "{",
    "}",
    "[",
    "]",
    "'",
    '"',
    "!t",
    "*x",
    "&x",
    "- ",
    ": ",
    "\n",
    "  ",
    "<<: ",
    "---\n",
    "~",
    "80",
    "List",
    "v1",
]
WORDS = st.sampled_from([*KEYS, *MARKS, *KINDS, "security.istio.io/v1", "gateway.networking.k8s.io/v1"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(WORDS, max_size=40).map("".join) | st.text(max_size=80))
@example("? [\n")
@example("\x00")
@example("a: !!binary x\n")
def test_no_text_crashes_it(text: str) -> None:
    scan(text, "f")


@given(
    st.sampled_from(sorted(KINDS)),
    st.dictionaries(st.sampled_from(["spec", "status", "metadata", "endpoints"]), VALUES),
)
def test_no_manifest_crashes_it(kind: str, parts: dict[str, object]) -> None:
    group, versions, _ = KINDS[kind]
    version = f"{group}/{versions[0]}" if group else versions[0]
    with suppress(ConfigError):
        read_mapping({"apiVersion": version, "kind": kind, "metadata": {"name": "a"}, **parts}, "f")
