"""A hop, and a whole path of them with the findings of a request [pure]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab_py.evidence.checks import SeesPackets
from lab_py.evidence.travel import Travelled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab_py.evidence.checks import Check, Finding, Observed, Place


@dataclass(frozen=True, slots=True)
class Hop:
    """One numbered arrow."""

    number: str
    """As in the post: `1`; `S1 (1)` in the notes is scenario 1's."""
    title: str
    checks: tuple[Check, ...]
    replaces: tuple[str, ...] = ()
    """Of today's design: the numbers of 1.18's arrows in whose place it stands."""


@dataclass(frozen=True, slots=True)
class HopFound:
    """A hop after the fact."""

    hop: Hop
    findings: tuple[Finding, ...]

    @property
    def is_so(self) -> bool:
        """Whether all of it was observed."""
        return all(finding.is_so for finding in self.findings)


def judge(hops: Sequence[Hop], observed: Observed) -> list[HopFound]:
    """What was observed of each hop."""
    return [HopFound(hop, tuple(check.judge(observed) for check in hop.checks)) for hop in hops]


def places_of(hops: Sequence[Hop]) -> Iterator[Place]:
    """Where packets must be captured for the hops' checks."""
    for hop in hops:
        for check in hop.checks:
            if isinstance(check, SeesPackets):
                yield check.namespace, check.device
            if isinstance(check, Travelled):
                yield from check.places
