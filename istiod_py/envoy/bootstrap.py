"""The file a stock Envoy starts with: who it is, where its control plane is, how it proves itself [pure].

Everything else comes over one delta stream. Two ways to prove an identity work with a stock Envoy:

- a token in a file, which gRPC's own client inside Envoy reads anew for every stream (`google_grpc`);
- a client certificate with its key (`envoy_grpc` over mutual TLS).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from istiod_py.envoy.extension import Json, extension, socket_address, typed
from istiod_py.envoy.node import GATEWAY_LABEL, ProxyType
from istiod_py.envoy.tls import UPSTREAM_TYPE
from istiod_py.envoy.tunnel import http2_options

if TYPE_CHECKING:
    from istiod_py.envoy.node import EnvoyNode

CONTROL_PLANE = "xds-grpc"
"""The cluster of the control plane, as Istio's agent names it."""
KEEPALIVE_SECONDS = 30
BACK_OFF: Json = {"base_interval": "0.5s", "max_interval": "10s"}
"""Between two tries to reach a control plane that is away; Envoy draws at random up to it."""
ADMIN_PORT = 15000


@dataclass(frozen=True, slots=True)
class TokenFile:
    """A file with a bearer token and nothing else, not even a newline at its end."""

    path: str


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """Files in PEM form: the chain, leaf first, and its key."""

    chain: str
    key: str


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """Where discovery is, and whom to believe that it is."""

    host: str
    port: int
    roots: str
    """File in PEM form: the authority of the control plane's certificate, which must be for `host`."""
    proof: TokenFile | ClientCertificate


def bootstrap(node: EnvoyNode, control_plane: ControlPlane) -> Json:
    """The bootstrap of one Envoy, with admin on localhost."""
    return {
        "node": {"id": node.id, "cluster": f"{node.name}.{node.namespace}", "metadata": node_metadata(node)},
        "admin": {"address": socket_address(node.localhost, ADMIN_PORT)},
        "bootstrap_extensions": [
            extension(
                "envoy.bootstrap.internal_listener",
                "envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
                {"buffer_size_kb": 64},
            )
        ],
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [_service(control_plane) | {"retry_policy": {"retry_back_off": BACK_OFF}}],
            },
            "lds_config": _by_ads(),
            "cds_config": _by_ads(),
        },
        **({"static_resources": {"clusters": [_cluster(control_plane)]}} if _has_cluster(control_plane) else {}),
    }


def node_metadata(node: EnvoyNode) -> Json:
    """What the control plane reads back (`node.envoy_node`); what has its default is left out."""
    labels = dict(node.labels)
    if node.type is not ProxyType.SIDECAR:
        labels.setdefault(GATEWAY_LABEL, node.name)
    found: Json = {"NAMESPACE": node.namespace, "SERVICE_ACCOUNT": node.service_account, "LABELS": labels}
    flags = {
        "ENABLE_HBONE": node.listens_on_hbone,
        "DISABLE_HBONE_SEND": not node.sends_hbone,
        "PROXY_PROTOCOL_CAPTURE": node.takes_proxy_protocol,
    }
    found |= {name: "true" for name, is_set in flags.items() if is_set}
    found |= {"PROXY_BIND_ADDRESS": node.bind_address} if node.bind_address else {}
    found |= {"CREDENTIALS_DIR": node.credentials_folder} if node.credentials_folder else {}
    found |= {"ACCESS_LOG": node.access_log} if node.access_log else {}
    return found | ({"HTTP_PROXY_PORT": str(node.http_proxy_port)} if node.http_proxy_port is not None else {})


def _by_ads() -> Json:
    return {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}


def _has_cluster(control_plane: ControlPlane) -> bool:
    return isinstance(control_plane.proof, ClientCertificate)


def _service(control_plane: ControlPlane) -> Json:
    match control_plane.proof:
        case TokenFile(path):
            return {"google_grpc": _google_grpc(control_plane, path)}
        case ClientCertificate():
            return {"envoy_grpc": {"cluster_name": CONTROL_PLANE}}


def _google_grpc(control_plane: ControlPlane, token: str) -> Json:
    credential = typed(
        "envoy.config.grpc_credential.v3.FileBasedMetadataConfig",
        {"secret_data": {"filename": token}, "header_key": "authorization", "header_prefix": "Bearer "},
    )
    name = "envoy.grpc_credentials.file_based_metadata"
    milliseconds = str(KEEPALIVE_SECONDS * 1000)
    return {
        "target_uri": _target(control_plane),
        "stat_prefix": CONTROL_PLANE,
        "channel_credentials": {"ssl_credentials": {"root_certs": {"filename": control_plane.roots}}},
        "credentials_factory_name": name,
        "call_credentials": [{"from_plugin": {"name": name, "typed_config": credential}}],
        "channel_args": {
            "args": {
                "grpc.keepalive_time_ms": {"int_value": milliseconds},
                # gRPC's own, below the stream's: it would grow to two minutes.
                "grpc.max_reconnect_backoff_ms": {"int_value": "10000"},
            }
        },
    }


def _target(control_plane: ControlPlane) -> str:
    host = f"[{control_plane.host}]" if ":" in control_plane.host else control_plane.host
    return f"{host}:{control_plane.port}"


def _cluster(control_plane: ControlPlane) -> Json:
    address = socket_address(control_plane.host, control_plane.port)
    keepalive = {"interval": f"{KEEPALIVE_SECONDS}s", "timeout": "10s"}
    return {
        "name": CONTROL_PLANE,
        "type": "STATIC" if _is_ip(control_plane.host) else "STRICT_DNS",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": CONTROL_PLANE,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
        "transport_socket": extension("tls", UPSTREAM_TYPE, _tls(control_plane)),
        "typed_extension_protocol_options": http2_options({"connection_keepalive": keepalive}),
    }


def _tls(control_plane: ControlPlane) -> Json:
    proof = control_plane.proof
    assert isinstance(proof, ClientCertificate)
    is_ip = _is_ip(control_plane.host)
    expected = {"san_type": "IP_ADDRESS" if is_ip else "DNS", "matcher": {"exact": control_plane.host}}
    common = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
        "alpn_protocols": ["h2"],
        "tls_certificates": [{"certificate_chain": {"filename": proof.chain}, "private_key": {"filename": proof.key}}],
        "validation_context": {
            "trusted_ca": {"filename": control_plane.roots},
            "match_typed_subject_alt_names": [expected],
        },
    }
    return {"common_tls_context": common} | ({} if is_ip else {"sni": control_plane.host})


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
