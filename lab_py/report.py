"""What `run` found, for people and for programs [pure]."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lab_py.hops.base import HopFound


def as_lines(found: Sequence[HopFound], styled: Callable[..., str]) -> Iterator[str]:
    """One block a hop: what it claims, and each observation beside what was expected.

    Args:
        styled: gives a text a style such as `green`, where colours are shown.
    """
    for one in found:
        mark = styled("ok", "green") if one.is_so else styled("NO", "red", "bold")
        yield f"{mark} {styled(f'({one.hop.number})', 'bold')} {one.hop.title}"
        for finding in one.findings:
            mark = styled("+", "green") if finding.is_so else styled("-", "red", "bold")
            yield f"     {mark} {finding.kind:<7} {finding.where}: {finding.observed}"
            if not finding.is_so:
                yield f"       {styled('expected', 'red')} {finding.expected}"


def verdict(found: Sequence[HopFound]) -> str:
    """One sentence."""
    missing = [one.hop.number for one in found if not one.is_so]
    if missing:
        return f"NOT observed as predicted: {', '.join(f'({number})' for number in missing)} of {len(found)} hops"
    return f"all {len(found)} hops observed as predicted"


def as_json(found: Sequence[HopFound], **facts: Any) -> dict[str, Any]:
    """The same as a value for JSON, beside facts of the run."""
    hops = [
        {
            "hop": one.hop.number,
            "title": one.hop.title,
            "ok": one.is_so,
            "replaces": list(one.hop.replaces),
            "findings": [
                {("ok" if name == "is_so" else name): value for name, value in asdict(finding).items()}
                for finding in one.findings
            ],
        }
        for one in found
    ]
    return {**facts, "ok": all(one.is_so for one in found), "hops": hops}
