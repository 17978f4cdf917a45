"""Addresses as the mesh writes them: IPs, networks, host names, gateways, CIDR blocks [pure].

An IP address travels as its canonical text. That is what sockets give and take, what CONNECT and the logs
print, and what a dict finds fastest (an `ipaddress` object takes a microsecond to hash). The type `IpAddress`
marks text that is canonical already; `parse_ip` is the only way in.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, NewType

IpAddress = NewType("IpAddress", str)
"""Canonical text of an IP address: RFC 5952, no zone, IPv4-mapped IPv6 written as IPv4."""

SocketAddress = tuple[IpAddress, int]
"""An IP address and a port."""


@lru_cache(maxsize=65536)
def parse_ip(text: str) -> IpAddress:
    """The canonical form of an IP address given as text; a zone such as `%eth0` is dropped.

    Raises:
        ValueError: it is no IP address.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    if address.version == 6 and address.ipv4_mapped is not None:
        return IpAddress(str(address.ipv4_mapped))
    return IpAddress(str(address))


def ip_from_packed(packed: bytes) -> IpAddress:
    """The address in 4 or 16 network-order bytes, as protobuf and the kernel give it.

    Raises:
        ValueError: any other length.
    """
    if len(packed) not in (4, 16):
        raise ValueError(f"an IP address has 4 or 16 bytes, not {len(packed)}")
    return parse_ip(str(ipaddress.ip_address(packed)))


def is_ipv6(ip: IpAddress) -> bool:
    """Whether the address is IPv6 (after canonicalisation, so a mapped one is not)."""
    return ":" in ip


@lru_cache(maxsize=65536)
def ip_number(ip: IpAddress) -> int:
    """The address as an integer, for prefix arithmetic."""
    return int(ipaddress.ip_address(ip))


class HostPort(NamedTuple):
    """A service asked for by name: `reviews.default.svc.cluster.local:80`, the port being the service's."""

    hostname: str
    port: int

    def __str__(self) -> str:
        return f"{self.hostname}:{self.port}"


class NetworkAddress(NamedTuple):
    """An IP address of a network; "" is the default network. Text form `network/ip`."""

    network: str
    ip: IpAddress

    def __str__(self) -> str:
        return f"{self.network}/{self.ip}"

    @staticmethod
    def parse(text: str) -> NetworkAddress:
        """Read `network/ip`. Raises ValueError."""
        network, slash, ip = text.partition("/")
        if not slash:
            raise ValueError(f"{text!r} is not network/ip (the default network gives /{text})")
        return NetworkAddress(network, parse_ip(ip))


class NamespacedHostname(NamedTuple):
    """The name of a service, or of a workload known by name. Text form `namespace/hostname`."""

    namespace: str
    hostname: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.hostname}"

    @staticmethod
    def parse(text: str) -> NamespacedHostname:
        """Read `namespace/hostname`. Raises ValueError."""
        namespace, slash, hostname = text.partition("/")
        if not slash or not hostname or "/" in hostname:
            raise ValueError(f"{text!r} is not namespace/hostname")
        return NamespacedHostname(namespace, hostname)


class GatewayAddress(NamedTuple):
    """Where a waypoint or a network gateway is found, and the port it takes HBONE on."""

    destination: NetworkAddress | NamespacedHostname
    hbone_mtls_port: int

    @staticmethod
    def parse_destination(text: str) -> NetworkAddress | NamespacedHostname:
        """Read `network/ip`, else `namespace/hostname`. Raises ValueError."""
        try:
            return NetworkAddress.parse(text)
        except ValueError:
            return NamespacedHostname.parse(text)


@dataclass(frozen=True, slots=True)
class Cidr:
    """A block of addresses, `10.0.0.0/8`. Host bits may be set: they are printed, and ignored in matching."""

    ip: IpAddress
    length: int
    prefix: int = field(init=False, repr=False, compare=False)
    """The first `length` bits, as a number."""
    _shift: int = field(init=False, repr=False, compare=False)
    _v6: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        v6 = is_ipv6(self.ip)
        width = 128 if v6 else 32
        if not 0 <= self.length <= width:
            raise ValueError(f"{self.ip}/{self.length}: the prefix length must be 0 to {width}")
        object.__setattr__(self, "_v6", v6)
        object.__setattr__(self, "_shift", width - self.length)
        object.__setattr__(self, "prefix", ip_number(self.ip) >> (width - self.length))

    @staticmethod
    def parse(text: str) -> Cidr:
        """Read `ip/length`; a bare address is a block of one. Raises ValueError."""
        ip_text, slash, length = text.partition("/")
        ip = parse_ip(ip_text)
        if not slash:
            return Cidr(ip, 128 if is_ipv6(ip) else 32)
        if not (length.isascii() and length.isdigit()):
            raise ValueError(f"{text!r} is not ip/length")
        return Cidr(ip, int(length))

    def contains(self, ip: IpAddress) -> bool:
        """Whether `ip` lies in the block; never true across families."""
        return (":" in ip) is self._v6 and ip_number(ip) >> self._shift == self.prefix

    @property
    def is_host(self) -> bool:
        """Whether the block holds one address only."""
        return self._shift == 0

    def __str__(self) -> str:
        return f"{self.ip}/{self.length}"


class NetworkCidr(NamedTuple):
    """A block of service addresses of a network."""

    network: str
    cidr: Cidr

    def __str__(self) -> str:
        return f"{self.network}/{self.cidr}"
