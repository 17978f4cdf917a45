"""Where a new tunnel goes: beside other small ones, and not beside bulk."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from hbone_py.placement import BULK_BYTES, LINGER, SPAN, BulkMeter, choose

PIECE = BULK_BYTES // 4


NOW = 5000.0


@dataclass(slots=True)
class Connection:
    tunnels: int
    is_stalled: bool = False
    meter: BulkMeter = field(default_factory=BulkMeter)


def quiet(tunnels: int = 1) -> Connection:
    return Connection(tunnels)


def bulk(tunnels: int = 1) -> Connection:
    connection = Connection(tunnels)
    connection.meter.moved(BULK_BYTES, NOW)
    return connection


def stalled(tunnels: int = 1) -> Connection:
    return Connection(tunnels, is_stalled=True)


@pytest.mark.parametrize(
    ("connections", "may_connect", "expected"),
    [
        pytest.param([], True, None, id="nothing yet: connect"),
        pytest.param([], False, None, id="nothing, and nothing to be had"),
        pytest.param([quiet()], True, 0, id="one connection is enough"),
        pytest.param([quiet(99)], True, 0, id="however many tunnels it has"),
        pytest.param([quiet(9), quiet(1)], True, 0, id="the first, so that the second falls idle"),
        pytest.param([bulk()], True, None, id="only bulk: connect"),
        pytest.param([bulk(), quiet()], True, 1, id="not beside bulk"),
        pytest.param([stalled(), quiet()], True, 1, id="nor on a full socket"),
        pytest.param([bulk(), bulk(), quiet(50)], False, 2, id="not even where nobody may connect"),
        pytest.param([bulk(), bulk()], True, None, id="all bulk: connect"),
        pytest.param([bulk(3), bulk(2), bulk(4)], False, 1, id="all bulk and enough of them: the least used"),
    ],
)
def test_where_the_next_tunnel_goes(connections: list[Connection], may_connect: bool, expected: int | None) -> None:
    chosen = choose(connections, NOW, lambda connection: connection.tunnels, may_connect=may_connect)
    assert chosen is (None if expected is None else connections[expected])


@pytest.mark.parametrize(
    ("pieces", "at", "expected"),
    [
        pytest.param([], 1000.0, False, id="nothing"),
        pytest.param([(0.0, PIECE)] * 3, 0.0, False, id="one large answer"),
        pytest.param([(0.0, PIECE)] * 4, 0.0, True, id="enough at once"),
        pytest.param([(SPAN * part / 4, PIECE) for part in range(4)], SPAN, True, id="enough in one span"),
        pytest.param([(2.0 * SPAN * part, PIECE) for part in range(40)], 80 * SPAN, False, id="a steady trickle"),
        pytest.param([(0.0, BULK_BYTES)], LINGER * 0.99, True, id="a pause"),
        pytest.param([(0.0, BULK_BYTES)], LINGER, False, id="an end"),
        pytest.param([(0.0, BULK_BYTES), (LINGER * 0.9, BULK_BYTES)], LINGER * 1.5, True, id="a pause, and more"),
        pytest.param([(0.0, BULK_BYTES), (9.0, PIECE)], 9.0, False, id="long ago"),
    ],
)
def test_what_counts_as_bulk(pieces: list[tuple[float, int]], at: float, expected: bool) -> None:
    meter = BulkMeter()
    for when, count in pieces:
        meter.moved(count, NOW + when)
    assert meter.is_bulk(NOW + at) is expected
