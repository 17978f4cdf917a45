"""What a DestinationRule's policy makes of a cluster, of routes and of the filter for plain connections."""

from __future__ import annotations

from typing import Any

import pytest

from istiod_py.envoy.traffic_policy import hash_policies, of_tcp_proxy, passes_through, shaped, spoken
from mesh_py.manifests.client_tls import ClientTls, TlsMode
from mesh_py.manifests.traffic import (
    NO_POLICY,
    Balancing,
    ConnectionPool,
    ConsistentHash,
    H2Upgrade,
    Keepalive,
    LoadBalancer,
    OutlierDetection,
    TrafficPolicy,
)
from mesh_py.model.workload import AppProtocol

OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def cluster(policy: TrafficPolicy, protocol: AppProtocol = AppProtocol.HTTP11, kind: str = "EDS") -> dict[str, Any]:
    return shaped({"name": "c", "type": kind}, policy, protocol)


def options(policy: TrafficPolicy, protocol: AppProtocol = AppProtocol.HTTP11) -> dict[str, Any]:
    found: dict[str, Any] = cluster(policy, protocol)["typed_extension_protocol_options"][OPTIONS]
    return found


def test_without_a_rule_nothing_is_bounded() -> None:
    found = cluster(NO_POLICY)
    [limits] = found["circuit_breakers"]["thresholds"]
    assert {limits[key] for key in limits if key.startswith("max_")} == {2**32 - 1}
    assert (found["connect_timeout"], found["lb_policy"]) == ("10s", "LEAST_REQUEST")
    assert not {"outlier_detection", "common_lb_config", "upstream_connection_options"} & found.keys()


@pytest.mark.parametrize(
    ("balancer", "expected"),
    [
        pytest.param(LoadBalancer(Balancing.LEAST_CONN), {"lb_policy": "LEAST_REQUEST"}, id="the older name"),
        pytest.param(LoadBalancer(Balancing.ROUND_ROBIN), {"lb_policy": "ROUND_ROBIN"}, id="in turn"),
        pytest.param(LoadBalancer(Balancing.RANDOM, warmup=9.0), {"lb_policy": "RANDOM"}, id="chance knows no warm-up"),
        pytest.param(
            LoadBalancer(warmup=9.0),
            {
                "lb_policy": "LEAST_REQUEST",
                "least_request_lb_config": {"slow_start_config": {"slow_start_window": "9s"}},
            },
            id="slowly",
        ),
        pytest.param(
            LoadBalancer(hash=ConsistentHash(header="x")),
            {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": 1024}},
            id="a ring",
        ),
        pytest.param(
            LoadBalancer(hash=ConsistentHash(header="x", is_maglev=True, table_size=101)),
            {"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": 101}},
            id="Maglev",
        ),
    ],
)
def test_balancing(balancer: LoadBalancer, expected: dict[str, Any]) -> None:
    assert expected.items() <= cluster(TrafficPolicy(balancer)).items()


def test_who_goes_where_it_was_going_is_not_balanced() -> None:
    policy = TrafficPolicy(LoadBalancer(Balancing.PASSTHROUGH))
    assert passes_through(policy)
    assert "lb_policy" not in cluster(policy, kind="ORIGINAL_DST")


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        pytest.param(ConsistentHash(header="x"), {"header": {"header_name": "x"}}, id="header"),
        pytest.param(ConsistentHash(cookie="c"), {"cookie": {"name": "c"}}, id="cookie"),
        pytest.param(
            ConsistentHash(cookie="c", cookie_path="/", cookie_ttl=0.0),
            {"cookie": {"name": "c", "path": "/", "ttl": "0s"}},
            id="a cookie that is set",
        ),
        pytest.param(ConsistentHash(query_parameter="q"), {"query_parameter": {"name": "q"}}, id="parameter"),
        pytest.param(ConsistentHash(source_ip=True), {"connection_properties": {"source_ip": True}}, id="source"),
    ],
)
def test_what_requests_are_hashed_by(by: ConsistentHash, expected: dict[str, Any]) -> None:
    assert list(hash_policies(TrafficPolicy(LoadBalancer(hash=by)))) == [expected]


def test_what_is_said_of_plain_connections() -> None:
    pool = ConnectionPool(tcp_idle_timeout=3.0, max_connection_duration=60.0)
    assert of_tcp_proxy(TrafficPolicy(LoadBalancer(hash=ConsistentHash(source_ip=True)), pool)) == {
        "hash_policy": [{"source_ip": {}}],
        "idle_timeout": "3s",
        "max_downstream_connection_duration": "60s",
    }
    assert of_tcp_proxy(TrafficPolicy(LoadBalancer(hash=ConsistentHash(header="x")))) == {}


def test_a_pool_bounds_and_times_connections() -> None:
    pool = ConnectionPool(3, 4, 5, 0, 7, 2.5, 60.0, keepalive=Keepalive(2, 30.0), max_concurrent_streams=8)
    found = cluster(TrafficPolicy(pool=pool), AppProtocol.HTTP2)
    [limits] = found["circuit_breakers"]["thresholds"]
    assert limits == {
        "max_connections": 3,
        "max_pending_requests": 4,
        "max_requests": 5,
        "max_retries": 0,
        "track_remaining": True,
    }
    assert found["connect_timeout"] == "2.5s"
    keepalive = {"keepalive_probes": 2, "keepalive_time": 30}
    assert found["upstream_connection_options"] == {"tcp_keepalive": keepalive}
    http = options(TrafficPolicy(pool=pool), AppProtocol.HTTP2)
    assert http["common_http_protocol_options"] == {"idle_timeout": "60s", "max_requests_per_connection": 7}
    assert http["explicit_http_config"] == {"http2_protocol_options": {"max_concurrent_streams": 8}}


@pytest.mark.parametrize(
    ("protocol", "pool", "expected"),
    [
        (AppProtocol.HTTP11, ConnectionPool(), AppProtocol.HTTP11),
        (AppProtocol.HTTP11, ConnectionPool(h2_upgrade=H2Upgrade.UPGRADE), AppProtocol.HTTP2),
        (AppProtocol.HTTP11, ConnectionPool(h2_upgrade=H2Upgrade.DO_NOT_UPGRADE), AppProtocol.HTTP11),
        (AppProtocol.UNKNOWN, ConnectionPool(h2_upgrade=H2Upgrade.UPGRADE), AppProtocol.HTTP2),
        (AppProtocol.HTTP2, ConnectionPool(use_client_protocol=True), AppProtocol.UNKNOWN),
        (AppProtocol.TCP, ConnectionPool(h2_upgrade=H2Upgrade.UPGRADE), AppProtocol.TCP),
    ],
)
def test_which_version_is_spoken(protocol: AppProtocol, pool: ConnectionPool, expected: AppProtocol) -> None:
    assert spoken(protocol, TrafficPolicy(pool=pool)) is expected


def test_who_fails_is_left_out_by_what_the_rule_counts_alone() -> None:
    counted = OutlierDetection(0, 3, 1.0, 2.0, 100, 40, splits_local_errors=True, consecutive_local_failures=2)
    found = cluster(TrafficPolicy(outliers=counted))
    assert found["common_lb_config"] == {"healthy_panic_threshold": {"value": 40}}
    assert found["outlier_detection"] == {
        "consecutive_5xx": 0,
        "enforcing_consecutive_5xx": 0,
        "consecutive_gateway_failure": 3,
        "enforcing_consecutive_gateway_failure": 100,
        "interval": "1s",
        "base_ejection_time": "2s",
        "max_ejection_percent": 100,
        "enforcing_success_rate": 0,
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 2,
        "enforcing_consecutive_local_origin_failure": 100,
        "enforcing_local_origin_success_rate": 0,
    }


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        pytest.param(ClientTls(TlsMode.SIMPLE), {"auto_sni": True, "auto_san_validation": True}, id="by each host"),
        pytest.param(ClientTls(TlsMode.SIMPLE, sni="a"), None, id="a name"),
        pytest.param(ClientTls(TlsMode.SIMPLE, subject_alt_names=("a",)), {"auto_sni": True}, id="names"),
        pytest.param(ClientTls(TlsMode.SIMPLE, insecure_skip_verify=True), {"auto_sni": True}, id="anybody"),
        pytest.param(ClientTls(TlsMode.ISTIO_MUTUAL), None, id="the mesh's own"),
    ],
)
def test_names_by_request(tls: ClientTls, expected: dict[str, bool] | None) -> None:
    assert options(TrafficPolicy(tls=tls)).get("upstream_http_protocol_options") == expected
