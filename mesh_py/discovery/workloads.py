"""Workloads and the ways to find them: by uid, address, name, host name (hbone-dataplane 2.2, 2.6) [pure]."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from mesh_py.discovery.multimap import Multimap
from mesh_py.model.workload import NetworkMode, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesh_py.model.address import IpAddress, NamespacedHostname
    from mesh_py.model.workload import Workload

POD_MARK = "//Pod/"


class WorkloadIndex:
    """All workloads of the mesh."""

    def __init__(self) -> None:
        self.by_uid: dict[str, Workload] = {}
        # Best first; more than one only while an address changes hands.
        self._by_address: Multimap[tuple[str, str], Workload] = Multimap()
        self._by_hostname: Multimap[tuple[str, str], Workload] = Multimap()
        self._by_name: Multimap[tuple[str, str, str], Workload] = Multimap()

    def __iter__(self) -> Iterator[Workload]:
        return iter(self.by_uid.values())

    def __len__(self) -> int:
        return len(self.by_uid)

    def insert(self, workload: Workload) -> None:
        """Add a workload whose uid is not there."""
        self.by_uid[workload.uid] = workload
        for address in _addresses(workload):
            self._by_address.put(address, _ranked(self._by_address.get(address), workload))
        if workload.hostname:
            self._by_hostname.add((workload.namespace, workload.hostname), workload)
        self._by_name.add(_name(workload), workload)

    def remove(self, uid: str) -> Workload | None:
        """Take a workload out, and return it if it was there."""
        workload = self.by_uid.pop(uid, None)
        if workload is not None:
            for address in _addresses(workload):
                self._by_address.discard(address, workload)
            if workload.hostname:
                self._by_hostname.discard((workload.namespace, workload.hostname), workload)
            self._by_name.discard(_name(workload), workload)
        return workload

    def at(self, network: str, ip: IpAddress) -> Workload | None:
        """The workload with that address. Of several: pods, then HBONE, then the one that came last (2.6)."""
        found = self._by_address.get((network, ip))
        return found[0] if found else None

    def all_at(self, network: str, ip: IpAddress) -> tuple[Workload, ...]:
        """Every workload with that address, best first."""
        return self._by_address.get((network, ip))

    def named(self, name: NamespacedHostname) -> Workload | None:
        """The workload known by that DNS name."""
        found = self._by_hostname.get(name)
        return found[0] if found else None

    def called(self, name: str, namespace: str, service_account: str) -> tuple[Workload, ...]:
        """The workloads with that pod name, namespace and service account, oldest first."""
        return self._by_name.get((name, namespace, service_account))


def _addresses(workload: Workload) -> list[tuple[str, str]]:
    # A host's address is shared by everything on its network: it names no workload (2.2).
    if workload.network_mode is NetworkMode.HOST_NETWORK:
        return []
    return [(workload.network, ip) for ip in workload.workload_ips]


def _name(workload: Workload) -> tuple[str, str, str]:
    return (workload.name, workload.namespace, workload.service_account)


def _rank(workload: Workload) -> int:
    return 2 * (POD_MARK in workload.uid) + (workload.protocol is Protocol.HBONE)


def _ranked(others: tuple[Workload, ...], workload: Workload) -> tuple[Workload, ...]:
    """`workload` in front of all it is at least as good as: the last of equals wins."""
    if not others:
        return (workload,)
    # Nothing keeps a control plane from giving thousands the same address: not each is looked at for each.
    place = bisect_left(others, -_rank(workload), key=lambda other: -_rank(other))
    return (*others[:place], workload, *others[place:])
