"""Ethernet frames as a capture gives them, read as far as evidence needs: TCP over IPv4, also inside Geneve [pure]."""

from __future__ import annotations

import re
from struct import Struct, unpack_from
from typing import NamedTuple

from lab_py.geneve import GeneveError, decode
from lab_py.redirect.names import GENEVE_PORT
from lab_py.topology import CONTROL_PLANE_IP

_IPV4, _ICMP, _TCP, _UDP = 0x0800, 1, 6, 17
_UNREACHABLE = 3
_REFUSALS = {
    0: "network unreachable", 1: "host unreachable", 3: "port unreachable", 4: "larger than the way takes",
    13: "forbidden",
}  # fmt: skip
HTTP, ISTIO_TLS = "HTTP", "TLS with Istio's names of protocols"
_CLIENT_HELLO = b"\x16\x03"
_REQUEST_LINE = re.compile(rb"[A-Z]{3,7} \S+ HTTP/1\.[01]\r\n")
_ETHERNET_SIZE = 14
_PORTS = Struct("!HH")
_FLAGS = (("F", 0x01), ("S", 0x02), ("R", 0x04), ("P", 0x08), (".", 0x10))


class Packet(NamedTuple):
    """One TCP segment."""

    source: tuple[str, int]
    destination: tuple[str, int]
    flags: str
    """As tcpdump writes them: `S` for a SYN, `S.` for its answer."""
    size: int
    """Bytes of the IP packet."""
    vni: int | None = None
    """The tunnel it was seen in."""
    carries: str = ""
    """What it opens, if it opens something we know: `HTTP`, `ISTIO_TLS`."""

    @property
    def is_syn(self) -> bool:
        """Whether it opens a connection."""
        return self.flags == "S"

    def __str__(self) -> str:
        (source, sport), (destination, dport) = self.source, self.destination
        inside = "" if self.vni is None else f" in Geneve {self.vni}"
        return f"{source}:{sport} > {destination}:{dport} [{self.flags}]{inside}"


def read_refusal(frame: bytes | memoryview) -> str | None:
    """What an ICMP message in a frame says cannot be reached, and to whom; None for anything else."""
    ip = _ipv4(memoryview(frame))
    if ip is None or ip[9] != _ICMP:
        return None
    message = ip[(ip[0] & 0x0F) * 4 :]
    if len(message) < 28 or message[0] != _UNREACHABLE:
        return None
    what = _REFUSALS.get(message[1], f"code {message[1]}")
    return f"ICMP from {_text(ip[12:16])} to {_text(ip[16:20])}: {_text(message[24:28])}: {what}"


class Segment(NamedTuple):
    """A TCP segment with what it carries."""

    packet: Packet
    sequence: int
    payload: bytes


def read_segment(frame: bytes | memoryview) -> Segment | None:
    """The TCP segment of a frame, whole; None for anything else, and for what is inside Geneve."""
    ip = _ipv4(memoryview(frame))
    if ip is None or ip[9] != _TCP:
        return None
    tcp = ip[(ip[0] & 0x0F) * 4 : unpack_from("!H", ip, 2)[0]]  # a short frame is padded
    if len(tcp) < 20:
        return None
    return Segment(_segment(ip, tcp), unpack_from("!I", tcp, 4)[0], bytes(tcp[(tcp[12] >> 4) * 4 :]))


def is_labs_own(packet: Packet) -> bool:
    """Whether it is no part of a request: between a proxy and the control plane, or asked by us at an application."""
    ends = (packet.source[0], packet.destination[0])
    return CONTROL_PLANE_IP in ends or ends == ("127.0.0.1", "127.0.0.1")


def read_packet(frame: bytes | memoryview) -> Packet | None:
    """The TCP segment of a frame, on its own or inside Geneve; None for anything else."""
    view = memoryview(frame)
    ip = _ipv4(view)
    if ip is None:
        return None
    payload = ip[(ip[0] & 0x0F) * 4 :]
    if ip[9] == _TCP and len(payload) >= 20:
        return _segment(ip, payload)
    if ip[9] == _UDP and len(payload) >= 8 and _PORTS.unpack_from(payload)[1] == GENEVE_PORT:
        return _inside(payload[8:])
    return None


def _ipv4(frame: memoryview) -> memoryview | None:
    if len(frame) < _ETHERNET_SIZE + 20 or unpack_from("!H", frame, 12)[0] != _IPV4:
        return None
    ip = frame[_ETHERNET_SIZE:]
    header = (ip[0] & 0x0F) * 4
    return ip if ip[0] >> 4 == 4 and 20 <= header <= len(ip) else None


def _segment(ip: memoryview, tcp: memoryview) -> Packet:
    source, destination = _PORTS.unpack_from(tcp)
    flags = "".join(letter for letter, bit in _FLAGS if tcp[13] & bit)
    size: int = unpack_from("!H", ip, 2)[0]
    carries = _opened(bytes(tcp[(tcp[12] >> 4) * 4 :]))
    return Packet((_text(ip[12:16]), source), (_text(ip[16:20]), destination), flags, size, carries=carries)


def _opened(payload: bytes) -> str:
    """Of TLS only a ClientHello can be read; it names its protocols in the clear."""
    if payload.startswith(_CLIENT_HELLO) and b"istio" in payload:
        return ISTIO_TLS
    return HTTP if _REQUEST_LINE.match(payload) else ""


def _inside(payload: memoryview) -> Packet | None:
    try:
        tunnelled = decode(payload)
    except GeneveError:
        return None
    found = read_packet(tunnelled.frame)
    return None if found is None else found._replace(vni=tunnelled.vni)


def _text(address: memoryview) -> str:
    return ".".join(map(str, address))
