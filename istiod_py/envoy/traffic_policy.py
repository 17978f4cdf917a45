"""A DestinationRule's policy in Envoy's words: how a cluster is balanced, bounded, watched and connected to [pure].

As Istio writes them: without a rule nothing is bounded, where Envoy alone would stop at 1024.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.envoy.extension import Json, seconds
from istiod_py.envoy.tunnel import http_options
from mesh_py.manifests.traffic import Balancing, ConnectionPool, H2Upgrade, LoadBalancer
from mesh_py.model.workload import AppProtocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesh_py.manifests.client_tls import ClientTls
    from mesh_py.manifests.traffic import ConsistentHash, Keepalive, OutlierDetection, TrafficPolicy

NO_LIMIT = 2**32 - 1
CONNECT_TIMEOUT = "10s"
LEAST_RING = 1024
"""Istio's; Envoy's own is the same, and said all the same for people who read it."""

_NOT_HTTP = (AppProtocol.TCP, AppProtocol.TLS)
_POLICIES = {Balancing.ROUND_ROBIN: "ROUND_ROBIN", Balancing.RANDOM: "RANDOM"}
_SLOW_STARTERS = {"ROUND_ROBIN": "round_robin_lb_config", "LEAST_REQUEST": "least_request_lb_config"}


def shaped(cluster: Json, policy: TrafficPolicy, protocol: AppProtocol) -> Json:
    """A cluster as a policy wants it; `protocol` is what its port is declared to speak."""
    pool = policy.pool or ConnectionPool()
    lasting: Json = {**cluster, **({} if policy.outliers is None else _outliers(policy.outliers))}
    if "common_lb_config" in cluster:
        lasting["common_lb_config"] = {**lasting["common_lb_config"], **cluster["common_lb_config"]}
    return {
        **lasting,
        "connect_timeout": seconds(pool.connect_timeout) if pool.connect_timeout else CONNECT_TIMEOUT,
        "circuit_breakers": {"thresholds": [_thresholds(pool)]},
        **({} if cluster["type"] == "ORIGINAL_DST" else _balanced(policy.balancer or LoadBalancer())),
        **({} if pool.keepalive is None else _keepalive(pool.keepalive)),
        **_http(pool, policy.tls, spoken(protocol, policy)),
    }


def spoken(protocol: AppProtocol, policy: TrafficPolicy) -> AppProtocol:
    """What a cluster speaks: as its port is declared, unless the policy wants HTTP/2, or what each client spoke."""
    pool = policy.pool or ConnectionPool()
    if protocol in _NOT_HTTP:
        return protocol
    if pool.use_client_protocol:
        return AppProtocol.UNKNOWN
    return AppProtocol.HTTP2 if pool.h2_upgrade is H2Upgrade.UPGRADE else protocol


def passes_through(policy: TrafficPolicy) -> bool:
    """Whether nobody is chosen: connections go where their client meant."""
    return policy.balancer is not None and policy.balancer.simple is Balancing.PASSTHROUGH


def hash_policies(policy: TrafficPolicy) -> Sequence[Json]:
    """What a route hashes requests by."""
    by = policy.balancer.hash if policy.balancer is not None else None
    if by is None:
        return ()
    if by.header:
        return ({"header": {"header_name": by.header}},)
    if by.cookie:
        return ({"cookie": _cookie(by)},)
    if by.query_parameter:
        return ({"query_parameter": {"name": by.query_parameter}},)
    return ({"connection_properties": {"source_ip": True}},)


def of_tcp_proxy(policy: TrafficPolicy) -> Json:
    """What a policy says of plain connections: fields of the filter that hands them on."""
    pool, by = policy.pool or ConnectionPool(), policy.balancer.hash if policy.balancer is not None else None
    return {
        **({"hash_policy": [{"source_ip": {}}]} if by is not None and by.source_ip else {}),
        **({"idle_timeout": seconds(pool.tcp_idle_timeout)} if pool.tcp_idle_timeout else {}),
        **(
            {"max_downstream_connection_duration": seconds(pool.max_connection_duration)}
            if pool.max_connection_duration
            else {}
        ),
    }


def _cookie(by: ConsistentHash) -> Json:
    found: Json = {"name": by.cookie}
    found |= {"path": by.cookie_path} if by.cookie_path else {}
    return found | ({} if by.cookie_ttl is None else {"ttl": seconds(by.cookie_ttl)})


def _thresholds(pool: ConnectionPool) -> Json:
    limits = {
        "max_connections": pool.max_connections,
        "max_pending_requests": pool.max_pending,
        "max_requests": pool.max_requests,
        "max_retries": pool.max_retries,
    }
    return {key: NO_LIMIT if value is None else value for key, value in limits.items()} | {"track_remaining": True}


def _balanced(balancer: LoadBalancer) -> Json:
    if balancer.hash is not None:
        return _by_hash(balancer.hash)
    name = _POLICIES.get(balancer.simple, "LEAST_REQUEST")
    if balancer.warmup is None or name not in _SLOW_STARTERS:
        return {"lb_policy": name}
    window = {"slow_start_window": seconds(balancer.warmup)}
    return {"lb_policy": name, _SLOW_STARTERS[name]: {"slow_start_config": window}}


def _by_hash(by: ConsistentHash) -> Json:
    if by.is_maglev:
        return {"lb_policy": "MAGLEV", **({"maglev_lb_config": {"table_size": by.table_size}} if by.table_size else {})}
    return {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": by.ring_size or LEAST_RING}}


def _outliers(found: OutlierDetection) -> Json:
    detection: Json = {
        "consecutive_5xx": found.consecutive_5xx,
        "enforcing_consecutive_5xx": 100 if found.consecutive_5xx else 0,
        "interval": seconds(found.interval),
        "base_ejection_time": seconds(found.base_ejection_time),
        "max_ejection_percent": found.max_ejection_percent,
        "enforcing_success_rate": 0,
    }
    if found.consecutive_gateway_errors:
        detection |= {
            "consecutive_gateway_failure": found.consecutive_gateway_errors,
            "enforcing_consecutive_gateway_failure": 100,
        }
    if found.splits_local_errors:
        detection |= {"split_external_local_origin_errors": True, "enforcing_local_origin_success_rate": 0}
        if found.consecutive_local_failures:
            detection |= {
                "consecutive_local_origin_failure": found.consecutive_local_failures,
                "enforcing_consecutive_local_origin_failure": 100,
            }
    # Envoy's own threshold of 50 would bring back who was left out wherever few pods serve.
    panic = {"healthy_panic_threshold": {"value": found.min_health_percent}}
    return {"outlier_detection": detection, "common_lb_config": panic}


def _keepalive(found: Keepalive) -> Json:
    told = {
        "keepalive_probes": found.probes,
        "keepalive_time": None if found.time is None else int(found.time),
        "keepalive_interval": None if found.interval is None else int(found.interval),
    }
    return {
        "upstream_connection_options": {
            "tcp_keepalive": {key: value for key, value in told.items() if value is not None}
        }
    }


def _http(pool: ConnectionPool, tls: ClientTls | None, protocol: AppProtocol) -> Json:
    idle = pool.idle_timeout or pool.tcp_idle_timeout
    common = {
        **({"idle_timeout": seconds(idle)} if idle else {}),
        **({"max_connection_duration": seconds(pool.max_connection_duration)} if pool.max_connection_duration else {}),
        **(
            {"max_requests_per_connection": pool.max_requests_per_connection}
            if pool.max_requests_per_connection
            else {}
        ),
    }
    fields: Json = {"common_http_protocol_options": common} if common else {}
    if tls is not None and tls.is_originated and (names := _names_by_request(tls)):
        fields["upstream_http_protocol_options"] = names
    http2 = {} if pool.max_concurrent_streams is None else {"max_concurrent_streams": pool.max_concurrent_streams}
    return http_options(protocol, http2, **fields)


def _names_by_request(tls: ClientTls) -> Json:
    """Where no server name is written, each request's host is the one that is asked for, and must be in the
    certificate."""
    if tls.sni:
        return {}
    verified = not tls.subject_alt_names and not tls.insecure_skip_verify
    return {"auto_sni": True, **({"auto_san_validation": True} if verified else {})}
