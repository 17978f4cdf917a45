"""Services found by a block of addresses (hbone-dataplane 2.6) [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.discovery.multimap import Multimap
from mesh_py.discovery.record import preferred
from mesh_py.model.address import ip_number, is_ipv6

if TYPE_CHECKING:
    from mesh_py.discovery.record import ServiceRecord
    from mesh_py.model.address import IpAddress, NetworkCidr

_Lengths = dict[int, Multimap[int, "ServiceRecord"]]


class CidrIndex:
    """Blocks by network and family, then by prefix length, longest first: one dict lookup per length in use."""

    def __init__(self) -> None:
        self._blocks: dict[tuple[str, bool], _Lengths] = {}

    def insert(self, block: NetworkCidr, record: ServiceRecord) -> None:
        """Add a block of a service."""
        family = (block.network, is_ipv6(block.cidr.ip))
        lengths = self._blocks.setdefault(family, {})
        if block.cidr.length not in lengths:
            lengths[block.cidr.length] = Multimap()
            self._blocks[family] = lengths = dict(sorted(lengths.items(), reverse=True))
        lengths[block.cidr.length].add(block.cidr.prefix, record)

    def remove(self, block: NetworkCidr, record: ServiceRecord) -> None:
        """Take a block of a service out."""
        lengths = self._blocks[block.network, is_ipv6(block.cidr.ip)]
        prefixes = lengths[block.cidr.length]
        prefixes.discard(block.cidr.prefix, record)
        if not prefixes:
            del lengths[block.cidr.length]

    def find(self, network: str, ip: IpAddress, namespace: str | None) -> ServiceRecord | None:
        """The service whose block holds `ip`: in the client's namespace, then longest, then canonical."""
        v6 = is_ipv6(ip)
        lengths = self._blocks.get((network, v6))
        if not lengths:
            return None
        number, width = ip_number(ip), 128 if v6 else 32
        found: ServiceRecord | None = None
        for length, prefixes in lengths.items():
            record = preferred(prefixes.get(number >> (width - length)), namespace)
            if record is not None and record.service.namespace == namespace:
                return record
            found = found or record
        return found
