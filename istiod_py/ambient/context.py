"""What every conversion looks at: the manifests, the operator's choices, and what follows from both [pure]."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from istiod_py.ambient.network_gateways import network_gateways, references
from istiod_py.ambient.vocabulary import NETWORK
from istiod_py.ambient.waypoints import Waypoints, waypoint_services
from mesh_py.manifests.core import Namespace
from mesh_py.manifests.metadata import NO_LABELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from istiod_py.ambient.network_gateways import NetworkGateway
    from istiod_py.ambient.options import AmbientOptions
    from mesh_py.manifests.core import Node, Service
    from mesh_py.manifests.metadata import Labels
    from mesh_py.manifests.objects import Manifests
    from mesh_py.model.address import GatewayAddress


class Context:
    """One state of the manifests, with its waypoints and gateways found."""

    def __init__(self, manifests: Manifests, options: AmbientOptions) -> None:
        self.manifests = manifests
        self.options = options
        root_labels = manifests.namespace_labels(options.mesh.root_namespace)
        self.mesh = replace(options.mesh, network=options.mesh.network or root_labels.get(NETWORK, ""))
        """The mesh's names; its network is the operator's choice, else the root namespace's label."""
        self.waypoints = Waypoints(manifests, self.mesh)

    @cached_property
    def services(self) -> tuple[Service, ...]:
        """The Services that are written, and those of waypoints that have none."""
        return (*self.manifests.services, *waypoint_services(self.manifests))

    @cached_property
    def nodes(self) -> Mapping[str, Node]:
        """Nodes by name."""
        return {node.metadata.name: node for node in self.manifests.nodes}

    @cached_property
    def network_gateways(self) -> tuple[NetworkGateway, ...]:
        """The ways into other networks."""
        return network_gateways(self.manifests)

    @cached_property
    def gateway_of_network(self) -> Mapping[str, GatewayAddress]:
        """How each other network is entered."""
        return references(self.network_gateways)

    def namespace_annotations(self, name: str) -> Labels:
        """The annotations of a namespace; none if no manifest describes it."""
        namespace = self.manifests.find(Namespace, "", name)
        return namespace.metadata.annotations if namespace is not None else NO_LABELS
