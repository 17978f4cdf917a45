"""Services and ServiceEntries: names, addresses, ports, waypoints, who sees them (hbone-controlplane 1.6) [pure].

Of several with one host name in one namespace a Kubernetes Service counts, else the oldest ServiceEntry. Across
namespaces one is canonical: the Kubernetes Service, else the oldest ServiceEntry that everybody may see.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from istiod_py.ambient import balancing, protocols
from istiod_py.ambient.notices import notice
from mesh_py.manifests import core, networking
from mesh_py.model.address import NetworkAddress, NetworkCidr
from mesh_py.model.workload import AppProtocol, IpFamilies, Service, Visibility

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from istiod_py.ambient.context import Context
    from istiod_py.ambient.notices import Notice
    from istiod_py.ambient.waypoints import Choice, Waypoint
    from mesh_py.manifests.metadata import Age, Labels, Metadata


@dataclass(frozen=True, slots=True)
class ServicePort:
    """What choosing a workload's port needs beside the two numbers."""

    number: int
    name: str
    target: int | str
    """A number, or the name of a container's port."""


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """A service as it will be told, and what the workloads behind it are found by."""

    service: Service
    kind: str
    """`Service` or `ServiceEntry`."""
    metadata: Metadata
    """Of the object it is made from."""
    ports: tuple[ServicePort, ...]
    selector: Labels
    """Of the workloads behind it; empty if none are selected."""
    waypoints: tuple[Waypoint, ...] = ()
    """Those that connections to the service may go through."""

    @property
    def is_kubernetes(self) -> bool:
        """Whether it is a Kubernetes Service."""
        return self.kind == core.Service.kind

    @property
    def rank(self) -> tuple[bool, Age]:
        """Sorts first what wins over others of the same host name."""
        return not self.is_kubernetes, self.metadata.age


def all_services(context: Context) -> tuple[list[ServiceFacts], list[Notice]]:
    """Every service of the mesh, one for each host name and namespace, with what is wrong with them."""
    notices: list[Notice] = []
    found: list[ServiceFacts] = []
    for service in context.services:
        found += _kubernetes_service(service, context, notices)
    for entry in context.manifests.service_entries:
        found += _entry_services(entry, context, notices)
    return list(_canonical(_distinct(found, notices))), notices


def _kubernetes_service(service: core.Service, context: Context, notices: list[Notice]) -> Iterator[ServiceFacts]:
    metadata = service.metadata
    if service.type == "ExternalName":
        return  # its name leads to another name, which DNS knows
    choice = _waypoint(service.kind, metadata, context, notices)
    ports = [port for port in service.ports if port.protocol == "TCP"]
    yield ServiceFacts(
        Service(
            name=metadata.name,
            namespace=metadata.namespace,
            hostname=context.mesh.hostname(metadata.name, metadata.namespace),
            vips=tuple(NetworkAddress(context.mesh.network, ip) for ip in service.cluster_ips),
            ports={port.port: port.target_port if isinstance(port.target_port, int) else 0 for port in ports},
            app_protocols=_protocols((port.port, port.name, port.app_protocol) for port in ports),
            waypoint=choice.waypoint.address if choice.waypoint else None,
            weighted_waypoints=choice.weighted,
            load_balancer=balancing.of_service(service, context.namespace_annotations(metadata.namespace)),
            ip_families=_families(service.ip_families),
        ),
        service.kind,
        metadata,
        tuple(ServicePort(port.port, port.name, port.target_port or port.port) for port in ports),
        service.selector,
        choice.waypoints,
    )


def _waypoint(kind: str, metadata: Metadata, context: Context, notices: list[Notice]) -> Choice:
    choice = context.waypoints.of_service(kind, metadata)
    if choice.problem is not None:
        notices.append(choice.problem)
    return choice


def _entry_services(entry: networking.ServiceEntry, context: Context, notices: list[Notice]) -> Iterator[ServiceFacts]:
    metadata, network = entry.metadata, context.mesh.network
    choice = _waypoint(entry.kind, metadata, context, notices)
    visibility = _visibility(entry, notices)
    ports = [port for port in entry.ports if port.protocol.upper() != "UDP"]
    balancer = balancing.of_service_entry(entry, context.namespace_annotations(metadata.namespace))
    for host in entry.hosts:
        addresses = entry.addresses or entry.assigned_addresses.get(host, ())
        service = Service(
            name=metadata.name,
            namespace=metadata.namespace,
            hostname=host.lower(),
            vips=tuple(NetworkAddress(network, block.ip) for block in addresses if block.is_host),
            ports={port.number: port.target_port or port.number for port in ports},
            app_protocols=_protocols((port.number, port.name, port.protocol) for port in ports),
            cidr_vips=tuple(NetworkCidr(network, block) for block in addresses if not block.is_host),
            subject_alt_names=entry.subject_alt_names,
            waypoint=choice.waypoint.address if choice.waypoint else None,
            weighted_waypoints=choice.weighted,
            load_balancer=balancer,
            visibility=visibility,
        )
        targets = tuple(ServicePort(port.number, port.name, port.target_port or port.number) for port in ports)
        yield ServiceFacts(service, entry.kind, metadata, targets, entry.workload_selector or {}, choice.waypoints)


def _protocols(ports: Iterable[tuple[int, str, str]]) -> dict[int, AppProtocol]:
    declared = {number: protocols.declared(number, name, word) for number, name, word in ports}
    return {number: protocol for number, protocol in declared.items() if protocol is not AppProtocol.UNKNOWN}


def _families(words: tuple[str, ...]) -> IpFamilies | None:
    if len(words) > 1:
        return IpFamilies.DUAL
    return IpFamilies(words[0]) if words else None


def _visibility(entry: networking.ServiceEntry, notices: list[Notice]) -> Visibility:
    """Everybody, or the own namespace. Nothing between can be told: then only the own namespace sees it."""
    names = set(entry.export_to)
    if not names or "*" in names:
        return Visibility.PUBLIC
    if names - {".", "~", entry.metadata.namespace}:
        what = "exportTo names other namespaces, which node proxies cannot be told; only its own namespace sees it"
        notices.append(notice(entry.kind, entry.metadata, "service-visibility", what, "write '*' or '.'"))
    return Visibility.NAMESPACE


def _distinct(found: Iterable[ServiceFacts], notices: list[Notice]) -> list[ServiceFacts]:
    """One for each host name and namespace; the others are told of."""
    best: dict[object, ServiceFacts] = {}
    for facts in sorted(found, key=lambda one: one.rank):
        winner = best.setdefault(facts.service.key, facts)
        if winner is not facts:
            what = f"host {facts.service.hostname} is {winner.kind} {winner.metadata.key}'s already, which counts"
            notices.append(notice(facts.kind, facts.metadata, "service-duplicate", what, "remove one of them"))
    return list(best.values())


def _canonical(services: Iterable[ServiceFacts]) -> Iterator[ServiceFacts]:
    """Mark one of each host name; they come with the winners first."""
    taken: set[str] = set()
    for facts in services:
        service = facts.service
        is_open = facts.is_kubernetes or service.visibility is Visibility.PUBLIC
        is_canonical = is_open and service.hostname not in taken
        if is_canonical:
            taken.add(service.hostname)
        yield replace(facts, service=replace(service, canonical=is_canonical))
