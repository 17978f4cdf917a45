"""Reading Kubernetes' own kinds [pure].

A Pod's and a Deployment's `spec` hold much that is nothing to a mesh: there unknown keys are passed over, with a
warning where one looks like a key that we read. A Service's keys are all known, so an unknown one is a fault.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mesh_py.discovery.problems import FaultKind
from mesh_py.discovery.yaml_reader import (
    Fault,
    Field,
    Schema,
    boolean,
    integer,
    list_of,
    pairs,
    port,
    scalar,
)
from mesh_py.manifests.core import (
    POD_IPS_ANNOTATION,
    ContainerPort,
    Deployment,
    EndpointSlice,
    Namespace,
    Node,
    Pod,
    PodSpec,
    PodTemplate,
    Service,
    ServiceAccount,
    ServicePort,
    SliceEndpoint,
    SlicePort,
)
from mesh_py.manifests.decoders import (
    MetadataDecoder,
    ignored,
    ip,
    near,
    object_name,
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
    from mesh_py.manifests.metadata import Metadata
    from mesh_py.model.address import IpAddress

MOST_REPLICAS = 100_000

KINDS: Mapping[str, KindName] = {
    "Namespace": KindName("", ("v1",), namespaced=False),
    "ServiceAccount": KindName("", ("v1",)),
    "Node": KindName("", ("v1",), namespaced=False),
    "Pod": KindName("", ("v1",)),
    "Service": KindName("", ("v1",)),
    "Deployment": KindName("apps", ("v1",)),
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

    def pod(self) -> Kind:
        """A Pod, as it is written or as the cluster prints it."""
        return Kind(
            _pod,
            {
                "spec": Field(lambda node: {"spec": self._pod_spec(node)}, "spec", required=True),
                "status": part(self._reader, "status", self._pod_status(), strict=False),
            },
        )

    def deployment(self) -> Kind:
        """A Deployment with the template of its pods."""
        spec = {
            "replicas": Field(integer(0, MOST_REPLICAS), "replicas"),
            "selector": Field(self._reader.label_selector, "selector", required=True),
            "template": Field(self._template, "template", required=True),
            **ignored("strategy", "minReadySeconds", "revisionHistoryLimit", "paused", "progressDeadlineSeconds"),
        }
        return Kind(_deployment, {"spec": required_part(self._reader, "the spec of a Deployment", spec), **STATUS})

    def service(self) -> Kind:
        """A Service."""
        service_port = self._reader.placed(_service_port, Schema("service port", _SERVICE_PORT))
        spec = {
            "ports": Field(self._reader.each(service_port), "ports"),
            "selector": Field(self._reader.labels, "selector"),
            "type": Field(word("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"), "type"),
            "clusterIP": Field(_cluster_ip, "cluster_ip"),
            "clusterIPs": Field(list_of(_cluster_ip), "cluster_ips"),
            "externalName": Field(scalar, "external_name"),
            "externalIPs": Field(list_of(ip), "external_ips"),
            "ipFamilies": Field(list_of(word("IPv4", "IPv6")), "ip_families"),
            "ipFamilyPolicy": Field(word("SingleStack", "PreferDualStack", "RequireDualStack"), "ip_family_policy"),
            "internalTrafficPolicy": Field(word("Cluster", "Local"), "internal_traffic_policy"),
            "trafficDistribution": Field(
                word("PreferClose", "PreferSameZone", "PreferSameNode"), "traffic_distribution"
            ),
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

    def _template(self, node: yaml.Node) -> PodTemplate | None:
        metadata = MetadataDecoder(self._reader)
        fields = {
            "metadata": Field(metadata.of_template, "metadata"),
            "spec": Field(self._pod_spec, "spec", required=True),
        }

        def make(spec: PodSpec, metadata: Parts | None = None) -> PodTemplate:
            return PodTemplate(spec=spec, place=self._reader.place(node), **(metadata or {}))

        return self._reader.record(make, Schema("template", fields))(node)

    def _pod_spec(self, node: yaml.Node) -> PodSpec | None:
        self._warn_of_likely_mistakes(node)
        container_port = self._reader.record(ContainerPort, Schema("container port", _CONTAINER_PORT))
        container = Schema(
            "container",
            {
                "name": Field(scalar, "name"),
                "ports": Field(self._reader.each(container_port), "ports"),
                "restartPolicy": Field(scalar, "restart"),
            },
            strict=False,
        )
        containers = self._reader.each(lambda item: self._reader.fields(item, container))
        fields = {
            "serviceAccountName": Field(object_name, "service_account_name"),
            "serviceAccount": Field(object_name, "service_account"),
            "nodeName": Field(object_name, "node_name"),
            "hostNetwork": Field(boolean, "host_network"),
            "containers": Field(containers, "containers", required=True),
            "initContainers": Field(containers, "init_containers"),
            "terminationGracePeriodSeconds": Field(integer(0, 10**9), "grace_period"),
        }
        return self._reader.record(_pod_spec, Schema("the spec of a Pod", fields, strict=False))(node)

    def _warn_of_likely_mistakes(self, node: yaml.Node) -> None:
        for key_node, _ in pairs(node):
            key = str(key_node.value)
            if key in _READ_OF_PODS or key in _KNOWN_OF_PODS:
                continue
            advice = near(key, _READ_OF_PODS)
            if advice:
                what = f"unknown key {key!r} in the spec of a Pod"
                self._reader.warn(Fault(key_node, what, advice, FaultKind.UNKNOWN_KEY))

    def _pod_status(self) -> dict[str, Field]:
        pod_ip = Schema("pod IP", {"ip": Field(ip, "ip", required=True)})
        condition = Schema(
            "condition", {"type": Field(scalar, "type"), "status": Field(scalar, "status")}, strict=False
        )
        return {
            "podIP": Field(ip, "pod_ip"),
            "podIPs": Field(self._reader.each(self._reader.record(_bare, pod_ip)), "pod_ips"),
            "phase": Field(word("Pending", "Running", "Succeeded", "Failed", "Unknown"), "phase"),
            "conditions": Field(self._reader.each(lambda node: self._reader.fields(node, condition)), "conditions"),
        }

    def _balancer_status(self) -> dict[str, Field]:
        ingress = {"ip": Field(scalar, "ip"), "hostname": Field(scalar, "hostname")}
        address = self._reader.record(_first_of, Schema("ingress", ingress, strict=False))
        balancer = Schema("loadBalancer", {"ingress": Field(self._reader.each(address), "ingress")}, strict=False)

        def read(node: yaml.Node) -> tuple[str, ...]:
            return tuple(self._reader.fields(node, balancer).get("ingress", ()))

        return {"loadBalancer": Field(read, "load_balancer_addresses")}


def _bare(ip: IpAddress) -> IpAddress:
    return ip


def _first_of(ip: str = "", hostname: str = "") -> str:
    return ip or hostname


def _node_address(type: str, address: str) -> tuple[str, str]:
    return type, address


def _node(metadata: Any, addresses: tuple[tuple[str, str], ...] = ()) -> Node:
    return Node(metadata, tuple(parse_ip(address) for kind, address in addresses if kind == "InternalIP"))


def _pod(
    metadata: Any,
    spec: PodSpec,
    pod_ip: IpAddress | None = None,
    pod_ips: tuple[IpAddress, ...] = (),
    phase: str = "Running",
    conditions: tuple[Parts, ...] = (),
) -> Pod:
    ips = pod_ips or ((pod_ip,) if pod_ip else ()) or _written_ips(metadata)
    ready = [one.get("status") == "True" for one in conditions if one.get("type") == "Ready"]
    return Pod(metadata, spec, ips, phase, all(ready))


def _deployment(metadata: Metadata, **fields: Any) -> Deployment:
    return Deployment(metadata, pod_ips=_written_ips(metadata), **fields)


def _written_ips(metadata: Metadata) -> tuple[IpAddress, ...]:
    """What the annotation says."""
    words = [word.strip() for word in metadata.annotations.get(POD_IPS_ANNOTATION, "").split(",")]
    try:
        return tuple(parse_ip(word) for word in words if word)
    except ValueError:
        what = f"annotation {POD_IPS_ANNOTATION} holds something else than IP addresses"
        raise ValueError(what, "write such as 10.0.0.1, 10.0.0.2") from None


def _pod_spec(
    containers: tuple[Parts, ...],
    init_containers: tuple[Parts, ...] = (),
    service_account_name: str = "",
    service_account: str = "",
    node_name: str = "",
    host_network: bool = False,
    grace_period: int | None = None,
) -> PodSpec:
    running = (*containers, *(one for one in init_containers if one.get("restart") == "Always"))
    return PodSpec(
        service_account_name=service_account_name or service_account or "default",
        node_name=node_name,
        host_network=host_network,
        containers=tuple(container.get("name", "") for container in running),
        ports=tuple(one for container in running for one in container.get("ports", ())),
        termination_grace_period=grace_period,
    )


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
_CONTAINER_PORT = {
    "containerPort": Field(port, "container_port", required=True),
    "name": Field(scalar, "name"),
    "protocol": Field(word("TCP", "UDP", "SCTP"), "protocol"),
    **ignored("hostPort", "hostIP"),
}
_SERVICE_PORT = {
    "port": Field(port, "port", required=True),
    "name": Field(scalar, "name"),
    "targetPort": Field(_target_port, "target_port"),
    "protocol": Field(word("TCP", "UDP", "SCTP"), "protocol"),
    "appProtocol": Field(scalar, "app_protocol"),
    **ignored("nodePort"),
}
_READ_OF_PODS = (
    "serviceAccountName",
    "nodeName",
    "hostNetwork",
    "containers",
    "initContainers",
    "terminationGracePeriodSeconds",
)
_KNOWN_OF_PODS = frozenset(
    {
        "activeDeadlineSeconds",
        "affinity",
        "automountServiceAccountToken",
        "dnsConfig",
        "dnsPolicy",
        "enableServiceLinks",
        "ephemeralContainers",
        "hostAliases",
        "hostIPC",
        "hostPID",
        "hostUsers",
        "hostname",
        "hostnameOverride",
        "imagePullSecrets",
        "nodeSelector",
        "os",
        "overhead",
        "preemptionPolicy",
        "priority",
        "priorityClassName",
        "readinessGates",
        "resourceClaims",
        "resources",
        "restartPolicy",
        "runtimeClassName",
        "schedulerName",
        "schedulingGates",
        "securityContext",
        "serviceAccount",
        "setHostnameAsFQDN",
        "shareProcessNamespace",
        "subdomain",
        "tolerations",
        "topologySpreadConstraints",
        "volumes",
        "workloadRef",
    }
)
