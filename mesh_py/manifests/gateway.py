"""The Gateway API's Gateway and ReferenceGrant [pure]."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from mesh_py.manifests.metadata import NO_PLACE, Metadata, Place

if TYPE_CHECKING:
    from mesh_py.manifests.metadata import Labels
    from mesh_py.manifests.selector import LabelSelector

WAYPOINT_CLASS = "istio-waypoint"
HBONE_PROTOCOL = "HBONE"


class GatewayAddressValue(NamedTuple):
    """An address of a Gateway, asked for (`spec`) or given (`status`)."""

    type: str
    """IPAddress or Hostname."""
    value: str


@dataclass(frozen=True, slots=True)
class AllowedRoutes:
    """Which routes may attach to a listener."""

    namespaces_from: str = "Same"
    """Same, All, Selector or None."""
    selector: LabelSelector | None = None
    kinds: tuple[str, ...] = ()
    """Kinds of routes; empty: those of the listener's protocol."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A port that a Gateway listens on."""

    name: str
    port: int
    protocol: str
    """HTTP, HTTPS, TLS, TCP, UDP, or HBONE for a waypoint."""
    hostname: str = ""
    tls_mode: str = ""
    """Terminate or Passthrough, if TLS is written of."""
    allowed_routes: AllowedRoutes = field(default_factory=AllowedRoutes)
    place: Place = field(default=NO_PLACE, compare=False)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A waypoint, an east-west gateway, or an ingress, by its class."""

    kind: ClassVar[str] = "Gateway"
    metadata: Metadata
    gateway_class_name: str = ""
    listeners: tuple[Listener, ...] = ()
    addresses: tuple[GatewayAddressValue, ...] = ()
    """`spec.addresses`."""
    status_addresses: tuple[GatewayAddressValue, ...] = ()
    """`status.addresses`: where the cluster says it can be reached."""
    infrastructure_labels: Labels = field(default_factory=dict)
    infrastructure_annotations: Labels = field(default_factory=dict)

    @property
    def is_waypoint(self) -> bool:
        """Whether it is of the waypoint class."""
        return self.gateway_class_name == WAYPOINT_CLASS

    @property
    def waypoint_for(self) -> str:
        """What traffic a waypoint takes: service (unless labelled), workload, all or none."""
        return self.metadata.labels.get("istio.io/waypoint-for", "service")


class Granted(NamedTuple):
    """One side of a grant: kinds of a namespace, or a kind with at most one name."""

    group: str
    kind: str
    namespace: str = ""
    name: str = ""
    """Empty: all of the kind."""


@dataclass(frozen=True, slots=True)
class ReferenceGrant:
    """Lets objects of other namespaces refer to objects of this one."""

    kind: ClassVar[str] = "ReferenceGrant"
    metadata: Metadata
    from_: tuple[Granted, ...] = ()
    to: tuple[Granted, ...] = ()
