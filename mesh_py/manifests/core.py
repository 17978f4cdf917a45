"""Kubernetes' own kinds: Namespace, ServiceAccount, Node, Pod, Deployment, Service, EndpointSlice [pure]."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from mesh_py.manifests.metadata import NO_PLACE, Metadata, Owner, Place
from mesh_py.manifests.selector import LabelSelector
from mesh_py.model.workload import Locality

if TYPE_CHECKING:
    from mesh_py.manifests.metadata import Labels
    from mesh_py.model.address import IpAddress

REGION_LABEL = "topology.kubernetes.io/region"
ZONE_LABEL = "topology.kubernetes.io/zone"
SUBZONE_LABEL = "topology.istio.io/subzone"
POD_IPS_ANNOTATION = "hbone.mesh/pod-ips"
"""Ours: addresses, with commas between them. Of a Pod its own; of a Deployment one for each of its pods, in order."""
SERVICE_NAME_LABEL = "kubernetes.io/service-name"
WORKLOAD_NAME_LABEL = "service.istio.io/workload-name"

# Who makes ReplicaSets, by the label that repeats the last part of their names.
_TEMPLATE_HASHES = {"pod-template-hash": "Deployment", "rollouts-pod-template-hash": "Rollout"}
_JOB_OF_CRON_JOB = re.compile(r"(.+)-\d{8,10}")


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace; its labels say how its pods take part in the mesh."""

    kind: ClassVar[str] = "Namespace"
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """An account that pods run as: half of an identity."""

    kind: ClassVar[str] = "ServiceAccount"
    metadata: Metadata


@dataclass(frozen=True, slots=True)
class Node:
    """A machine; its labels say where it is."""

    kind: ClassVar[str] = "Node"
    metadata: Metadata
    addresses: tuple[IpAddress, ...] = ()
    """Its internal addresses, from `status.addresses`."""

    @property
    def locality(self) -> Locality:
        """Region, zone and subzone by its labels."""
        labels = self.metadata.labels
        return Locality(labels.get(REGION_LABEL, ""), labels.get(ZONE_LABEL, ""), labels.get(SUBZONE_LABEL, ""))


@dataclass(frozen=True, slots=True)
class ContainerPort:
    """A port that a container says it listens on. Only names matter: unnamed ports are open all the same."""

    container_port: int
    name: str = ""
    protocol: str = "TCP"


@dataclass(frozen=True, slots=True)
class PodSpec:
    """What concerns a mesh in the `spec` of a Pod; the rest is passed over."""

    service_account_name: str = "default"
    node_name: str = ""
    host_network: bool = False
    ports: tuple[ContainerPort, ...] = ()
    """Of all containers in their order, then of init containers that keep running."""
    termination_grace_period: float | None = None
    """Seconds, if written."""
    containers: tuple[str, ...] = ()
    """Names of the containers, in the order of `ports`."""

    def port_named(self, name: str, protocol: str = "TCP") -> int | None:
        """The number of a named port, or None."""
        return next((p.container_port for p in self.ports if p.name == name and p.protocol == protocol), None)


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod: written as such, or one of a Deployment's."""

    kind: ClassVar[str] = "Pod"
    metadata: Metadata
    spec: PodSpec = field(default_factory=PodSpec)
    ips: tuple[IpAddress, ...] = ()
    """`status.podIPs`, or addresses that were assigned."""
    phase: str = "Running"
    """Pending, Running, Succeeded, Failed or Unknown; a manifest without status counts as running."""
    ready: bool = True
    """The Ready condition; where the status tells none, whether it runs."""

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended for good."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def workload(self) -> Owner:
        """Whom telemetry names: who stands behind the owner, else the pod itself; a label may give another name."""
        labels = self.metadata.labels
        owner = _behind(self.metadata.owner or Owner(self.kind, self.metadata.name), labels)
        return owner._replace(name=labels.get(WORKLOAD_NAME_LABEL, owner.name))


def _behind(owner: Owner, labels: Labels) -> Owner:
    """Who made the owner of a pod, as Istio guesses it, else the owner.

    An owner that is made anew again and again, such as each run of a CronJob, would be a new name each time.
    """
    if owner.kind == "ReplicaSet":
        for label, kind in _TEMPLATE_HASHES.items():
            if (template_hash := labels.get(label)) and owner.name.endswith(f"-{template_hash}"):
                return Owner(kind, owner.name.removesuffix(f"-{template_hash}"))
    if owner.kind == "ReplicationController" and (config := labels.get("deploymentconfig")):
        return Owner("DeploymentConfig", config)
    if owner.kind == "Job" and (found := _JOB_OF_CRON_JOB.fullmatch(owner.name)):
        return Owner("CronJob", found[1])
    return owner


@dataclass(frozen=True, slots=True)
class PodTemplate:
    """What the pods of a Deployment are made from."""

    labels: Labels = field(default_factory=dict)
    annotations: Labels = field(default_factory=dict)
    spec: PodSpec = field(default_factory=PodSpec)
    place: Place = field(default=NO_PLACE, compare=False)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A number of pods of one kind. Its pods are among `Manifests.pods`."""

    kind: ClassVar[str] = "Deployment"
    metadata: Metadata
    selector: LabelSelector = field(default_factory=LabelSelector)
    template: PodTemplate = field(default_factory=PodTemplate)
    replicas: int = 1
    pod_ips: tuple[IpAddress, ...] = ()
    """Addresses of the first pods; further ones are assigned."""


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A port of a Service."""

    port: int
    name: str = ""
    target_port: int | str = 0
    """A number, or the name of a port of the pods. The reader fills in `port` where none is written."""
    protocol: str = "TCP"
    """TCP, UDP or SCTP."""
    app_protocol: str = ""
    place: Place = field(default=NO_PLACE, compare=False)


@dataclass(frozen=True, slots=True)
class Service:
    """A name and an address in front of pods."""

    kind: ClassVar[str] = "Service"
    metadata: Metadata
    ports: tuple[ServicePort, ...] = ()
    selector: Labels = field(default_factory=dict)
    """Without labels it selects nothing: its endpoints are written by hand (EndpointSlice)."""
    type: str = "ClusterIP"
    """ClusterIP, NodePort, LoadBalancer or ExternalName."""
    cluster_ips: tuple[IpAddress, ...] = ()
    """Virtual addresses, written or assigned; none for a headless service."""
    is_headless: bool = False
    """`clusterIP: None`."""
    external_name: str = ""
    external_ips: tuple[IpAddress, ...] = ()
    ip_families: tuple[str, ...] = ()
    """IPv4, IPv6, as written."""
    ip_family_policy: str = ""
    """SingleStack, PreferDualStack or RequireDualStack, as written."""
    internal_traffic_policy: str = "Cluster"
    """Cluster, or Local: endpoints of the client's node only."""
    traffic_distribution: str = ""
    """PreferClose (PreferSameZone), PreferSameNode, or empty."""
    publish_not_ready_addresses: bool = False
    load_balancer_addresses: tuple[str, ...] = ()
    """Addresses and host names of `status.loadBalancer.ingress`."""

    def port(self, number: int) -> ServicePort | None:
        """The port of a number, or None."""
        return next((port for port in self.ports if port.port == number), None)


@dataclass(frozen=True, slots=True)
class SliceEndpoint:
    """One endpoint of an EndpointSlice."""

    addresses: tuple[str, ...]
    """IP addresses, or host names in a slice of address type FQDN."""
    ready: bool = True
    pod: str = ""
    """Name of the pod it stands for (`targetRef`), in the slice's namespace; empty if it is none."""
    node_name: str = ""
    zone: str = ""


@dataclass(frozen=True, slots=True)
class SlicePort:
    """A port of an EndpointSlice."""

    port: int
    name: str = ""
    protocol: str = "TCP"


@dataclass(frozen=True, slots=True)
class EndpointSlice:
    """Endpoints of a Service written by hand, or by the cluster."""

    kind: ClassVar[str] = "EndpointSlice"
    metadata: Metadata
    address_type: str = "IPv4"
    endpoints: tuple[SliceEndpoint, ...] = ()
    ports: tuple[SlicePort, ...] = ()

    @property
    def service_name(self) -> str:
        """The Service it belongs to, in its namespace; empty if it names none."""
        return self.metadata.labels.get(SERVICE_NAME_LABEL, "")
