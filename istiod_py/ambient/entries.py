"""WorkloadEntries and the endpoints of ServiceEntries as workloads (hbone-controlplane 1.5, 1.6) [pure].

Nobody redirects a machine outside the cluster for us: such a workload is reached by HBONE only if its annotation or
label says so. Endpoints inside a ServiceEntry take policies, canonical name and tunnel from the entry's own labels, and
their waypoint from the endpoint's, as istiod does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from istiod_py.ambient import port_maps
from istiod_py.ambient.notices import Notice, Severity, notice
from istiod_py.ambient.participation import has_tls_proxy, speaks_hbone
from istiod_py.ambient.pods import POD_TYPE, canonical
from istiod_py.ambient.vocabulary import REDIRECTION
from mesh_py.manifests.networking import EntryEndpoint, Resolution
from mesh_py.model.address import IpAddress, NamespacedHostname, parse_ip
from mesh_py.model.workload import Protocol, Workload

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from istiod_py.ambient.context import Context
    from istiod_py.ambient.services import ServiceFacts
    from istiod_py.ambient.surroundings import Around, Surroundings
    from mesh_py.manifests.metadata import Labels, Metadata
    from mesh_py.manifests.networking import ServiceEntry, WorkloadEntry

_BY_NAME = frozenset({Resolution.DNS, Resolution.DNS_ROUND_ROBIN, Resolution.DYNAMIC_DNS})


@dataclass(frozen=True, slots=True)
class _Subject:
    """The object a workload is made from, as far as the two kinds differ."""

    uid: str
    metadata: Metadata
    labels: Labels
    workload_name: str
    takes_mutual_tls: bool


def entry_workload(entry: WorkloadEntry, context: Context, surroundings: Surroundings) -> Workload:
    """What node proxies are told about a WorkloadEntry."""
    metadata, labels = entry.metadata, entry.labels
    uid = f"{context.mesh.cluster_id}/networking.istio.io/WorkloadEntry/{metadata.namespace}/{metadata.name}"
    around = surroundings.of(entry.kind, metadata, labels)
    services = surroundings.selecting(metadata.namespace, labels)
    mutual_tls = has_tls_proxy(labels) and surroundings.takes_mutual_tls(metadata.namespace, labels)
    subject = _Subject(uid, metadata, labels, metadata.name, mutual_tls)
    return _workload(subject, entry.spec, around, services, context)


def endpoint_workloads(
    entry: ServiceEntry, context: Context, surroundings: Surroundings, notices: list[Notice]
) -> Iterator[Workload]:
    """The endpoints that a ServiceEntry names; one to be found by name is its own endpoint where it names none."""
    services = [
        facts
        for host in entry.hosts
        if (facts := surroundings.by_key.get(_key(entry, host))) is not None and facts.metadata is entry.metadata
    ]
    if not services:
        return  # another service has all of its names
    if not entry.endpoints and entry.workload_selector is None and entry.resolution in _BY_NAME:
        for facts in services:
            if not facts.service.hostname.startswith("*"):
                yield _endpoint(entry, EntryEndpoint(facts.service.hostname), [facts], context, surroundings)
        return
    yield from _named_endpoints(entry, services, context, surroundings, notices)


def _key(entry: ServiceEntry, host: str) -> NamespacedHostname:
    return NamespacedHostname(entry.metadata.namespace, host.lower())


def _named_endpoints(
    entry: ServiceEntry,
    services: Sequence[ServiceFacts],
    context: Context,
    surroundings: Surroundings,
    notices: list[Notice],
) -> Iterator[Workload]:
    seen: set[str] = set()
    for endpoint in entry.endpoints:
        if endpoint.address in seen or endpoint.address.startswith("unix:"):
            reason = "appears twice" if endpoint.address in seen else "is no address of a network"
            what = f"endpoint {endpoint.address} {reason} and is left out"
            notices.append(
                notice(
                    entry.kind, entry.metadata, "endpoint-unusable", what, severity=Severity.ERROR, place=endpoint.place
                )
            )
            continue
        seen.add(endpoint.address)
        yield _endpoint(entry, endpoint, services, context, surroundings)


def _endpoint(
    entry: ServiceEntry,
    endpoint: EntryEndpoint,
    services: Sequence[ServiceFacts],
    context: Context,
    surroundings: Surroundings,
) -> Workload:
    metadata = entry.metadata
    uid = (
        f"{context.mesh.cluster_id}/networking.istio.io/ServiceEntry/"
        f"{metadata.namespace}/{metadata.name}/{endpoint.address}"
    )
    waypoint = surroundings.of(entry.kind, metadata, endpoint.labels, services)
    around = surroundings.of(entry.kind, metadata, metadata.labels, services)
    around = around._replace(waypoint=waypoint.waypoint)
    mutual_tls = has_tls_proxy(endpoint.labels)
    subject = _Subject(uid, metadata, metadata.labels, metadata.name, mutual_tls)
    return _workload(subject, endpoint, around, services, context)


def _workload(
    subject: _Subject, endpoint: EntryEndpoint, around: Around, services: Sequence[ServiceFacts], context: Context
) -> Workload:
    mesh = context.mesh
    ip = _ip(endpoint.address)
    name, revision = canonical(subject.labels, subject.workload_name)
    native = speaks_hbone(subject.labels)
    redirected = subject.metadata.annotations.get(REDIRECTION) == "enabled"
    network = endpoint.network or mesh.network
    return Workload(
        uid=subject.uid,
        name=subject.metadata.name,
        namespace=subject.metadata.namespace,
        workload_ips=(ip,) if ip else (),
        hostname="" if ip else endpoint.address,
        network=network,
        protocol=Protocol.HBONE if native or redirected else Protocol.TCP,
        trust_domain=mesh.trust_domain,
        service_account=endpoint.service_account or "default",
        waypoint=around.waypoint.address if around.waypoint else None,
        network_gateway=context.gateway_of_network.get(network),
        workload_name=subject.workload_name,
        workload_type=POD_TYPE,
        canonical_name=name,
        canonical_revision=revision,
        cluster_id=mesh.cluster_id,
        locality=endpoint.locality,
        native_tunnel=native,
        application_tunnel=around.application_tunnel,
        mutual_tls=subject.takes_mutual_tls,
        services={facts.service.key: port_maps.of_entry(facts, endpoint.ports) for facts in services},
        authorization_policies=around.policies,
        capacity=endpoint.weight or 1,
    )


def _ip(address: str) -> IpAddress | None:
    try:
        return parse_ip(address)
    except ValueError:
        return None
