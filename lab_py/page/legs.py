"""Which chips a hop's findings name, and the line through them [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


def chip_of(finding: Mapping[str, Any]) -> str:
    """The chip that a finding is about: a device, a namespace's rules, a process."""
    where = str(finding["where"])
    return f"{where.partition(' ')[0]} rules" if finding["kind"] == "counter" else where


def claims_nothing(finding: Mapping[str, Any]) -> bool:
    """Whether it says that nothing was to be seen there: the request did not come by."""
    return str(finding["expected"]).endswith("not one packet") or str(finding["expected"]).startswith("0 (")


def legs(hops: Sequence[Mapping[str, Any]], known: Collection[str], begin: str) -> list[list[str]]:
    """The chips that each hop's line goes through, the first of them where the hop before has ended.

    The first hop's line begins at the chip `begin`.

    Rules are on the way only where a hop names nothing else; else they lie beside it.
    """
    found: list[list[str]] = []
    at = begin
    for hop in hops:
        named = [chip_of(finding) for finding in hop["findings"] if not claims_nothing(finding)]
        named = [chip for chip in dict.fromkeys(named) if chip in known]
        through = [chip for chip in named if not chip.endswith(" rules")] or named[:1]
        line = through if through[:1] == [at] else [at, *through]
        at = line[-1]
        found.append(line)
    return found
