"""All that was captured of a request, as one list in the order of time; each frame with the hops it proves [pure]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab_py.evidence.checks import Part, SeesPackets
from lab_py.evidence.packets import is_labs_own, read_packet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lab_py.evidence.capture import Frame
    from lab_py.evidence.checks import Place
    from lab_py.evidence.packets import Packet
    from lab_py.hops.base import Hop


@dataclass(frozen=True, slots=True)
class Sighting:
    """One frame at one device."""

    place: Place
    frame: Frame
    packet: Packet | None
    """None: no TCP over IPv4."""
    hops: tuple[Hop, ...]
    """Those whose claims it bears out."""


def in_order(frames: Mapping[Place, Sequence[Frame]], hops: Sequence[Hop]) -> list[Sighting]:
    """Every frame of every place, but for the lab's own business. A tie goes to the place that was named first."""
    found = [_sighting(place, frame, hops) for place, seen in frames.items() for frame in seen]
    of_requests = [one for one in found if one.packet is None or not is_labs_own(one.packet)]
    return sorted(of_requests, key=lambda one: one.frame.nanoseconds)


def _sighting(place: Place, frame: Frame, hops: Sequence[Hop]) -> Sighting:
    packet = read_packet(frame.data)
    proved = () if packet is None else tuple(hop for hop in hops if any(_proves(packet, place, hop)))
    return Sighting(place, frame, packet, proved)


def _proves(packet: Packet, place: Place, hop: Hop) -> Iterator[bool]:
    for check in hop.checks:
        if isinstance(check, SeesPackets) and (check.namespace, check.device) == place:
            yield check.flow.matches(packet) and _is_of(packet, check.part)


def _is_of(packet: Packet, part: Part) -> bool:
    match part:
        case Part.ALL:
            return True
        case Part.SYN | Part.ONLY_SYN:
            return packet.is_syn
        case Part.REST:
            return not packet.is_syn
        case Part.ANSWER:
            return packet.flags == "S."
        case Part.NOTHING:
            return False
