"""The local file: ztunnel's LocalConfig as its users write it (hbone-controlplane 5)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mesh_py.discovery.local_file import LocalConfig, read_local_config
from mesh_py.discovery.problems import ConfigError
from mesh_py.discovery.state import MeshState
from mesh_py.model.address import NamespacedHostname

FILE = """\
# A world of two pods on one machine, one of them without a tunnel.
workloads:
- uid: cluster1//Pod/shop/web
  name: web
  namespace: shop
  serviceAccount: web
  workloadIps: ["127.0.1.1"]
  protocol: HBONE
  node: local
  network: ""
  authorizationPolicies: [shop/only-web]
  services:
    "shop/web.shop.svc":
      80: 8080
- uid: cluster1//Pod/shop/old
  name: old
  namespace: shop
  workloadIps: ["127.0.1.2"]
  services: {}
policies:
  - action: Allow
    rules:
    - - - notDestinationPorts:
          - 9999
    name: only-web
    namespace: shop
    scope: WorkloadSelector
    dryRun: false
services:
- name: web
  namespace: shop
  hostname: web.shop.svc
  vips:
    - /127.10.0.1
  ports:
    80: 8080
  subjectAltNames:
   - spiffe://cluster.local/ns/shop/sa/web
"""


def test_a_file_becomes_a_mesh() -> None:
    config = read_local_config(FILE, "mesh.yaml")
    assert [workload.name for workload in config.workloads] == ["web", "old"]
    assert [str(workload.identity) for workload in config.workloads] == [
        "spiffe:///ns/shop/sa/web",
        "spiffe:///ns/shop/sa/",
    ]
    assert [service.hostname for service in config.services] == ["web.shop.svc"]
    assert [policy.key for policy in config.policies] == ["shop/only-web"]
    assert config.warnings == ()


def test_the_services_of_a_workload_count_for_inbound_traffic() -> None:
    config = read_local_config(FILE, "mesh.yaml")
    state = MeshState()
    state.replace(config.workloads, config.services, config.policies)
    web = config.workloads[0]
    assert [record.service.hostname for record in state.services_of(web)] == ["web.shop.svc"]
    assert state.services.by_key[NamespacedHostname("shop", "web.shop.svc")].endpoints.keys() == {web.uid}


def test_a_trust_domain_is_filled_in_where_there_is_none() -> None:
    text = FILE.replace("  name: old\n", "  name: old\n  trustDomain: td\n")
    workloads = read_local_config(text, "mesh.yaml", trust_domain="cluster.local").workloads
    assert [workload.identity.trust_domain for workload in workloads] == ["cluster.local", "td"]


@pytest.mark.parametrize("text", ["workloads: []", "{}", "services:\npolicies: ~\n"])
def test_an_empty_mesh_is_a_mesh(text: str) -> None:
    assert read_local_config(text, "mesh.yaml") == LocalConfig()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(
            "  protocol: HBONE",
            "  protcol: HBONE",
            "mesh.yaml:8:3: unknown key 'protcol' in workload; did you mean 'protocol'?",
            id="a slip in a key",
        ),
        pytest.param(
            "services:\n- name",
            "service:\n- name",
            "mesh.yaml:29:1: unknown key 'service' in the file; did you mean 'services'?",
            id="a slip at the top",
        ),
        pytest.param(
            "notDestinationPorts",
            "notDestinationPort",
            "mesh.yaml:23:11: unknown key 'notDestinationPort' in match; did you mean 'notDestinationPorts'?",
            id="a slip in a match",
        ),
        pytest.param(
            "//Pod/shop/old",
            "//Pod/shop/web",
            "mesh.yaml:15:3: workload uid 'cluster1//Pod/shop/web' appears twice; give each one its own",
            id="a uid twice",
        ),
        pytest.param(
            "  dryRun: false",
            "  dryRun: false\n  - {name: only-web, namespace: shop, scope: Global, action: Deny, "
            "rules: [], dryRun: true}",
            "mesh.yaml:29:5: policy 'shop/only-web' appears twice; give each one its own",
            id="a policy twice",
        ),
        pytest.param(
            "workloads:\n",
            "workloads: none\nmore:\n",
            "mesh.yaml:2:12: expected a list, found 'none'; write '- item' lines or [item, ...]",
            id="no list",
        ),
    ],
)
def test_a_fault_has_a_place_and_advice(old: str, new: str, expected: str) -> None:
    assert old in FILE
    with pytest.raises(ConfigError) as refused:
        read_local_config(FILE.replace(old, new), "mesh.yaml")
    assert str(refused.value).splitlines()[0] == expected


def test_all_faults_are_told_at_once() -> None:
    text = FILE.replace("HBONE", "HBOE").replace('["127.0.1.2"]', "[300.0.0.1]").replace("dryRun: false", "dryRun: no")
    with pytest.raises(ConfigError) as refused:
        read_local_config(text, "mesh.yaml")
    assert [problem.line for problem in refused.value.problems] == [8, 18, 28]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(
            "spiffe://cluster.local/ns/shop/sa/web",
            "web.example",
            "mesh.yaml: service shop/web.shop.svc: subjectAltNames entry 'web.example' is no SPIFFE identity; ignored",
            id="a name that nobody can prove",
        ),
        pytest.param(
            "shop/only-web",
            "shop/gone",
            "mesh.yaml: workload cluster1//Pod/shop/web: policy 'shop/gone' is not in the file; "
            "until it is known, connections to the workload are denied",
            id="a policy that is not there",
        ),
    ],
)
def test_what_is_probably_not_meant_is_a_warning(old: str, new: str, expected: str) -> None:
    assert read_local_config(FILE.replace(old, new), "mesh.yaml").warnings == (expected,)


@pytest.mark.skipif(
    not os.environ.get("MESH_REFERENCE_DATA"), reason="MESH_REFERENCE_DATA does not name the reference files' folder"
)
@pytest.mark.parametrize(
    ("name", "workloads", "services", "policies"),
    [("ztunnel-localhost.yaml", 2, 2, 1), ("ztunnel-config-dump.json", 27, 19, 2)],
)
def test_reference_files_load_unchanged(name: str, workloads: int, services: int, policies: int) -> None:
    text = (Path(os.environ["MESH_REFERENCE_DATA"]) / name).read_text(encoding="utf-8")
    config = read_local_config(text, name)
    assert (len(config.workloads), len(config.services), len(config.policies)) == (workloads, services, policies)
