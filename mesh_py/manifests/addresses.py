"""Addresses for what has none: pods, services, hosts of service entries [pure].

An address comes from the hash of a name, so that the same folder has the same addresses tomorrow, and is kept while
its owner is there, so that an edit never moves one. Only where two hashes meet does the order of arrival decide.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING

from mesh_py.manifests.core import Node, Pod, Service
from mesh_py.manifests.networking import Resolution, ServiceEntry
from mesh_py.manifests.replicas import derived_pods, number_of, on_nodes
from mesh_py.model.address import Cidr, IpAddress, ip_from_packed, is_ipv6

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesh_py.manifests.objects import Manifests

AUTO_ALLOCATE_LABEL = "networking.istio.io/enable-autoallocate-ip"
_TRIES = 100
_BITS = {False: 32, True: 128}


@dataclass(frozen=True, slots=True)
class AddressRanges:
    """Where addresses are taken from. Each is large, so that hashes rarely meet."""

    pods: Cidr = field(default_factory=lambda: Cidr.parse("10.244.0.0/14"))
    services: Cidr = field(default_factory=lambda: Cidr.parse("10.96.0.0/12"))
    """Kubernetes' own default."""
    hosts: Cidr = field(default_factory=lambda: Cidr.parse("240.240.0.0/16"))
    """For hosts of ServiceEntries, as Istio allocates them."""


class RangeFullError(ValueError):
    """A range has no address left."""

    def __init__(self, key: str, block: Cidr) -> None:
        super().__init__(f"no address left in {block} for {key}: give a larger range")


class Addresses:
    """Completes manifests, and remembers who has which address."""

    def __init__(self, ranges: AddressRanges | None = None) -> None:
        self._ranges = ranges or AddressRanges()
        self._held: dict[str, IpAddress] = {}

    def complete(self, manifests: Manifests) -> Manifests:
        """The manifests with deployments' pods, and with an address for everything that needs one.

        Raises:
            RangeFullError: a range is too small. Nothing has changed then.
        """
        nodes = [node.metadata.name for node in manifests.nodes]
        manifests = replace(manifests, pods=tuple(on_nodes(chain(manifests.pods, derived_pods(manifests)), nodes)))
        round_ = _Round(self._held, set(_written(manifests)))
        completed = replace(
            manifests,
            pods=tuple(self._pod(pod, manifests, round_) for pod in manifests.pods),
            services=tuple(self._service(service, round_) for service in manifests.services),
            service_entries=tuple(self._entry(entry, round_) for entry in manifests.service_entries),
        )
        self._held = round_.given
        return completed

    def _pod(self, pod: Pod, manifests: Manifests, round_: _Round) -> Pod:
        if pod.ips or pod.is_terminal:
            return pod
        if pod.spec.host_network:
            node = manifests.find(Node, "", pod.spec.node_name)
            return replace(pod, ips=node.addresses) if node is not None else pod
        return replace(pod, ips=(round_.give(f"Pod {pod.metadata.key}", self._ranges.pods),))

    def _service(self, service: Service, round_: _Round) -> Service:
        block = self._ranges.services
        family = "IPv6" if is_ipv6(block.ip) else "IPv4"
        wanted = not service.ip_families or family in service.ip_families
        if service.cluster_ips or service.is_headless or service.type == "ExternalName" or not wanted:
            return service
        return replace(service, cluster_ips=(round_.give(f"Service {service.metadata.key}", block),))

    def _entry(self, entry: ServiceEntry, round_: _Round) -> ServiceEntry:
        """As Istio: hosts without wildcard, of entries that are resolved and have no addresses."""
        if entry.addresses or entry.resolution is Resolution.NONE:
            return entry
        if entry.metadata.labels.get(AUTO_ALLOCATE_LABEL, "true").lower() == "false":
            return entry
        assigned = dict(entry.assigned_addresses)
        for host in entry.hosts:
            if host not in assigned and "*" not in host:
                ip = round_.give(f"ServiceEntry {entry.metadata.key} {host}", self._ranges.hosts)
                assigned[host] = (Cidr.parse(ip),)
        return replace(entry, assigned_addresses=assigned)


class _Round:
    """One pass over all manifests: what is taken, and who gets what."""

    def __init__(self, held: dict[str, IpAddress], written: set[IpAddress]) -> None:
        # What somebody holds is taken for all others, unless it is written elsewhere by now.
        self._held = {key: ip for key, ip in held.items() if ip not in written}
        self._taken = written | set(self._held.values())
        self.given: dict[str, IpAddress] = {}

    def give(self, key: str, block: Cidr) -> IpAddress:
        """The address of `key`: the one it holds, else a free one of the block."""
        ip = self._held.get(key)
        if ip is None or not block.contains(ip) or key in self.given:
            ip = self._free(key, block)
            self._taken.add(ip)
        self.given[key] = ip
        return ip

    def _free(self, key: str, block: Cidr) -> IpAddress:
        for number in _candidates(key, block):
            ip = _address(number, block)
            if ip not in self._taken:
                return ip
        raise RangeFullError(key, block)


def _written(manifests: Manifests) -> Iterator[IpAddress]:
    """Addresses that manifests name themselves."""
    for pod in manifests.pods:
        yield from pod.ips
    for service in manifests.services:
        yield from service.cluster_ips
    for node in manifests.nodes:
        yield from node.addresses
    for entry in manifests.service_entries:
        yield from (block.ip for block in entry.addresses if block.is_host)
        for blocks in entry.assigned_addresses.values():
            yield from (block.ip for block in blocks)


def _address(number: int, block: Cidr) -> IpAddress:
    width = _BITS[is_ipv6(block.ip)]
    base = block.prefix << (width - block.length)
    return ip_from_packed((base + number).to_bytes(width // 8))


def _candidates(key: str, block: Cidr) -> Iterator[int]:
    """Positions in a block: by hash after hash, then, as it is crowded, one after the other. Not the first, not the
    last: they mean the network and everybody in it.
    """
    size = 1 << (_BITS[is_ipv6(block.ip)] - block.length)
    first, usable = (1, size - 2) if size > 2 else (0, size)
    for attempt in range(_TRIES):
        yield first + number_of(f"{key}#{attempt}") % usable
    start = number_of(key)
    for step in range(min(usable, 1 << 20)):
        yield first + (start + step) % usable
