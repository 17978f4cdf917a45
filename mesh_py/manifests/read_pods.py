"""Reading Pods, and Deployments with the template of theirs [pure].

The `spec` of a Pod holds much that is nothing to a mesh: there unknown keys are passed over, with a warning where one
looks like a key that we read.
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
    pairs,
    port,
    scalar,
)
from mesh_py.manifests.core import (
    POD_IPS_ANNOTATION,
    ContainerPort,
    Deployment,
    Pod,
    PodSpec,
    PodTemplate,
)
from mesh_py.manifests.decoders import (
    MetadataDecoder,
    ignored,
    ip,
    near,
    object_name,
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
    "Pod": KindName("", ("v1",)),
    "Deployment": KindName("apps", ("v1",)),
}


class PodKinds:
    """Decoders for the objects of one file."""

    def __init__(self, reader: ManifestReader) -> None:
        self._reader = reader

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


def _bare(ip: IpAddress) -> IpAddress:
    return ip


def _pod(
    metadata: Any,
    spec: PodSpec,
    pod_ip: IpAddress | None = None,
    pod_ips: tuple[IpAddress, ...] = (),
    phase: str = "Running",
    conditions: tuple[Parts, ...] = (),
) -> Pod:
    ips = pod_ips or ((pod_ip,) if pod_ip else ()) or _written_ips(metadata)
    ready = any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)
    return Pod(metadata, spec, ips, phase, ready if conditions else phase == "Running")


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


_CONTAINER_PORT = {
    "containerPort": Field(port, "container_port", required=True),
    "name": Field(scalar, "name"),
    "protocol": Field(word("TCP", "UDP", "SCTP"), "protocol"),
    **ignored("hostPort", "hostIP"),
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
