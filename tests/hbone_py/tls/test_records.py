"""Record boundaries, whatever pieces the network makes of the stream."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hbone_py.tls.records import FULL_RECORD, LARGEST_BODY, RecordCounter

FULL_BODY = FULL_RECORD - 5


def record(body: int, kind: int = 23) -> bytes:
    return bytes([kind, 3, 3]) + body.to_bytes(2) + bytes(body)


@pytest.mark.parametrize(
    ("stream", "records"),
    [
        pytest.param(b"", 0, id="nothing"),
        pytest.param(record(1), 1, id="the smallest record"),
        pytest.param(record(73), 1, id="one record"),
        pytest.param(record(73)[:-1], 0, id="one byte short"),
        pytest.param(record(73)[:4], 0, id="not even a header"),
        pytest.param(record(73)[:5], 0, id="a header alone"),
        pytest.param(record(0), 1, id="an empty record"),
        pytest.param(record(73) + record(2)[:3], 1, id="one and a piece of a header"),
        pytest.param(record(7, 21) + record(7, 22) + record(7, 20), 3, id="every kind of record"),
        pytest.param(record(FULL_BODY) * 16, 16, id="bulk"),
        pytest.param(record(FULL_BODY) * 15 + record(900), 16, id="bulk and a rest"),
        pytest.param(record(FULL_BODY) * 3 + record(FULL_BODY)[:-1], 3, id="bulk cut short"),
        pytest.param(record(LARGEST_BODY)[:-1], 0, id="the largest there can be"),
        pytest.param(record(LARGEST_BODY + 1)[:5], 1, id="too large: an error to be read"),
        pytest.param(b"GET / HTTP/1.1", 1, id="no record at all: an error to be read"),
    ],
)
def test_one_piece(stream, records):
    assert RecordCounter().count(stream, len(stream)) == records


def test_only_the_stated_bytes_count():
    assert RecordCounter().count(record(10) + record(10), 15) == 1


def test_an_impossible_header_in_two_pieces_is_an_error_to_be_read():
    counter = RecordCounter()
    assert counter.count(b"GE", 2) == 0
    assert counter.count(b"T / ", 4) >= 1


bodies = st.lists(st.sampled_from([0, 1, 17, 73, 300, FULL_BODY]), max_size=12)


@given(bodies, st.lists(st.sampled_from([1, 2, 4, 5, 6, 22, 78, 1000, FULL_RECORD, 40_000])))
def test_pieces_add_up_to_the_whole(sizes, pieces):
    """After every piece: exactly the records that end within what was seen so far."""
    stream = b"".join(map(record, sizes))
    ends = [sum(5 + body for body in sizes[: n + 1]) for n in range(len(sizes))]
    counter, seen, counted = RecordCounter(), 0, 0
    for piece in [*pieces, len(stream)]:
        data = memoryview(stream)[seen : seen + piece]
        counted += counter.count(data, len(data))
        seen += len(data)
        assert counted == sum(end <= seen for end in ends)
        assert counter.is_inside == (seen not in (0, *ends))
    assert counted == len(sizes)
