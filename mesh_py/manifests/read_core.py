"""Reading Kubernetes' own kinds but for pods: namespaces, accounts, nodes, services, endpoints [pure].

A Service's keys are all known, so an unknown one is a fault.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mesh_py.discovery.yaml_reader import (
    Field,
    Schema,
    boolean,
    list_of,
    port,
    scalar,
)
from mesh_py.manifests.core import (
    EndpointSlice,
    Namespace,
    Node,
    Service,
    ServiceAccount,
    ServicePort,
    SliceEndpoint,
    SlicePort,
)
from mesh_py.manifests.decoders import (
    ignored,
    ip,
    text_not_empty,
    texts,
    word,
)
from mesh_py.manifests.kinds import STATUS, Kind, KindName, Parts, part, required_part
from mesh_py.model.address import parse_ip

if TYPE_CHECKING:
    from collections.abc import Mapping

    import yaml

    from mesh_py.manifests.decoders import ManifestReader


KINDS: Mapping[str, KindName] = {
    "Namespace": KindName("", ("v1",), namespaced=False),
    "ServiceAccount": KindName("", ("v1",)),
    "Node": KindName("", ("v1",), namespaced=False),
    "Service": KindName("", ("v1",)),
    "EndpointSlice": KindName("discovery.k8s.io", ("v1",)),
}


class CoreKinds:
    """Decoders for the objects of one file."""

    def __init__(self, reader: ManifestReader) -> None:
        self._reader = reader

    def namespace(self) -> Kind:
        """A Namespace: its metadata says all."""
        return Kind(Namespace, {**ignored("spec"), **STATUS})

    def service_account(self) -> Kind:
        """A ServiceAccount: its name says all."""
        return Kind(ServiceAccount, ignored("secrets", "imagePullSecrets", "automountServiceAccountToken"))

    def node(self) -> Kind:
        """A Node: labels, and the addresses it has."""
        address = self._reader.record(
            _node_address,
            Schema("address", {"type": Field(scalar, "type", True), "address": Field(scalar, "address", True)}),
        )
        status = {"addresses": Field(self._reader.each(address), "addresses")}
        return Kind(_node, {**ignored("spec"), "status": part(self._reader, "status", status, strict=False)})

    def service(self) -> Kind:
        """A Service."""
        service_port = self._reader.placed(_service_port, Schema("service port", _SERVICE_PORT))
        spec = {
            "ports": Field(self._reader.each(service_port), "ports"),
            "selector": Field(self._reader.labels, "selector"),
            **_SERVICE_SPEC,
        }
        return Kind(
            _service,
            {
                "spec": required_part(self._reader, "the spec of a Service", spec),
                "status": part(self._reader, "status", self._balancer_status(), strict=False),
            },
        )

    def endpoint_slice(self) -> Kind:
        """An EndpointSlice, whose keys stand beside its metadata."""
        read = self._reader
        conditions = Schema("conditions", {"ready": Field(boolean, "ready")}, strict=False)
        endpoint = {
            "addresses": Field(texts, "addresses", required=True),
            "conditions": Field(lambda node: read.fields(node, conditions), "conditions"),
            "targetRef": Field(lambda node: read.fields(node, _POD_REFERENCE), "target"),
            "nodeName": Field(scalar, "node_name"),
            "zone": Field(scalar, "zone"),
            **ignored("hostname", "hints", "deprecatedTopology"),
        }
        slice_port = {
            "port": Field(port, "port", required=True),
            "name": Field(scalar, "name"),
            "protocol": Field(word("TCP", "UDP", "SCTP"), "protocol"),
            **ignored("appProtocol"),
        }
        endpoints = read.each(read.record(_slice_endpoint, Schema("endpoint", endpoint)))
        ports = read.each(read.record(SlicePort, Schema("port", slice_port)))
        return Kind(
            EndpointSlice,
            {
                "addressType": Field(lambda node: {"address_type": _ADDRESS_TYPE(node)}, "", required=True),
                "endpoints": Field(lambda node: {"endpoints": endpoints(node)}, ""),
                "ports": Field(lambda node: {"ports": ports(node)}, ""),
            },
        )

    def _balancer_status(self) -> dict[str, Field]:
        ingress = {"ip": Field(scalar, "ip"), "hostname": Field(scalar, "hostname")}
        address = self._reader.record(_first_of, Schema("ingress", ingress, strict=False))
        balancer = Schema("loadBalancer", {"ingress": Field(self._reader.each(address), "ingress")}, strict=False)

        def read(node: yaml.Node) -> tuple[str, ...]:
            return tuple(self._reader.fields(node, balancer).get("ingress", ()))

        return {"loadBalancer": Field(read, "load_balancer_addresses")}


def _first_of(ip: str = "", hostname: str = "") -> str:
    return ip or hostname


def _node_address(type: str, address: str) -> tuple[str, str]:
    return type, address


def _node(metadata: Any, addresses: tuple[tuple[str, str], ...] = ()) -> Node:
    return Node(metadata, tuple(parse_ip(address) for kind, address in addresses if kind == "InternalIP"))


def _cluster_ip(node: yaml.Node) -> str:
    text = scalar(node)
    return text if text in ("", "None") else ip(node)


def _target_port(node: yaml.Node) -> int | str:
    text = text_not_empty(node)
    return port(node) if text.isdigit() else text


def _service_port(port: int, target_port: int | str = 0, **fields: Any) -> ServicePort:
    return ServicePort(port, target_port=target_port or port, **fields)


def _service(
    metadata: Any,
    cluster_ip: str = "",
    cluster_ips: tuple[str, ...] = (),
    ports: tuple[ServicePort, ...] = (),
    **fields: Any,
) -> Service:
    addresses = tuple(one for one in cluster_ips or (cluster_ip,) if one)
    if len(ports) > 1 and not all(one.name for one in ports):
        raise ValueError("a Service with several ports must name them all", "give every port a name")
    is_headless = "None" in addresses
    return Service(
        metadata,
        ports=ports,
        cluster_ips=() if is_headless else tuple(map(parse_ip, addresses)),
        is_headless=is_headless,
        **fields,
    )


def _slice_endpoint(
    addresses: tuple[str, ...], conditions: Parts | None = None, target: Parts | None = None, **fields: Any
) -> SliceEndpoint:
    pod = (target or {}).get("name", "") if (target or {}).get("kind", "Pod") == "Pod" else ""
    return SliceEndpoint(addresses, ready=(conditions or {}).get("ready", True), pod=pod, **fields)


_ADDRESS_TYPE = word("IPv4", "IPv6", "FQDN")
_POD_REFERENCE = Schema("target", {"kind": Field(scalar, "kind"), "name": Field(scalar, "name")}, strict=False)
_SERVICE_SPEC = {
    "type": Field(word("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"), "type"),
    "clusterIP": Field(_cluster_ip, "cluster_ip"),
    "clusterIPs": Field(list_of(_cluster_ip), "cluster_ips"),
    "externalName": Field(scalar, "external_name"),
    "externalIPs": Field(list_of(ip), "external_ips"),
    "ipFamilies": Field(list_of(word("IPv4", "IPv6")), "ip_families"),
    "ipFamilyPolicy": Field(word("SingleStack", "PreferDualStack", "RequireDualStack"), "ip_family_policy"),
    "internalTrafficPolicy": Field(word("Cluster", "Local"), "internal_traffic_policy"),
    "trafficDistribution": Field(word("PreferClose", "PreferSameZone", "PreferSameNode"), "traffic_distribution"),
    "publishNotReadyAddresses": Field(boolean, "publish_not_ready_addresses"),
    **ignored(
        "sessionAffinity",
        "sessionAffinityConfig",
        "loadBalancerIP",
        "loadBalancerSourceRanges",
        "loadBalancerClass",
        "externalTrafficPolicy",
        "healthCheckNodePort",
        "allocateLoadBalancerNodePorts",
    ),
}
_SERVICE_PORT = {
    "port": Field(port, "port", required=True),
    "name": Field(scalar, "name"),
    "targetPort": Field(_target_port, "target_port"),
    "protocol": Field(word("TCP", "UDP", "SCTP"), "protocol"),
    "appProtocol": Field(scalar, "app_protocol"),
    **ignored("nodePort"),
}
