"""Clusters: which sockets they choose from, whom they expect, which version of HTTP they speak."""

from __future__ import annotations

from typing import Any

import pytest

from istiod_py.envoy.clusters import inbound_cluster, outbound_cluster
from istiod_py.envoy.form_today import TODAY
from istiod_py.envoy.mesh import Target
from mesh_py.model.workload import AppProtocol, LoadBalancer, LoadBalancerMode, Protocol
from tests.istiod_py.envoy.meshes import ECHO, echo_pod, echo_service, mesh, sidecar


def cluster(*pods: Any, protocol: AppProtocol = AppProtocol.HTTP11, **service: Any) -> dict[str, Any]:
    given = echo_service(app_protocols={80: protocol}, **service)
    sidecars = tuple(pod.name for pod in pods if pod.protocol is Protocol.TCP)
    return outbound_cluster(mesh(given, *pods, sidecars=sidecars), sidecar(), TODAY, Target(given, 80))


def tls_of(found: dict[str, Any]) -> dict[str, Any]:
    [socket] = [one for one in found["transport_socket_matches"] if one["name"] == "tlsMode-istio"]
    config: dict[str, Any] = socket["transport_socket"]["typed_config"]
    return config


def expected_of(found: dict[str, Any]) -> list[dict[str, str]]:
    context = tls_of(found)["common_tls_context"]["combined_validation_context"]
    return [one["matcher"] for one in context["default_validation_context"]["match_typed_subject_alt_names"]]


def test_tunnels_are_tried_before_mutual_tls_before_nothing() -> None:
    found = cluster(echo_pod())
    assert found["name"] == f"outbound|80||{ECHO}"
    matches = [(one["name"], one["match"]) for one in found["transport_socket_matches"]]
    assert matches == [("hbone", {"tunnel": "http"}), ("tlsMode-istio", {"tlsMode": "istio"}), ("tlsMode-disabled", {})]


@pytest.mark.parametrize(
    ("protocol", "alpn", "versions"),
    [
        (AppProtocol.HTTP11, ["istio-http/1.1", "istio", "http/1.1"], ["http_protocol_options"]),
        (AppProtocol.HTTP2, ["istio-h2", "istio", "h2"], ["http2_protocol_options"]),
        (AppProtocol.GRPC, ["istio-h2", "istio", "h2"], ["http2_protocol_options"]),
        (AppProtocol.TCP, ["istio-peer-exchange", "istio"], []),
        (AppProtocol.TLS, ["istio-peer-exchange", "istio"], []),
        (AppProtocol.UNKNOWN, ["istio-peer-exchange", "istio"], ["http2_protocol_options", "http_protocol_options"]),
    ],
)
def test_what_a_port_speaks(protocol: AppProtocol, alpn: list[str], versions: list[str]) -> None:
    found = cluster(echo_pod(), protocol=protocol)
    assert tls_of(found)["common_tls_context"]["alpn_protocols"] == alpn
    text = str(found.get("typed_extension_protocol_options", ""))
    assert sorted(
        word for word in ("http_protocol_options", "http2_protocol_options") if f"'{word}'" in text
    ) == sorted(versions)


def test_only_accounts_that_have_sidecars_are_expected_there() -> None:
    one = echo_pod("10.1.0.2", "one", protocol=Protocol.TCP)
    two = echo_pod("10.1.0.3", "two", protocol=Protocol.TCP)
    found = cluster(one, two, echo_pod("10.1.0.4", "ambient"), subject_alt_names=("spiffe://other/ns/a/sa/b",))
    assert expected_of(found) == [
        {"exact": "spiffe://cluster.local/ns/default/sa/one"},
        {"exact": "spiffe://cluster.local/ns/default/sa/two"},
        {"exact": "spiffe://other/ns/a/sa/b"},
    ]


def test_nobody_to_expect_is_not_everybody() -> None:
    assert expected_of(cluster()) == [{"prefix": "spiffe://cluster.local/"}]


def test_services_that_are_passed_through_or_looked_up() -> None:
    passed = cluster(load_balancer=LoadBalancer(mode=LoadBalancerMode.PASSTHROUGH))
    assert (passed["type"], "transport_socket_matches" in passed) == ("ORIGINAL_DST", False)
    named = cluster(echo_pod(workload_ips=(), hostname="echo.example"))
    assert named["type"] == "STRICT_DNS"
    [group] = named["load_assignment"]["endpoints"]
    address = {"socket_address": {"address": "echo.example", "port_value": 8080}}
    assert group["lb_endpoints"] == [{"endpoint": {"address": address}}]


@pytest.mark.parametrize(("ipv6", "source"), [(False, "127.0.0.6"), (True, "::6")])
def test_the_way_to_the_application_is_known_by_its_source(ipv6: bool, source: str) -> None:
    found = inbound_cluster(8080, AppProtocol.HTTP11, ipv6=ipv6)
    assert found["upstream_bind_config"]["source_address"] == {"address": source, "port_value": 0}
