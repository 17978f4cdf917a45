"""All that `explain` judges by: what was seen of one request, and how everything is after it [pure]."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from lab_py.evidence.checks import CountsRule, Logs, Part, SeesPackets
from lab_py.hops.base import judge

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lab_py.evidence.checks import Check, Finding, Observed
    from lab_py.evidence.packets import Packet
    from lab_py.explain.differences import Difference
    from lab_py.hops.base import Hop, HopFound
    from lab_py.topology import Topology

NO_LINE = "no such line"


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that runs no more."""

    process: str
    namespace: str
    status: int
    said_last: str


@dataclass(frozen=True, slots=True)
class Scene:
    """One request and its surroundings."""

    topology: Topology
    hops: Sequence[Hop]
    observed: Observed
    differences: Sequence[Difference] = ()
    """Between the design and what is there."""
    drops: Mapping[str, int] = field(default_factory=dict)
    """By namespace: packets that the reverse path check dropped meanwhile."""
    ended: Sequence[Ended] = ()
    bad_certificates: Mapping[str, str] = field(default_factory=dict)
    """By pod: what is wrong with the certificate that it shows."""
    refusals: Sequence[str] = ()
    """ICMP messages, as texts."""
    probes: Sequence[HopFound] = ()
    """The nodes' health probes of their ambient pods, after the request."""

    @property
    def found(self) -> list[HopFound]:
        """Every hop, strictly judged."""
        return judge(self.hops, without_repeats(self.hops, self.observed))

    def namespaces(self, until: int) -> set[str]:
        """Where the hops up to that index take place, and the one after it."""
        checks = [check for hop in self.hops[: until + 2] for check in hop.checks]
        found = {check.namespace for check in checks if isinstance(check, SeesPackets | CountsRule)}
        return found | {check.process for check in checks if isinstance(check, Logs)}


def broken_hop(found: Sequence[HopFound]) -> int | None:
    """The index of the first hop that the request has not reached; else of the first that is not as predicted.

    A hop was reached when its SYN was seen, its rules have counted, and its proxy has written of the connection: what
    fails later shows there too, in connections that end early and in logs that tell of an error. A proxy that says
    nothing may still be waiting: what comes out of it speaks for it.
    """
    for index, one in enumerate(found):
        missed = [check for check, finding in _pairs(one) if not _is_reached(check, finding)]
        if missed and not (all(isinstance(check, Logs) for check in missed) and _is_seen(found[index + 1 :])):
            return index
    return next((index for index, one in enumerate(found) if not one.is_so), None)


def _pairs(found: HopFound) -> Iterator[tuple[Check, Finding]]:
    return zip(found.hop.checks, found.findings, strict=False)  # a probe has findings alone


def _is_seen(rest: Sequence[HopFound]) -> bool:
    """Whether the first of the hops that are left has packets."""
    return bool(rest) and any(
        isinstance(check, SeesPackets) and check.part is not Part.NOTHING and finding.observed != "nothing"
        for check, finding in _pairs(rest[0])
    )


def _is_reached(check: object, finding: Finding) -> bool:
    if isinstance(check, Logs):
        return finding.observed != NO_LINE
    if isinstance(check, SeesPackets) and check.part is Part.ALL:
        return finding.observed != "nothing"
    return finding.is_so


def without_repeats(hops: Sequence[Hop], observed: Observed) -> Observed:
    """The same as if nothing that got no answer had been tried again: then hops count what they should."""
    packets = {place: _without_repeats(seen) for place, seen in observed.packets.items()}
    if all(len(packets[place]) == len(seen) for place, seen in observed.packets.items()):
        return observed
    counters = {namespace: dict(counts) for namespace, counts in observed.counters.items()}
    for check in (check for hop in hops for check in hop.checks):
        if isinstance(check, CountsRule) and check.exactly:
            counts = counters.get(check.namespace, {})
            if check.rule in counts:
                counts[check.rule] = min(counts[check.rule], check.exactly)
    return replace(observed, packets=packets, counters=counters)


def _without_repeats(packets: Sequence[Packet]) -> list[Packet]:
    """Also without those of a proxy that tries anew, from another port."""
    seen: set[tuple[object, ...]] = set()
    found = []
    for packet in packets:
        opening = (packet.source[0], packet.destination, packet.vni)
        if packet.is_syn and opening in seen:
            continue
        seen.add(opening if packet.is_syn else ())
        found.append(packet)
    return found
