"""The picture as SVG: boxes, lines, labels, chips, in this order: nothing that is to be read is drawn over [pure]."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from lab_py.page.layout import WIDTH, lay_out
from lab_py.page.legs import chip_of, claims_nothing, legs

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
    for hop, leg in zip(hops, legs(hops, layout.chips.keys(), begin), strict=True):
        points = [layout.chips[key].middle for key in leg]
        yield f'<path class="leg" data-hop="{escape(hop["hop"])}" d="{_line(points)}"/>'
    yield from map(_label, layout.boxes)
    for chip in layout.chips.values():
        touched = [hop["hop"] for hop in hops if _comes_by(hop, chip)]
        yield _chip(chip, touched)
    yield '<circle class="dot" r="6" cx="-20" cy="-20"/></svg>'


def _comes_by(hop: Mapping[str, Any], chip: Chip) -> bool:
    return any(chip_of(finding) == chip.key and not claims_nothing(finding) for finding in hop["findings"])


def _line(points: Sequence[tuple[float, float]]) -> str:
    """Through the points, each bend rounded by leaving and arriving upright."""
    (x, y), text = points[0], ""
    for to_x, to_y in points[1:]:
        middle = (y + to_y) / 2 if abs(y - to_y) > 1 else y - 22
        text += f" C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}"
        x, y = to_x, to_y
    return f"M{points[0][0]:.1f} {points[0][1]:.1f}{text}"


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
