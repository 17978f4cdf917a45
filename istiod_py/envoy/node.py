"""Which Envoy asks: its node identifier and metadata, as Istio's proxies send them [pure]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from mesh_py.model.address import IpAddress, is_ipv6, parse_ip


class NodeError(ValueError):
    """The node of a proxy cannot be understood."""


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


def read_node(node_id: str, metadata: Mapping[str, Any]) -> EnvoyNode:
    """Understand a node; metadata that concerns others is passed over.

    Raises:
        NodeError: not four parts, an unknown type, no IP address, or metadata of the wrong form.
    """
    parts = node_id.split("~")
    if len(parts) != 4:
        raise NodeError(f"node id {node_id!r} does not have the four parts type~ip~name.namespace~domain")
    kind, ip, pod, domain = parts
    name, dot, namespace = pod.rpartition(".")
    if not dot:
        raise NodeError(f"node id {node_id!r}: {pod!r} is not name.namespace")
    return EnvoyNode(
        type=_type(kind),
        ip=_ip(ip),
        name=name,
        namespace=_text(metadata, "NAMESPACE", namespace),
        dns_domain=domain.partition(".svc.")[2] or "cluster.local",
        labels=_labels(metadata.get("LABELS", {})),
        service_account=_text(metadata, "SERVICE_ACCOUNT", "default"),
        listens_on_hbone=_flag(metadata, "ENABLE_HBONE"),
        sends_hbone=not _flag(metadata, "DISABLE_HBONE_SEND"),
        bind_address=_text(metadata, "PROXY_BIND_ADDRESS", ""),
        takes_proxy_protocol=_flag(metadata, "PROXY_PROTOCOL_CAPTURE"),
        http_proxy_port=_port(metadata, "HTTP_PROXY_PORT"),
    )


def _type(text: str) -> ProxyType:
    try:
        return ProxyType(text)
    except ValueError:
        known = ", ".join(one.value for one in ProxyType)
        raise NodeError(f"a proxy of type {text!r} is unknown here; known are {known}") from None


def _ip(text: str) -> IpAddress:
    try:
        return parse_ip(text)
    except ValueError:
        raise NodeError(f"{text!r} in the node id is no IP address") from None


def _text(metadata: Mapping[str, Any], key: str, default: str) -> str:
    value = metadata.get(key, default)
    if not isinstance(value, str):
        raise NodeError(f"node metadata {key} must be a string, not {value!r}")
    return value or default


def _flag(metadata: Mapping[str, Any], key: str) -> bool:
    """Istio's proxies write booleans as strings, and JSON has them as such."""
    return str(metadata.get(key, "")).lower() in ("true", "1")


def _port(metadata: Mapping[str, Any], key: str) -> int | None:
    value = metadata.get(key)
    if value in (None, ""):
        return None
    try:
        port = int(value)
    except (TypeError, ValueError):
        port = 0
    if not 0 < port < 65536:
        raise NodeError(f"node metadata {key} must be a port, not {value!r}")
    return port


def _labels(value: object) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise NodeError(f"node metadata LABELS must map names to values, not be {value!r}")
    return {str(key): str(text) for key, text in value.items()}
