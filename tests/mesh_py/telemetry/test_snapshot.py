"""Snapshots: there and back, and added up."""

from __future__ import annotations

import msgspec
import pytest

from mesh_py.telemetry.instruments import Family
from mesh_py.telemetry.snapshot import (
    SeriesCounts,
    Snapshot,
    SnapshotError,
    decode_snapshot,
    encode_snapshot,
    merge,
    retire,
)


def series(labels: str, opened: int, closed: dict[str, int], received: int = 0, sent: int = 0) -> SeriesCounts:
    return SeriesCounts((labels,), opened, closed, received, sent)


def sample() -> Snapshot:
    histogram = Family("h", "histogram", "H", ("l",), {("x",): [1, 0, 2, 3.5]}, (0.1, 1.0))
    gauge = Family("g", "gauge", "G", (), {(): [7]})
    counter = Family("c", "counter", "C", (), {(): [2]})
    return Snapshot([series("a", 5, {"-": 2, "DENY": 1}, 10, 20)], [histogram, gauge, counter])


def test_there_and_back():
    assert decode_snapshot(encode_snapshot(sample())) == sample()


@pytest.mark.parametrize("data", [b"", b"\x01", b"hello", msgspec.msgpack.encode({"traffic": 3})])
def test_other_bytes_are_no_snapshot(data: bytes):
    with pytest.raises(SnapshotError, match="not a snapshot"):
        decode_snapshot(data)


def test_another_versions_snapshot_is_refused():
    data = msgspec.msgpack.encode(Snapshot([], [], shape=99))
    with pytest.raises(SnapshotError, match="shape 99"):
        decode_snapshot(data)


def test_counts_of_processes_add_up():
    other = Snapshot([series("a", 1, {"-": 1}, 1, 2), series("b", 3, {})], [Family("g", "gauge", "G", (), {(): [1]})])
    merged = merge([sample(), other])
    assert merged.traffic == [series("a", 6, {"-": 3, "DENY": 1}, 11, 22), series("b", 3, {})]
    assert {family.name: family.samples for family in merged.families} == {
        "h": {("x",): [1, 0, 2, 3.5]},
        "g": {(): [8]},
        "c": {(): [2]},
    }


def test_merging_leaves_its_parts_alone():
    one, other = sample(), sample()
    merge([one, other])
    assert one == other == sample()


def test_nothing_merged_is_nothing():
    assert merge([]) == Snapshot([], [])


def test_a_retired_process_keeps_its_counters_and_no_connection():
    retired = retire(sample())
    assert retired.traffic == [series("a", 5, {"-": 4, "DENY": 1}, 10, 20)]
    assert [family.name for family in retired.families] == ["h", "c"]
