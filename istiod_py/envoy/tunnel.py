"""The ends of a tunnel in Envoy: `connect_originate`, `connect_terminate`, and the way between (9.3, 9.5) [pure].

connect_originate is an internal listener. What connects to it brings the destination in metadata or filter state; it
opens a CONNECT for it inside mutual TLS. connect_terminate takes CONNECTs on 15008 and hands what is inside to the
internal listener `main_internal`, with the client's identity beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.envoy.connection_manager import connection_manager, routed_inline, tcp_proxy
from istiod_py.envoy.extension import Json, extension, socket_address
from istiod_py.envoy.names import CONNECT_ORIGINATE, CONNECT_TERMINATE, HBONE_PORT, MAIN_INTERNAL
from istiod_py.envoy.tls import RAW, tunnel_client, tunnel_server
from mesh_py.model.workload import AppProtocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from istiod_py.envoy.form import Form
    from istiod_py.envoy.mesh import EnvoyMesh
    from istiod_py.envoy.node import EnvoyNode

HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
MOST_STREAMS = 100
"""Istio's bound for a server of tunnels: all streams of a connection share one worker."""


def connect_originate_listener(mesh: EnvoyMesh, node: EnvoyNode, form: Form) -> Json:
    """Internal listener that opens a tunnel for each connection."""
    proxy = tcp_proxy(CONNECT_ORIGINATE, CONNECT_ORIGINATE, tunneling_config=form.tunneling(mesh, node))
    return {
        "name": CONNECT_ORIGINATE,
        "internal_listener": {},
        "use_original_dst": False,
        "listener_filters": [form.destination_filter()],
        "filter_chains": [{"filters": [proxy]}],
    }


def connect_originate_cluster(mesh: EnvoyMesh, node: EnvoyNode, form: Form) -> Json:
    """HTTP/2 connections for tunnels, to whom the metadata says.

    A proxy that has an address to itself on its machine comes from it: the other end takes it for the source.
    """
    source = {"source_address": {"address": node.bind_address, "port_value": 0}}
    return {
        "name": CONNECT_ORIGINATE,
        "type": "ORIGINAL_DST",
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": "2s",
        **form.originate_fields(),
        **({"upstream_bind_config": source} if node.bind_address else {}),
        "transport_socket": tunnel_client(mesh.trust_domains),
        "typed_extension_protocol_options": http2_options({"allow_connect": True}, **form.originate_options()),
    }


def connect_terminate_listener(mesh: EnvoyMesh, node: EnvoyNode, form: Form) -> Json:
    """Mutual TLS on 15008; each CONNECT goes to `main_internal`."""
    return {
        "name": CONNECT_TERMINATE,
        "address": socket_address(node.wildcard, HBONE_PORT),
        # Few connections that live long, each of one worker: spread them evenly.
        "connection_balance_config": {"exact_balance": {}},
        "filter_chains": [
            {
                "name": "default",
                "transport_socket": tunnel_server(mesh.trust_domains),
                "filters": [*form.terminate_network_filters(), _terminate_manager(form)],
            }
        ],
    }


def main_internal_cluster() -> Json:
    """The way from connect_terminate to main_internal; filter state goes along."""
    return internal_cluster(MAIN_INTERNAL, MAIN_INTERNAL)


def internal_cluster(name: str, listener: str) -> Json:
    """A cluster whose one endpoint is an internal listener; connections bring filter state that is shared."""
    endpoint = {"address": {"envoy_internal_address": {"server_listener_name": listener}}}
    return {
        "name": name,
        "type": "STATIC",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]},
        "transport_socket": internal_upstream(()),
    }


def internal_upstream(passed_on: Sequence[str], inner: Json = RAW) -> Json:
    """The transport socket into an internal listener; metadata of the endpoint under these names goes along. `inner`:
    what is spoken inside the tunnel."""
    passed: Json = {"passthrough_metadata": [{"kind": {"host": {}}, "name": name} for name in passed_on]}
    return extension(
        "internal_upstream",
        "envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport",
        (passed if passed_on else {}) | {"transport_socket": inner},
    )


def http2_options(http2: Json, **fields: object) -> Json:
    """A cluster's options for HTTP/2."""
    return _options({"explicit_http_config": {"http2_protocol_options": http2}, **fields})


def http_options(protocol: AppProtocol, http2: Json | None = None, **fields: object) -> Json:
    """Which version of HTTP a cluster speaks, if it ever does: a field of the cluster. `http2` are options of HTTP/2;
    what is unknown goes on in the version it came in."""
    match protocol:
        case AppProtocol.HTTP11:
            options = _options({"explicit_http_config": {"http_protocol_options": {}}, **fields})
        case AppProtocol.HTTP2 | AppProtocol.GRPC:
            options = http2_options(http2 or {}, **fields)
        case AppProtocol.TCP | AppProtocol.TLS:
            return {}
        case AppProtocol.UNKNOWN:
            both = {"http_protocol_options": {}, "http2_protocol_options": http2 or {}}
            options = _options({"use_downstream_protocol_config": both, **fields})
    return {"typed_extension_protocol_options": options}


def _options(fields: Json) -> Json:
    return {HTTP_OPTIONS: {"@type": f"type.googleapis.com/{HTTP_OPTIONS}", **fields}}


def _terminate_manager(form: Form) -> Json:
    route = {
        "match": {"connect_matcher": {}},
        "route": {
            "cluster": MAIN_INTERNAL,
            # Without end: a quiet tunnel is none that has failed.
            "timeout": "0s",
            "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}],
        },
    }
    virtual_host = {"name": "default", "domains": ["*"], "routes": [route], **form.terminate_host_fields()}
    return connection_manager(
        CONNECT_TERMINATE,
        routed_inline({"name": "default", "validate_clusters": False, "virtual_hosts": [virtual_host]}),
        form.terminate_http_filters(),
        codec_type="HTTP2",
        upgrade_configs=[{"upgrade_type": "CONNECT"}],
        http2_protocol_options={
            "allow_connect": True,
            "max_concurrent_streams": MOST_STREAMS,
            "connection_keepalive": {"interval": "10s", "timeout": "20s"},
        },
        forward_client_cert_details="APPEND_FORWARD",
        set_current_client_cert_details={"subject": True, "uri": True, "dns": True},
    )
