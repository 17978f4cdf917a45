"""Envoy's HTTP connection manager, as sidecars, waypoints and gateways share it [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.envoy.cors import CORS_FILTER
from istiod_py.envoy.extension import Json, extension
from istiod_py.envoy.tls import BY_ADS

if TYPE_CHECKING:
    from collections.abc import Sequence

MANAGER_TYPE = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER: Json = extension("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router")
TCP_PROXY_TYPE = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"

HTTP_ALPN = ("http/1.0", "http/1.1", "h2c")
"""What the HTTP inspector calls HTTP without TLS."""


def connection_manager(stat_prefix: str, routing: Json, filters: Sequence[Json] = (), **fields: object) -> Json:
    """A network filter that treats connections as HTTP; the router ends its filters."""
    return extension(
        "envoy.filters.network.http_connection_manager",
        MANAGER_TYPE,
        {
            "stat_prefix": stat_prefix,
            **routing,
            "http_filters": [*filters, CORS_FILTER, ROUTER],
            "server_name": "istio-envoy",
            "use_remote_address": False,
            # RBAC compares paths: what a server takes for the same must be the same here.
            "normalize_path": True,
            "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
            "stream_idle_timeout": "0s",
            "upgrade_configs": [{"upgrade_type": "websocket"}],
            **fields,
        },
    )


def routed_by(name: str) -> Json:
    """Routes by RDS, under this name."""
    return {"rds": {"config_source": BY_ADS, "route_config_name": name}}


def routed_inline(configuration: Json) -> Json:
    """Routes that are part of the listener."""
    return {"route_config": configuration}


def tcp_proxy(stat_prefix: str, cluster: str, **fields: object) -> Json:
    """A network filter that hands bytes on."""
    return extension(
        "envoy.filters.network.tcp_proxy", TCP_PROXY_TYPE, {"stat_prefix": stat_prefix, "cluster": cluster, **fields}
    )


def to_clusters(stat_prefix: str, clusters: Sequence[tuple[str, int]], **fields: object) -> Json:
    """A network filter that hands each connection on to one of these, by their weights."""
    if len(clusters) == 1:
        return tcp_proxy(stat_prefix, clusters[0][0], **fields)
    weighted = [{"name": name, "weight": weight} for name, weight in clusters]
    return extension(
        "envoy.filters.network.tcp_proxy",
        TCP_PROXY_TYPE,
        {"stat_prefix": stat_prefix, "weighted_clusters": {"clusters": weighted}, **fields},
    )
