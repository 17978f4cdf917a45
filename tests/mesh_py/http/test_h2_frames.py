"""Where frames are cut, and which of them h2 never sees."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hbone_py import frames
from mesh_py.http.h2_frames import FrameCutter, GoAway, Overlong, Part

PING = frames.ping(bytes(8))
AWAY = frames.goaway(5, 2, b"bye")


def cut(*pieces: bytes, client: bool = True) -> list[Part]:
    cutter = FrameCutter(client=client, frame_size=16_384)
    return [part for piece in pieces for part in cutter.cut(piece)]


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        pytest.param(PING + PING, [PING + PING], id="a run"),
        pytest.param(PING + AWAY + PING, [PING, GoAway(5, 2, b"bye"), PING], id="GOAWAY between"),
        pytest.param(AWAY + AWAY, [GoAway(5, 2, b"bye")] * 2, id="GOAWAY alone"),
        pytest.param(PING + PING[:-1], [PING], id="half a frame"),
        pytest.param(PING + b"HTTP/1.1 400", [PING, Overlong(0x485454)], id="no frame"),
        pytest.param(
            frames.frame(frames.HEADERS, 0, 1) + AWAY,
            [frames.frame(frames.HEADERS, 0, 1) + AWAY],
            id="GOAWAY inside a block is h2's to refuse",
        ),
    ],
)
def test_parts(wire: bytes, expected: list[Part]) -> None:
    assert cut(wire) == expected


def test_the_preface_is_passed_on() -> None:
    assert cut(frames.PREFACE[:10], frames.PREFACE[10:] + PING, client=False) == [
        frames.PREFACE[:10],
        frames.PREFACE[10:] + PING,
    ]


def test_a_whole_read_is_not_copied() -> None:
    wire = PING * 10
    assert cut(wire)[0] is wire


@given(cuts=st.lists(st.integers(0, 100), max_size=8))
def test_how_bytes_are_cut_changes_nothing(cuts: list[int]) -> None:
    wire = PING + AWAY + PING + PING + AWAY
    edges = [0, *sorted(cuts), len(wire)]
    parts = cut(*[wire[start:end] for start, end in zip(edges, edges[1:], strict=False)])  # noqa: RUF007
    assert b"".join(part for part in parts if isinstance(part, bytes)) == PING * 3
    assert [part for part in parts if isinstance(part, GoAway)] == [GoAway(5, 2, b"bye")] * 2
