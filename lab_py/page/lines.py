"""A hop's line: from chip to chip along the gaps between rows, and from node to node along the fabric [pure].

As in a circuit diagram: straight pieces with round corners. What a line passes behind is nothing that it touches.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from lab_py.page.layout import LANE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lab_py.page.layout import Chip

_GAP = 16
"""From a chip's middle to the gap above or below its row."""
_CORNER = 7
Point = tuple[float, float]


def line(chips: Sequence[Chip]) -> str:
    """The path through the chips, as SVG has it."""
    points = [chips[0].middle]
    for one, other in pairwise(chips):
        points += _between(one, other)
    return _rounded(_without_repeats(points))


def _between(one: Chip, other: Chip) -> Iterator[Point]:
    """The points after the first chip's own, the last of them the other's."""
    (x, y), (to_x, to_y) = one.middle, other.middle
    if one.node != other.node:
        yield from ((x, y + _GAP), (LANE, y + _GAP), (LANE, to_y - _GAP), (to_x, to_y - _GAP))
    elif abs(y - to_y) < 1:
        yield from ((x, y - _GAP), (to_x, y - _GAP))
    else:
        gap = to_y - _GAP if to_y > y else to_y + _GAP
        yield from ((x, gap), (to_x, gap))
    yield to_x, to_y


def _without_repeats(points: Iterable[Point]) -> list[Point]:
    found: list[Point] = []
    for point in points:
        if not found or point != found[-1]:
            found.append(point)
    return found


def _rounded(points: Sequence[Point]) -> str:
    text = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for before, (x, y), after in zip(points, points[1:], points[2:], strict=False):
        (from_x, from_y), (to_x, to_y) = _towards((x, y), before), _towards((x, y), after)
        text += f"L{from_x:.1f} {from_y:.1f}Q{x:.1f} {y:.1f} {to_x:.1f} {to_y:.1f}"
    return text + "".join(f"L{x:.1f} {y:.1f}" for x, y in points[1:][-1:])


def _towards(corner: Point, end: Point) -> Point:
    """Where the round corner begins: a little towards `end`, half-way at most."""
    (x, y), (to_x, to_y) = corner, end
    length = abs(to_x - x) + abs(to_y - y)  # pieces are upright or level
    share = min(_CORNER, length / 2) / length
    return x + (to_x - x) * share, y + (to_y - y) * share
