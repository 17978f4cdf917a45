"""The picture as SVG: boxes, lines, labels, chips, in this order: nothing that is to be read is drawn over [pure]."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from lab_py.page.layout import LANE, WIDTH, lay_out
from lab_py.page.legs import chip_of, claims_nothing, legs
from lab_py.page.lines import line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lab_py.page.layout import Box, Chip, Layout


def drawing(data: Mapping[str, Any]) -> str:
    """The element; lines and chips name their hops, for the script and the style."""
    begin = f"app-{data['topology']['request']['from']}"
    return "\n".join(_parts(lay_out(data["topology"]), data["hops"], begin))


def _parts(layout: Layout, hops: Sequence[Mapping[str, Any]], begin: str) -> Iterator[str]:
    label = "Nodes, pods and devices, and the request's way through them; the list of hops says the same in words"
    yield f'<svg viewBox="0 0 {WIDTH} {layout.height:.0f}" role="img" aria-label="{label}">'
    yield from map(_frame, layout.boxes)
    yield from _fabric(layout)
    for hop, leg in zip(hops, legs(hops, layout.chips.keys(), begin), strict=True):
        way = line([layout.chips[key] for key in leg])
        state = "" if hop["ok"] else " bad"
        yield f'<path class="leg{state}" data-hop="{escape(hop["hop"])}" d="{way}"/>'
    yield from map(_label, layout.boxes)
    for chip in layout.chips.values():
        touched = [hop["hop"] for hop in hops if _comes_by(hop, chip)]
        yield _chip(chip, touched)
    yield '<g class="dot away"><circle r="9"/><text y="3.5" text-anchor="middle"></text></g></svg>'


def _comes_by(hop: Mapping[str, Any], chip: Chip) -> bool:
    return any(chip_of(finding) == chip.key and not claims_nothing(finding) for finding in hop["findings"])


def _fabric(layout: Layout) -> Iterator[str]:
    """What joins the nodes: each by its eth0, drawn beside them."""
    plugs = [chip for chip in layout.chips.values() if chip.key == f"{chip.node} eth0"]
    if plugs:
        top, bottom = plugs[0].middle[1], plugs[-1].middle[1]
        yield f'<path class="fabric" d="M{LANE} {top:.1f}V{bottom:.1f}"/>'
    for chip in plugs:
        yield f'<path class="plug" d="M{chip.middle[0]:.1f} {chip.middle[1]:.1f}H{LANE}"/>'


def _frame(box: Box) -> str:
    frame = f'x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="8"'
    return f'<rect class="box {escape(box.kind)}" {frame}/>'


def _label(box: Box) -> str:
    kind = {"node": "", "ztunnel": "ztunnel pod"}.get(box.kind, box.kind)
    note = f"{kind} · {box.note}" if kind else box.note
    name = f'<text class="name" x="{box.x + 10:.1f}" y="{box.y + 17:.1f}">{escape(box.name)}</text>'
    if box.kind == "node":
        where = f'x="{box.x + box.width - 10:.1f}" y="{box.y + 17:.1f}" text-anchor="end"'
    else:
        where = f'x="{box.x + 10:.1f}" y="{box.y + 32:.1f}"'
    small = f'<text class="note" {where}>{escape(note)}</text>'
    return f"{name}{small}"


def _chip(chip: Chip, hops: Sequence[str]) -> str:
    x, y = chip.middle
    corner = 4 if chip.kind == "rules" else 11
    frame = f'x="{chip.x:.1f}" y="{chip.y:.1f}" width="{chip.width:.1f}" height="22" rx="{corner}"'
    text = f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle">{escape(chip.text)}</text>'
    return f'<g class="chip {chip.kind}" data-hops=" {escape(" ".join(hops))} "><rect {frame}/>{text}</g>'
