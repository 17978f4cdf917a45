"""A mesh on one machine as data: nodes, pods, services, and every address they have [pure].

Addresses follow redirection d.3: nodes stand on a fabric 172.18.0.0/24, node N has the pod range 10.244.N.0/24 with the
node itself at .1 (HOST_IP) and its ztunnel pod at .2 (ZT_IP), and virtual addresses 10.96.0.x exist only in rules and
configuration.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FABRIC = "fabric"
"""The namespace of the bridge between the nodes; it has no rules, so that bridged frames meet none."""
CONTROL_PLANE_IP = "172.18.0.1"
"""Of the bridge itself: who is there is beside the nodes, as another machine would be."""
MAX_NODES = 32
MAX_PODS = 24
MAX_SERVICES = 24
MAX_NAME = 13
"""Characters of a pod's name: its device on the node is `v-NAME`, and the kernel takes 15."""


class Kind(Enum):
    """What a pod has to do with the mesh."""

    PLAIN = "plain"
    """Nothing: no proxy, no capture."""
    AMBIENT = "ambient"
    """Its node's ztunnel captures it."""
    SIDECAR = "sidecar"
    """A proxy stands in its own namespace."""
    WAYPOINT = "waypoint"
    """It is a proxy, and nobody captures it."""


class Design(Enum):
    """How traffic is brought to the proxies."""

    TUNNELS = "1.18"
    """Istio 1.18's ambient: marks, policy routes and Geneve tunnels on the node (redirection a)."""
    IN_POD = "in-pod"
    """Today's: rules inside each pod (redirection c)."""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the mesh: a network namespace of its name."""

    name: str
    number: int
    """From 1, as it goes into addresses."""

    @property
    def fabric_ip(self) -> str:
        """Its address among the nodes."""
        return f"172.18.0.{self.number + 1}"

    @property
    def pod_range(self) -> str:
        """The addresses of its pods."""
        return f"10.244.{self.number}.0/24"

    @property
    def host_ip(self) -> str:
        """Its own address inside the pod range, which its pods have for a gateway (HOST_IP)."""
        return f"10.244.{self.number}.1"

    @property
    def ztunnel_ip(self) -> str:
        """The address of its ztunnel pod (ZT_IP)."""
        return f"10.244.{self.number}.2"

    @property
    def ztunnel(self) -> str:
        """The namespace of its ztunnel pod."""
        return f"zt-{self.name}"


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod: a network namespace of its name, joined to its node by a pair of devices."""

    name: str
    node: Node
    kind: Kind
    ip: str
    port: int | None = None
    """Where its application listens; None: it only calls."""
    takes_hbone: bool = False
    """A sidecar that is asked by HBONE rather than in the clear."""
    waypoint: str | None = None
    """The pod that stands before it for everybody who asks for it."""

    @property
    def device(self) -> str:
        """Its device on the node."""
        return f"v-{self.name}"

    @property
    def is_enrolled(self) -> bool:
        """Whether its node's ztunnel captures it (redirection a.7: sidecars and proxies are left alone)."""
        return self.kind is Kind.AMBIENT


@dataclass(frozen=True, slots=True)
class Service:
    """A virtual address in front of pods."""

    name: str
    vip: str
    port: int
    target_port: int
    pods: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """What a scenario asks: a pod, and the service it calls."""

    source: str
    service: str
    path: str = "/anything"


@dataclass(frozen=True, slots=True)
class Topology:
    """The whole of it. Read by `topology_file`."""

    name: str
    title: str
    nodes: tuple[Node, ...]
    pods: tuple[Pod, ...]
    services: tuple[Service, ...] = ()
    request: Request | None = None
    design: Design = Design.TUNNELS
    _pods: Mapping[str, Pod] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_pods", {pod.name: pod for pod in self.pods})

    def pod(self, name: str) -> Pod:
        """The pod of that name. Raises KeyError."""
        return self._pods[name]

    def service(self, name: str) -> Service:
        """The service of that name. Raises KeyError."""
        return next(service for service in self.services if service.name == name)

    def node(self, name: str) -> Node:
        """The node of that name. Raises KeyError."""
        return {node.name: node for node in self.nodes}[name]

    def pods_on(self, node: Node) -> Iterator[Pod]:
        """The pods of a node, its ztunnel apart."""
        return (pod for pod in self.pods if pod.node == node)

    def enrolled_on(self, node: Node) -> Iterator[Pod]:
        """Those that its ztunnel captures."""
        return (pod for pod in self.pods_on(node) if pod.is_enrolled)

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Every network namespace, the fabric first."""
        nodes = [name for node in self.nodes for name in (node.name, node.ztunnel)]
        return (FABRIC, *nodes, *(pod.name for pod in self.pods))


def pod_address(node: Node, index: int) -> str:
    """The address of the `index`-th pod of the file (from 0), on its node."""
    return f"10.244.{node.number}.{10 * (index + 1)}"


def service_address(index: int) -> str:
    """The virtual address of the `index`-th service of the file (from 0)."""
    return f"10.96.0.{10 * (index + 1)}"
