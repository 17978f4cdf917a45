"""Geneve's header, RFC 8926: eight bytes and options in front of an Ethernet frame, inside UDP [pure]."""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple

ETHERNET = 0x6558
"""The protocol type of what we carry (Trans Ether Bridging); anything else is dropped."""
HEADER_SIZE = 8
_HEADER = Struct("!BBHI")
_OPTION = Struct("!HBB")
_CONTROL, _CRITICAL = 0x80, 0x40
_CRITICAL_TYPE = 0x80


class GeneveError(ValueError):
    """A datagram is not for us, or broken: it is dropped, and its text says why."""


class Option(NamedTuple):
    """One option of a header."""

    option_class: int
    type: int
    """Its top bit says that who does not know the option must drop the packet."""
    data: bytes

    @property
    def is_critical(self) -> bool:
        """Whether a packet may not be used without knowing it."""
        return bool(self.type & _CRITICAL_TYPE)


class Datagram(NamedTuple):
    """What a UDP payload says."""

    vni: int
    frame: memoryview
    """The Ethernet frame, a view of the caller's buffer."""
    options: tuple[Option, ...] = ()


def header(vni: int) -> bytes:
    """The header that we send, without options. The VNI has 24 bits."""
    return _HEADER.pack(0, 0, ETHERNET, vni << 8)


def decode(payload: bytes | memoryview) -> Datagram:
    """Read a datagram as a tunnel end does.

    Raises:
        GeneveError: a version, a protocol or a critical option we do not know, a control packet, or too short.
    """
    view = memoryview(payload)
    if len(view) < HEADER_SIZE:
        raise GeneveError(f"{len(view)} bytes are no header")
    first, flags, protocol, vni = _HEADER.unpack_from(view)
    if first >> 6:
        raise GeneveError(f"version {first >> 6}")
    if flags & _CONTROL:
        raise GeneveError("a control packet, which carries nothing for the device")
    if protocol != ETHERNET:
        raise GeneveError(f"protocol 0x{protocol:04x} is not Ethernet")
    end = HEADER_SIZE + 4 * (first & 0x3F)
    if end > len(view):
        raise GeneveError("its options are longer than the datagram")
    options = _options(view[HEADER_SIZE:end])
    if flags & _CRITICAL or any(option.is_critical for option in options):
        raise GeneveError("a critical option that we do not know")
    return Datagram(vni >> 8, view[end:], options)


def _options(view: memoryview) -> tuple[Option, ...]:
    found = []
    while view:
        if len(view) < _OPTION.size:
            raise GeneveError("an option is cut short")
        option_class, kind, length = _OPTION.unpack_from(view)
        end = _OPTION.size + 4 * (length & 0x1F)
        if end > len(view):
            raise GeneveError("an option is cut short")
        found.append(Option(option_class, kind, bytes(view[_OPTION.size : end])))
        view = view[end:]
    return tuple(found)
