"""References from one object to another, as policies and the Gateway API write them [pure]."""

from __future__ import annotations

from dataclasses import dataclass, field

from mesh_py.manifests.metadata import NO_PLACE, Place

GATEWAY_GROUP = "gateway.networking.k8s.io"
ISTIO_NETWORKING_GROUP = "networking.istio.io"


@dataclass(frozen=True, slots=True)
class TargetReference:
    """What a policy is attached to (`targetRefs`): a Service, ServiceEntry, Gateway or GatewayClass."""

    kind: str
    name: str
    group: str = ""
    """Empty is Kubernetes' core group."""
    namespace: str = ""
    """As written; empty is the policy's own. Istio takes no other."""
    place: Place = field(default=NO_PLACE, compare=False)


@dataclass(frozen=True, slots=True)
class ParentReference:
    """What a route is attached to: a Gateway, or a Service in a mesh (GAMMA)."""

    name: str
    namespace: str = ""
    """The route's own where none is written: the reader fills it in."""
    kind: str = "Gateway"
    group: str = GATEWAY_GROUP
    section_name: str = ""
    """A listener of the Gateway, or the name of a port of the Service."""
    port: int | None = None
    place: Place = field(default=NO_PLACE, compare=False)


@dataclass(frozen=True, slots=True)
class BackendReference:
    """Where a route, a mirror or an authorizer sends requests: a Service mostly."""

    name: str
    namespace: str = ""
    """The route's own where none is written: the reader fills it in."""
    kind: str = "Service"
    group: str = ""
    """`networking.istio.io` with kind Hostname names a host of the mesh directly."""
    port: int | None = None
    place: Place = field(default=NO_PLACE, compare=False)
