"""A tunnel's bytes as a TCP connection that nobody ever made: IPv4 packets for whoever reads a capture [pure]."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from struct import Struct, unpack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab_py.inner.tcp_bytes import End
    from lab_py.inner.tunnels import Tunnel

_IP = Struct("!BBHHHBBH4s4s")
_TCP = Struct("!HHIIBBHHH")
_ACK, _PUSH, _SYN, _FIN = 0x10, 0x08, 0x02, 0x01
_MOST = 60_000
"""Bytes of a packet, within what IPv4 can say."""
_WINDOW = 0xFFFF


@dataclass(slots=True)
class _Side:
    end: End
    number: int = 0
    """Of its next byte; the SYN was number 0."""


def segments(tunnel: Tunnel, client: End, server: End) -> Iterator[tuple[int, bytes]]:
    """Times and packets: a handshake when it was asked for and granted, its data, its ends."""
    one, other = _Side(client), _Side(server)
    yield tunnel.opened, _packet(one, other, _SYN)
    if tunnel.answered is None:
        return
    yield tunnel.answered, _packet(other, one, _SYN | _ACK)
    yield tunnel.answered, _packet(one, other, _ACK)
    for said in tunnel.said:
        who, whom = (one, other) if said.is_clients else (other, one)
        at = max(said.nanoseconds, tunnel.answered)
        for begin in range(0, len(said.data), _MOST):
            yield at, _packet(who, whom, _PUSH | _ACK, said.data[begin : begin + _MOST])
        if not said.data:
            yield at, _packet(who, whom, _FIN | _ACK)


def _packet(source: _Side, destination: _Side, flags: int, data: bytes = b"") -> bytes:
    addresses = tuple(ipaddress.IPv4Address(side.end[0]).packed for side in (source, destination))
    acknowledged = destination.number if flags & _ACK else 0
    fields = (source.end[1], destination.end[1], source.number, acknowledged, 5 << 4, flags, _WINDOW)
    pseudo = b"".join(addresses) + bytes((0, 6)) + (_TCP.size + len(data)).to_bytes(2, "big")
    tcp = _TCP.pack(*fields, _sum(pseudo + _TCP.pack(*fields, 0, 0) + data), 0) + data
    source.number += len(data) + bool(flags & (_SYN | _FIN))
    head = (0x45, 0, _IP.size + len(tcp), 0, 0x4000, 64, 6)
    return _IP.pack(*head, _sum(_IP.pack(*head, 0, *addresses)), *addresses) + tcp


def _sum(data: bytes) -> int:
    """The Internet's checksum (RFC 1071)."""
    data += bytes(len(data) % 2)
    total: int = sum(unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
