"""A run, one hop at a time: what the hop is, what makes it, what was observed of it [pure]."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Any

from lab_py.explain.meanings import MEANINGS, meaning_of
from lab_py.redirect.plan import redirections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lab_py.topology import Topology

WIDTH = 100
MOST_PACKETS = 8
"""Of one hop; `--pcap` and `--html` have all of them."""
_ROUTE = re.compile(r"\b(rule|table) (\d+)")
_IDENTITY = re.compile(r"\b(src|dst)\.identity=(spiffe://\S+)|\bURI=(spiffe://[^;,\s]+)")
_WHO = {"src": "the caller showed the certificate of", "dst": "it showed that of", None: "it was told of"}

Told = dict[str, Any]


def hop_lines(run: Told, topology: Topology, index: int, styled: Callable[..., str]) -> Iterator[str]:
    """One hop of what `run -o json` prints, in lines of at most 100 characters.

    Args:
        styled: gives a text a style such as `green`, where colours are shown.
    """
    hop = run["hops"][index]
    mark = styled("observed", "green") if hop["ok"] else styled("NOT observed as predicted", "red", "bold")
    name = styled(f"hop ({hop['hop']})", "bold")
    yield f"{name} of {len(run['hops'])}: {mark}"
    yield from _wrapped(f"{hop['title']}.")
    for name, lines in (
        ("what makes it", _makers(run, topology, hop)),
        ("who is known, by TLS", _identities(hop)),
        ("what was observed", _findings(hop, styled)),
        ("its packets", _packets(run, hop)),
    ):
        shown = list(lines)
        if shown:
            yield f"  {styled(name, 'bold')}"
            yield from shown


def _makers(run: Told, topology: Topology, hop: Told) -> Iterator[str]:
    """Devices, rules as iptables takes them, and routes that the hop's title speaks of."""
    found = hop["findings"]
    devices = dict.fromkeys(one["where"] for one in found if one["kind"] == "packet")
    if devices:
        yield from _wrapped(f"devices: {', '.join(devices)}", "  ")
    namespaces = {one["where"].split()[0] for one in found}
    for plan in redirections(topology):
        wanted = {f"{kind}-{number}" for kind, number in _ROUTE.findall(hop["title"])}
        for step in plan.steps:
            if plan.namespace in namespaces and any(f"{step.name}-".startswith(f"{name}-") for name in wanted):
                yield from _wrapped(f"{plan.namespace}: ip {step.line}", "  ")
    for where in dict.fromkeys(one["where"] for one in found if one["kind"] == "counter"):
        if where in run["rules"]:
            yield from _wrapped(f"{where}: iptables {run['rules'][where]}", "  ")
            name = where.split()[-1]
            if name in MEANINGS:
                yield from _wrapped(f"without it: {meaning_of(name)}", "    ")


def _identities(hop: Told) -> Iterator[str]:
    for one in hop["findings"]:
        for end, named, told in _IDENTITY.findall(one["observed"]):
            yield from _wrapped(f"{one['where']}: {_WHO[end or None]} {named or told}", "  ")


def _findings(hop: Told, styled: Callable[..., str]) -> Iterator[str]:
    for one in hop["findings"]:
        sign = styled("+", "green") if one["ok"] else styled("-", "red", "bold")
        head, *rest = _wrapped(f"{one['kind']} {one['where']}: {one['observed']}", "    ")
        yield f"    {sign} {head[6:]}"
        yield from rest
        if not one["ok"]:
            yield from _wrapped(f"expected {one['expected']}", "    ")


def _packets(run: Told, hop: Told) -> Iterator[str]:
    found = [
        (packet["ms"], place, packet["text"])
        for place, packets in run["packets"].items()
        for packet in packets
        if hop["hop"] in packet["hops"]
    ]
    for milliseconds, place, text in sorted(found)[:MOST_PACKETS]:
        yield from _wrapped(f"{milliseconds:>8.3f} ms  {place:<20} {text}", "  ")
    if len(found) > MOST_PACKETS:
        yield f"  ... and {len(found) - MOST_PACKETS} more"


def _wrapped(text: str, indent: str = "") -> Sequence[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=f"  {indent}" if indent else "  ", subsequent_indent=f"  {indent}  ",
        break_on_hyphens=False, replace_whitespace=False, drop_whitespace=True,
    )  # fmt: skip
