"""The dump's shape, key by key (hbone-controlplane 7.3)."""

from __future__ import annotations

import pytest

from mesh_py.admin.config_dump import (
    ConfigDumpParts,
    assemble_config_dump,
    camel_case,
    connection_entry,
    effective_config,
    merge_workload_states,
    version_info,
    workload_entry,
)

CONNECTION = connection_entry("127.0.1.1:40000", "web.shop.svc.cluster.local", "127.0.2.1:8080", "HBONE")
OTHER = connection_entry("127.0.1.1:40001", None, "127.0.2.1:8080", "TCP")


def test_an_empty_proxy_has_every_key():
    assert assemble_config_dump(ConfigDumpParts()) == {
        "workloads": [],
        "services": [],
        "policies": [],
        "stagedServices": {},
        "staticConfig": {"workloads": [], "policies": [], "services": []},
        "version": {},
        "config": {},
        "certificates": [],
    }


def test_lists_are_sorted_as_readers_expect():
    dump = assemble_config_dump(
        ConfigDumpParts(
            workloads=[{"uid": "b"}, {"name": "without uid"}, {"uid": "a"}],
            services=[{"hostname": "z"}, {"hostname": "y"}],
            policies=[{"namespace": "b", "name": "a"}, {"namespace": "a", "name": "b"}],
            certificates=[{"identity": "spiffe://b"}, {"identity": "spiffe://a"}],
            workload_state={"uid-2": {}, "uid-1": {}},
        )
    )
    assert dump["workloads"] == [{"name": "without uid"}, {"uid": "a"}, {"uid": "b"}]
    assert dump["services"] == [{"hostname": "y"}, {"hostname": "z"}]
    assert [policy["namespace"] for policy in dump["policies"]] == ["a", "b"]
    assert [entry["identity"] for entry in dump["certificates"]] == ["spiffe://a", "spiffe://b"]
    assert list(dump["workloadState"]) == ["uid-1", "uid-2"]


def test_dedicated_mode_has_no_workload_state():
    assert "workloadState" not in assemble_config_dump(ConfigDumpParts(workload_state=None))


def test_connections_are_shown_under_their_workload():
    assert workload_entry("web-1", "shop", "web", inbound=[CONNECTION], outbound=[]) == {
        "state": "Up",
        "connections": {
            "inbound": [
                {
                    "src": "127.0.1.1:40000",
                    "originalDst": "web.shop.svc.cluster.local",
                    "actualDst": "127.0.2.1:8080",
                    "protocol": "HBONE",
                }
            ],
            "outbound": [],
        },
        "info": {"name": "web-1", "namespace": "shop", "serviceAccount": "web"},
    }


def test_workers_serve_the_same_workloads_with_connections_of_their_own():
    one = {
        "a": workload_entry("a", "ns", "sa", inbound=[CONNECTION], outbound=[]),
        "b": workload_entry("b", "ns", "sa", inbound=[], outbound=[]),
    }
    two = {"a": workload_entry("a", "ns", "sa", inbound=[OTHER], outbound=[CONNECTION])}
    merged = merge_workload_states([one, two])
    assert merged["a"]["connections"] == {"inbound": [CONNECTION, OTHER], "outbound": [CONNECTION]}
    assert merged["b"] == one["b"]
    assert one["a"]["connections"]["inbound"] == [CONNECTION]  # the parts stay as they were


@pytest.mark.parametrize(
    ("name", "key"),
    [("proxy_mode", "proxyMode"), ("dns", "dns"), ("http2_stream_window_size", "http2StreamWindowSize")],
)
def test_settings_are_camel_case(name: str, key: str):
    assert camel_case(name) == key


def test_secrets_and_sources_are_left_out():
    settings = {"proxy_mode": "node", "auth_token": "t0ken", "token": "t0ken", "local_xds_path": "mesh.yaml"}
    assert effective_config(settings) == {"proxyMode": "node"}


def test_groups_of_settings_follow_the_same_rules():
    settings = {"tls_settings": {"min_version": "1.3", "token": "t0ken"}, "bind_to": ({"port_number": 1}, "x")}
    assert effective_config(settings) == {"tlsSettings": {"minVersion": "1.3"}, "bindTo": [{"portNumber": 1}, "x"]}


def test_the_version_has_the_keys_istioctl_knows():
    info = version_info(
        "1.0", git_revision="abc", istio_version="1.30", language="CPython 3.11", form="plain", crypto="OpenSSL 4"
    )
    assert list(info) == [
        "version",
        "gitRevision",
        "rustVersion",
        "buildProfile",
        "buildStatus",
        "istioVersion",
        "cryptoProvider",
    ]
