"""Loopback addresses that stand for a mesh's own, so that a whole cluster fits on one machine [pure].

An address keeps its last three numbers: 10.244.1.7 stands at 127.244.1.7. Where two would meet, or where the machine
itself lives (127.0.*.*), the next place is taken; the same addresses always get the same places.
"""

from __future__ import annotations

import ipaddress
from bisect import bisect_left, bisect_right
from itertools import count
from typing import TYPE_CHECKING

from mesh_py.model.address import Cidr, IpAddress, NetworkAddress, ip_number, is_ipv6

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NOBODY = Cidr.parse("127.0.0.0/32")
"""A block that no address is in."""
_LOOPBACK = 127 << 24
_LOW = (1 << 24) - 1
_FIRST, _LAST = 1, 254
"""Second numbers that are given away: 127.0.*.* is the machine's own, 127.255.255.255 a broadcast address."""


class LoopbackMap:
    """Places by address. An address is known together with its network: two networks may use the same one."""

    def __init__(self) -> None:
        self._places: dict[NetworkAddress, IpAddress] = {}
        self._taken: set[int] = set()
        self._blocks: dict[Cidr, tuple[Cidr, ...]] = {}
        self._originals: dict[bool, list[tuple[int, int]]] = {False: [], True: []}
        self._numbers: list[int] = []

    @property
    def places(self) -> Mapping[NetworkAddress, IpAddress]:
        """What stands where."""
        return self._places

    def assign(self, addresses: Iterable[NetworkAddress]) -> None:
        """Give a place to each that has none; those that have one keep it."""
        new = {address for address in addresses if address not in self._places}
        for address in sorted(new, key=_order):
            number = self._free(ip_number(address.ip) & _LOW)
            self._taken.add(number)
            self._places[address] = IpAddress(str(ipaddress.IPv4Address(_LOOPBACK | number)))
        if new:
            self._index()

    def place(self, address: NetworkAddress) -> IpAddress:
        """Where an address stands. Raises KeyError: it was never assigned."""
        return self._places[address]

    def blocks(self, block: Cidr) -> tuple[Cidr, ...]:
        """Blocks that hold the places of the addresses in `block`, and of no others."""
        found = self._blocks.get(block)
        if found is None:
            found = self._blocks[block] = self._blocks_of(block)
        return found

    def _free(self, low: int) -> int:
        second = _second(low)
        for step in count():
            number = ((second - _FIRST + step) % _LAST + _FIRST) << 16 | (low + step // _LAST) & 0xFFFF
            if number not in self._taken:
                return number
        raise AssertionError("unreachable: steps do not end")

    def _index(self) -> None:
        self._blocks.clear()
        for v6 in (False, True):
            self._originals[v6] = sorted(
                (ip_number(address.ip), ip_number(place))
                for address, place in self._places.items()
                if is_ipv6(address.ip) is v6
            )
        self._numbers = sorted(_LOOPBACK | number for number in self._taken)

    def _blocks_of(self, block: Cidr) -> tuple[Cidr, ...]:
        first, last = _range(block)
        originals = self._originals[is_ipv6(block.ip)]
        inside = originals[bisect_left(originals, (first, 0)) : bisect_right(originals, (last, 1 << 32))]
        places = sorted(place for _, place in inside)
        image = image_of(block)
        first, last = _range(image)
        if self._numbers[bisect_left(self._numbers, first) : bisect_right(self._numbers, last)] == places:
            return (image,)
        hosts = (ipaddress.IPv4Network(place) for place in places)
        return tuple(Cidr.parse(str(found)) for found in ipaddress.collapse_addresses(hosts)) or (NOBODY,)


def image_of(block: Cidr) -> Cidr:
    """Where the addresses of a block stand as long as none of them had to move."""
    width = 128 if is_ipv6(block.ip) else 32
    length = 8 + max(0, block.length - (width - 24))
    low = _range(block)[0] & _LOW
    if length >= 16:
        low = _second(low) << 16 | low & 0xFFFF
    return Cidr(IpAddress(str(ipaddress.IPv4Address(_LOOPBACK | low))), length)


def _second(low: int) -> int:
    """The second number of a place, moved where it may not be as it is."""
    second = low >> 16
    return second if _FIRST <= second <= _LAST else second ^ 0x80


def _range(block: Cidr) -> tuple[int, int]:
    """The first and the last address of a block, as numbers."""
    shift = (128 if is_ipv6(block.ip) else 32) - block.length
    first = block.prefix << shift
    return first, first | (1 << shift) - 1


def _order(address: NetworkAddress) -> tuple[bool, int, str]:
    return is_ipv6(address.ip), ip_number(address.ip), address.network
