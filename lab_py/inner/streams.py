"""All that went through the tunnels of a run, as packets with times and comments [pure]."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab_py.inner.segments import segments
from lab_py.inner.tcp_bytes import conversations
from lab_py.inner.tls_records import opened, read_key_log
from lab_py.inner.tunnels import tunnels
from lab_py.redirect.names import HBONE_PORT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lab_py.evidence.capture import Frame
    from lab_py.evidence.checks import Place
    from lab_py.evidence.recording import Sighting
    from lab_py.hops.base import Hop
    from lab_py.inner.tcp_bytes import Conversation, End
    from lab_py.inner.tunnels import Tunnel


@dataclass(frozen=True, slots=True)
class InnerPacket:
    """One that never was on any device: it was inside a tunnel."""

    nanoseconds: int
    data: bytes
    """From the IP header on."""
    comments: tuple[str, ...] = ()


def inner_packets(
    frames: Mapping[Place, Sequence[Frame]], sightings: Iterable[Sighting], secrets: Iterable[bytes]
) -> list[InnerPacket]:
    """What was inside every HBONE connection whose secrets are known, in the order of time."""
    known, hops = read_key_log(secrets), _hops_by_ends(sightings)
    found: list[InnerPacket] = []
    for one in conversations(frames, HBONE_PORT):
        for tunnel in tunnels(*opened(one, known)):
            found += _packets(tunnel, one, hops.get((one.client, one.server), ()))
    return sorted(found, key=lambda packet: packet.nanoseconds)


def _packets(tunnel: Tunnel, around: Conversation, hops: Iterable[Hop]) -> Iterator[InnerPacket]:
    """Its client's port is the connection's, for the first stream of it; each further one has the next."""
    server = _destination(tunnel, around)
    if server is None:
        return
    client = around.client[0], (around.client[1] + tunnel.stream // 2) % 0x1_0000
    ends = " > ".join(f"{ip}:{port}" for ip, port in (around.client, around.server))
    comments = [f"inside {ends}, stream {tunnel.stream}: CONNECT {tunnel.authority}"]
    comments += [f"inside hop ({hop.number}): {hop.title}" for hop in hops]
    for nanoseconds, data in segments(tunnel, client, server):
        yield InnerPacket(nanoseconds, data, tuple(comments))


def _destination(tunnel: Tunnel, around: Conversation) -> End | None:
    """Who was asked for; a name stands for whoever the tunnel led to."""
    host, _, port = tunnel.authority.rpartition(":")
    if not port.isdigit() or int(port) > 0xFFFF:
        return None
    try:
        return str(ipaddress.IPv4Address(host)), int(port)
    except ValueError:
        return around.server[0], int(port)


def _hops_by_ends(sightings: Iterable[Sighting]) -> dict[tuple[End, End], list[Hop]]:
    """Which hops a connection's packets bear out, by its client and server."""
    found: dict[tuple[End, End], list[Hop]] = {}
    for one in sightings:
        if one.packet is not None:
            hops = found.setdefault((one.packet.source, one.packet.destination), [])
            hops += [hop for hop in one.hops if hop not in hops]
    return found
