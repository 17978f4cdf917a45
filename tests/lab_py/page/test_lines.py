"""The line between chips: upright and level pieces, and the fabric from node to node."""

from __future__ import annotations

import itertools
import re

import pytest

from lab_py.page.layout import LANE, Chip
from lab_py.page.lines import line

HERE = Chip("pod eth0", "eth0", "device", 10, 100, 40, "node-a")
BESIDE = Chip("pod lo", "lo", "device", 60, 100, 40, "node-a")
BELOW = Chip("node-a v-zt", "v-zt", "device", 60, 160, 40, "node-a")
ELSEWHERE = Chip("other eth0", "eth0", "device", 60, 400, 40, "node-b")


def points(way: str) -> list[tuple[float, float]]:
    """Ends of pieces, and the corners between them."""
    return [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+) (-?[\d.]+)", way)]


@pytest.mark.parametrize("chips", [[HERE, BESIDE], [HERE, BELOW], [HERE, ELSEWHERE], [BELOW, HERE, ELSEWHERE]])
def test_it_begins_and_ends_at_chips(chips: list[Chip]) -> None:
    found = points(line(chips))
    assert (found[0], found[-1]) == (chips[0].middle, chips[-1].middle)


def test_between_nodes_it_goes_along_the_fabric() -> None:
    assert LANE in [x for x, _ in points(line([HERE, ELSEWHERE]))]
    assert LANE not in [x for x, _ in points(line([HERE, BELOW]))]


def test_every_piece_is_upright_or_level() -> None:
    found = points(line([HERE, BELOW, ELSEWHERE]))
    assert all(x == to_x or y == to_y for (x, y), (to_x, to_y) in itertools.pairwise(found))


def test_a_chip_alone_is_a_point() -> None:
    assert line([HERE]) == "M30.0 111.0"
