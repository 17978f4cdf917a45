"""Services, their endpoints, and the ways to find them (hbone-dataplane 2.6, hbone-controlplane 2.9) [pure].

Endpoints are kept apart from services and stored unfiltered: one that comes before its service is staged, one
that is unhealthy stays known. What may serve is derived from them, so that a service which comes back, or changes
its health policy, has all its endpoints again; ztunnel forgets them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.discovery.cidr import CidrIndex
from mesh_py.discovery.multimap import Multimap
from mesh_py.discovery.record import ServiceRecord, preferred
from mesh_py.model.address import NamespacedHostname, NetworkAddress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mesh_py.model.address import IpAddress
    from mesh_py.model.workload import Endpoint, Service


class ServiceIndex:
    """All services of the mesh, and the endpoints of services not known yet."""

    def __init__(self) -> None:
        self.by_key: dict[NamespacedHostname, ServiceRecord] = {}
        # Oldest first: between equals the first seen wins.
        self._by_vip: Multimap[tuple[str, str], ServiceRecord] = Multimap()
        self._by_hostname: Multimap[str, ServiceRecord] = Multimap()
        self._by_block = CidrIndex()
        self._attached: dict[NamespacedHostname, dict[str, Endpoint]] = {}
        self._namers: dict[str, set[NamespacedHostname]] = {}

    def __iter__(self) -> Iterator[ServiceRecord]:
        return iter(self.by_key.values())

    def __len__(self) -> int:
        return len(self.by_key)

    def upsert(self, service: Service) -> None:
        """Add a service or replace the one of the same name; it keeps its endpoints and its place."""
        record = self.by_key.get(service.key)
        if record is None:
            record = self.by_key[service.key] = ServiceRecord(service)
            self._by_hostname.add(service.hostname, record)
            self._index_addresses(record)
        self._take_over(record, service)
        named_and_attached = {**service.endpoints, **self._attached.get(service.key, {})}
        record.replace(service, named_and_attached.values())

    def remove(self, key: NamespacedHostname) -> bool:
        """Take a service out; its endpoints are staged again. Returns whether it was known."""
        record = self.by_key.pop(key, None)
        if record is None:
            return False
        self._by_hostname.discard(record.service.hostname, record)
        self._unindex_addresses(record)
        for uid in record.service.endpoints:
            self._namers[uid].discard(key)
        return True

    def attach(self, key: NamespacedHostname, endpoint: Endpoint) -> None:
        """Say that a workload serves a service, known or not."""
        self._attached.setdefault(key, {})[endpoint.workload_uid] = endpoint
        record = self.by_key.get(key)
        if record is not None:
            record.put(endpoint)

    def detach(self, key: NamespacedHostname, uid: str) -> None:
        """Say that a workload serves a service no more."""
        attached = self._attached[key]
        del attached[uid]
        if not attached:
            del self._attached[key]
        record = self.by_key.get(key)
        if record is not None:
            record.drop(uid)
            if uid in record.service.endpoints:
                record.put(record.service.endpoints[uid])

    def workload_changed(self, uid: str) -> None:
        """Forget what was derived from a workload that services name by themselves."""
        for key in self._namers.get(uid, ()):
            self.by_key[key].candidates.clear()

    def at(self, network: str, ip: IpAddress, namespace: str | None = None) -> ServiceRecord | None:
        """The service with that virtual address, as clients of `namespace` see it.

        None as namespace sees every service and prefers none. An exact address goes before any block.
        """
        exact = self._by_vip.get((network, ip))
        found = preferred(exact, namespace) if exact else None
        return found or self._by_block.find(network, ip, namespace)

    def named(self, hostname: str, namespace: str | None = None) -> ServiceRecord | None:
        """The service with that host name, as clients of `namespace` see it."""
        return preferred(self._by_hostname.get(hostname), namespace)

    def all_named(self, hostname: str) -> tuple[ServiceRecord, ...]:
        """Every service with that host name, oldest first."""
        return self._by_hostname.get(hostname)

    def naming(self, uid: str) -> Iterable[NamespacedHostname]:
        """The services that name the workload as an endpoint by themselves."""
        return self._namers.get(uid, ())

    def staged(self) -> dict[NamespacedHostname, Mapping[str, Endpoint]]:
        """Endpoints whose service is not known, by service."""
        return {key: found for key, found in self._attached.items() if key not in self.by_key}

    def _take_over(self, record: ServiceRecord, service: Service) -> None:
        old = record.service
        if (old.vips, old.cidr_vips) != (service.vips, service.cidr_vips):
            self._unindex_addresses(record)
            record.service = service
            self._index_addresses(record)
        for uid in old.endpoints:
            self._namers.setdefault(uid, set()).discard(service.key)
        for uid in service.endpoints:
            self._namers.setdefault(uid, set()).add(service.key)

    def _index_addresses(self, record: ServiceRecord) -> None:
        for vip in _single_addresses(record.service):
            self._by_vip.add(vip, record)
        for block in record.service.cidr_vips:
            if not block.cidr.is_host:
                self._by_block.insert(block, record)

    def _unindex_addresses(self, record: ServiceRecord) -> None:
        for vip in _single_addresses(record.service):
            self._by_vip.discard(vip, record)
        for block in record.service.cidr_vips:
            if not block.cidr.is_host:
                self._by_block.remove(block, record)


def _single_addresses(service: Service) -> Iterable[NetworkAddress]:
    """The exact addresses; a block of one is one of them."""
    yield from service.vips
    for block in service.cidr_vips:
        if block.cidr.is_host:
            yield NetworkAddress(block.network, block.cidr.ip)
