"""Which Envoy asks, and what it says of itself in its node's metadata, as Istio's proxies do [pure]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from mesh_py.model.address import IpAddress, is_ipv6, parse_ip

if TYPE_CHECKING:
    from istiod_py.node import ProxyNode


class ProxyType(Enum):
    """What a proxy is for."""

    SIDECAR = "sidecar"
    WAYPOINT = "waypoint"
    ROUTER = "router"


GATEWAY_LABEL = "gateway.networking.k8s.io/gateway-name"


@dataclass(frozen=True, slots=True)
class EnvoyNode:
    """An Envoy as it introduced itself: `sidecar~10.1.0.7~sleep-1.default~default.svc.cluster.local`."""

    type: ProxyType
    ip: IpAddress
    name: str
    namespace: str
    dns_domain: str = "cluster.local"
    labels: Mapping[str, str] = field(default_factory=dict)
    service_account: str = "default"
    """`SERVICE_ACCOUNT`."""
    listens_on_hbone: bool = False
    """`ENABLE_HBONE`: a sidecar takes tunnels on 15008 as well."""
    sends_hbone: bool = True
    """Not `DISABLE_HBONE_SEND`."""
    bind_address: str = ""
    """`PROXY_BIND_ADDRESS`, ours: what the proxy's ports are bound to, where several proxies share a machine."""
    takes_proxy_protocol: bool = False
    """`PROXY_PROTOCOL_CAPTURE`, ours: captured connections come with a PROXY preamble, not redirected by iptables."""
    http_proxy_port: int | None = None
    """`HTTP_PROXY_PORT`: serve explicit HTTP proxy requests on this port of localhost, or of `bind_address`."""
    credentials_folder: str = ""
    """`CREDENTIALS_DIR`, ours: where, on the proxy's own machine, Secrets that DestinationRules name are mounted."""
    access_log: str = ""
    """`ACCESS_LOG`, ours: the file, on the proxy's own machine, that gets a line for each request and connection."""

    @property
    def id(self) -> str:
        """The node identifier."""
        pod = f"{self.name}.{self.namespace}"
        return f"{self.type.value}~{self.ip}~{pod}~{self.namespace}.svc.{self.dns_domain}"

    @property
    def wildcard(self) -> str:
        """What ports that the network reaches are bound to."""
        return self.bind_address or ("::" if is_ipv6(self.ip) else "0.0.0.0")

    @property
    def localhost(self) -> str:
        """What ports that only the application reaches are bound to."""
        return self.bind_address or ("::1" if is_ipv6(self.ip) else "127.0.0.1")

    @property
    def gateway_name(self) -> str:
        """The Gateway that a waypoint or router belongs to: its label, else the name of the pod."""
        return self.labels.get(GATEWAY_LABEL, self.name)


def envoy_node(node: ProxyNode) -> EnvoyNode | None:
    """What a proxy says of itself; None if it is none of ours. Metadata that makes no sense counts as not there."""
    try:
        kind = ProxyType(node.kind)
    except ValueError:
        return None
    return EnvoyNode(
        type=kind,
        ip=parse_ip(node.ip),
        name=node.name,
        namespace=node.namespace,
        dns_domain=node.domain.partition(".svc.")[2] or "cluster.local",
        labels=_labels(node.metadata.get("LABELS")),
        service_account=node.service_account or "default",
        listens_on_hbone=_flag(node, "ENABLE_HBONE"),
        sends_hbone=not _flag(node, "DISABLE_HBONE_SEND"),
        bind_address=_address(node.text("PROXY_BIND_ADDRESS")),
        takes_proxy_protocol=_flag(node, "PROXY_PROTOCOL_CAPTURE"),
        http_proxy_port=_port(node.metadata.get("HTTP_PROXY_PORT")),
        credentials_folder=node.text("CREDENTIALS_DIR"),
        access_log=node.text("ACCESS_LOG"),
    )


def _flag(node: ProxyNode, key: str) -> bool:
    """Istio's proxies write booleans as strings, and JSON has them as such."""
    return str(node.metadata.get(key, "")).lower() in ("true", "1")


def _address(text: str) -> str:
    try:
        return parse_ip(text) if text else ""
    except ValueError:
        return ""


def _port(value: object) -> int | None:
    """JSON numbers are floats in a protobuf Struct."""
    try:
        port = int(value) if isinstance(value, str | int | float) else 0
    except ValueError:
        return None
    return port if 0 < port < 65536 else None


def _labels(value: object) -> dict[str, str]:
    return {str(key): str(text) for key, text in value.items()} if isinstance(value, Mapping) else {}
