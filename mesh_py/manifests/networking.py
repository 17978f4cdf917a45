"""Istio's networking kinds: ServiceEntry and WorkloadEntry [pure]."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from mesh_py.manifests.metadata import NO_PLACE, Metadata, Place
from mesh_py.model.workload import NOWHERE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesh_py.manifests.metadata import Labels
    from mesh_py.model.address import Cidr
    from mesh_py.model.workload import Locality


class Location(Enum):
    """Whether a service is part of the mesh."""

    EXTERNAL = "MESH_EXTERNAL"
    INTERNAL = "MESH_INTERNAL"


class Resolution(Enum):
    """How the endpoints of a service are found."""

    NONE = "NONE"
    STATIC = "STATIC"
    DNS = "DNS"
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"
    DYNAMIC_DNS = "DYNAMIC_DNS"


@dataclass(frozen=True, slots=True)
class EntryEndpoint:
    """An address that serves: the `spec` of a WorkloadEntry, or an endpoint inside a ServiceEntry."""

    address: str = ""
    """An IP address, a host name, or `unix://` and a path; may be empty where `network` is given."""
    ports: Mapping[str, int] = field(default_factory=dict)
    """Target ports by the names of the service's ports."""
    labels: Labels = field(default_factory=dict)
    network: str = ""
    locality: Locality = NOWHERE
    weight: int | None = None
    """Share of the traffic; None counts as 1."""
    service_account: str = ""
    place: Place = field(default=NO_PLACE, compare=False)


@dataclass(frozen=True, slots=True)
class WorkloadEntry:
    """A workload that is no pod: a virtual machine, say."""

    kind: ClassVar[str] = "WorkloadEntry"
    metadata: Metadata
    spec: EntryEndpoint = field(default_factory=EntryEndpoint)

    @property
    def labels(self) -> Labels:
        """What selectors see: the labels of `spec` and of `metadata`, the former winning."""
        return {**self.metadata.labels, **self.spec.labels}


@dataclass(frozen=True, slots=True)
class EntryPort:
    """A port of a ServiceEntry."""

    number: int
    name: str
    protocol: str = ""
    """HTTP, HTTPS, GRPC, HTTP2, MONGO, TCP, TLS or UDP, in upper case; empty: told by the name."""
    target_port: int = 0
    """0: the same as `number`."""
    place: Place = field(default=NO_PLACE, compare=False)


@dataclass(frozen=True, slots=True)
class ServiceEntry:
    """A service that is not Kubernetes' own: external, or made of WorkloadEntries."""

    kind: ClassVar[str] = "ServiceEntry"
    metadata: Metadata
    hosts: tuple[str, ...] = ()
    addresses: tuple[Cidr, ...] = ()
    """Virtual addresses or blocks, for every one of the hosts."""
    ports: tuple[EntryPort, ...] = ()
    location: Location = Location.EXTERNAL
    resolution: Resolution = Resolution.NONE
    endpoints: tuple[EntryEndpoint, ...] = ()
    workload_selector: Labels | None = None
    """Selects pods and WorkloadEntries of its namespace; excludes `endpoints`."""
    export_to: tuple[str, ...] = ()
    """Namespaces that see it: `*` (as when empty), `.` its own, or names."""
    subject_alt_names: tuple[str, ...] = ()
    assigned_addresses: Mapping[str, tuple[Cidr, ...]] = field(default_factory=dict)
    """Virtual addresses by host where none are written: by `status.addresses`, or by us."""
