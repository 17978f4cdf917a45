"""What a DNS question means in the mesh: names of services, long, short and wild (hbone-controlplane 6) [pure].

A name nobody in the mesh has is not ours to answer: the caller forwards it. A name that is known and has no address
of the asked family is answered with nothing, never with "no such name". Workloads' own host names are not looked up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from mesh_py.model.address import is_ipv6
from mesh_py.model.workload import IpFamilies

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mesh_py.discovery.record import ServiceRecord
    from mesh_py.discovery.state import MeshState
    from mesh_py.model.address import IpAddress
    from mesh_py.model.workload import Service, Workload


@dataclass(frozen=True, slots=True)
class NameRules:
    """How names are completed."""

    domain: str = "cluster.local"
    """Suffix of the cluster's service names (`CLUSTER_DOMAIN`)."""
    search: tuple[str, ...] | None = None
    """Search domains of the clients' resolver; None: those Kubernetes gives to pods of the client's namespace."""
    preferred_namespace: str = ""
    """Whose service of a name goes before others' that are neither the client's own nor canonical."""
    ipv6: bool = True
    """Whether IPv6 addresses are told at all."""


class Alias(NamedTuple):
    """One way to read a name."""

    name: str
    stripped: str | None = None
    """The asked name without a search domain, where that is how this reading came about."""


class Answer(NamedTuple):
    """What the mesh knows of a name."""

    service: Service
    addresses: tuple[IpAddress, ...] = ()
    canonical: str | None = None
    """The name that the addresses belong to and the asked one is an alias of (CNAME)."""
    reason: str = "success"
    """Why there is no address, for the log."""


def look_up(state: MeshState, client: Workload, name: str, rules: NameRules, *, ipv6: bool) -> Answer | None:
    """The addresses of a name as `client` sees it, or None if the mesh does not know the name.

    Args:
        name: as asked, in any case, with or without the final dot.
        ipv6: which family is asked for (AAAA rather than A).
    """
    for alias in aliases(name, client.namespace, rules):
        for candidate in wildcards(alias.name):
            record = _best(state.services.all_named(candidate), client.namespace, rules)
            if record is not None:
                return _answer(state, client, record, alias, rules, ipv6=ipv6)
    return None


def aliases(name: str, namespace: str, rules: NameRules) -> Iterator[Alias]:
    """Every reading of a name for a client of `namespace`, the likeliest first, none twice."""
    asked = name.lower().removesuffix(".")
    if not asked:
        return
    seen: set[str] = set()
    for alias in _readings(asked, namespace, rules):
        if alias.name not in seen:
            seen.add(alias.name)
            yield alias


def wildcards(name: str) -> Iterator[str]:
    """The name itself, then `*.` in front of ever shorter ends of it."""
    yield name
    _, dot, rest = name.partition(".")
    while dot:
        yield f"*.{rest}"
        _, dot, rest = rest.partition(".")


def pod_search_domains(namespace: str, domain: str) -> tuple[str, ...]:
    """The search list that Kubernetes gives to a pod."""
    return f"{namespace}.svc.{domain}", f"svc.{domain}", domain


def _readings(asked: str, namespace: str, rules: NameRules) -> Iterator[Alias]:
    yield Alias(asked)
    yield from (Alias(full) for full in _expansions(asked, namespace, rules.domain))
    search = pod_search_domains(namespace, rules.domain) if rules.search is None else rules.search
    for ending in search:
        stripped = asked.removesuffix(f".{ending.lower()}")
        if stripped != asked:
            yield Alias(stripped, stripped)
            yield from (Alias(full, stripped) for full in _expansions(stripped, namespace, rules.domain))


def _expansions(name: str, namespace: str, domain: str) -> Iterator[str]:
    """The full service names that a short one may stand for: what it lacks depends on how many labels it has."""
    labels = name.count(".") + 1
    ends_in_svc = name.endswith(".svc")
    if labels == 2:
        yield f"{name}.svc.{domain}"
    if labels in (1, 2):
        yield f"{name}.{namespace}.svc.{domain}"
    if labels in (3, 4) and ends_in_svc:
        yield f"{name}.{domain}"
    if labels == 3:
        yield f"{name}.svc.{domain}"


def _best(records: Iterable[ServiceRecord], namespace: str, rules: NameRules) -> ServiceRecord | None:
    """Of the services with one name: the client's own, else canonical, else of the preferred namespace, else first."""
    ending = f".svc.{rules.domain}"

    def answers(service: Service) -> bool:
        # Without an address only a service of the cluster is known to be headless; others are left to real DNS.
        return service.is_visible_to(namespace) and (bool(service.vips) or service.hostname.endswith(ending))

    def rank(record: ServiceRecord) -> tuple[bool, bool, bool]:
        service = record.service
        return (
            service.namespace == namespace,
            service.canonical,
            service.namespace == rules.preferred_namespace,
        )

    return max((record for record in records if answers(record.service)), key=rank, default=None)


def _answer(
    state: MeshState, client: Workload, record: ServiceRecord, alias: Alias, rules: NameRules, *, ipv6: bool
) -> Answer:
    service = record.service
    if (ipv6 and not rules.ipv6) or service.ip_families is (IpFamilies.IPV4 if ipv6 else IpFamilies.IPV6):
        return Answer(service, reason="service does not support this record type")
    found = _virtual(service, client.network) if service.vips else _endpoints(state, record, ipv6=ipv6)
    addresses = tuple(ip for ip in found if is_ipv6(ip) is ipv6)
    if not addresses:
        return Answer(service, reason="no records")
    # An alias must name one thing; a wildcard names many.
    return Answer(service, addresses, None if service.hostname.startswith("*.") else alias.stripped)


def _virtual(service: Service, network: str) -> Iterator[IpAddress]:
    return (vip.ip for vip in service.vips if vip.network == network)


def _endpoints(state: MeshState, record: ServiceRecord, *, ipv6: bool) -> Iterator[IpAddress]:
    """One address of the family for each endpoint, whatever its network."""
    for uid in record.endpoints:
        workload = state.workloads.by_uid.get(uid)
        if workload is not None:
            yield from [ip for ip in workload.workload_ips if is_ipv6(ip) is ipv6][:1]
