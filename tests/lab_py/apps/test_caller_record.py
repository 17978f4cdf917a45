"""The record by itself: its bound, and how headers are merged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab_py.apps import caller_record
from lab_py.apps.caller_record import Call, CallerRecord, joined

if TYPE_CHECKING:
    from collections.abc import Sequence


def call(path: str) -> Call:
    return Call("2026-01-01T00:00:00Z", "127.0.0.1:1", "127.0.0.1:2", "GET", path, {})


def test_the_oldest_calls_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caller_record, "RING", 2)
    record = CallerRecord()
    for path in ("/1", "/2", "/3"):
        record.add(call(path))
    assert [kept.path for kept in record.calls()] == ["/2", "/3"]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param([], {}, id="none"),
        pytest.param([("A", "1"), ("B", "2")], {"A": "1", "B": "2"}, id="all different"),
        pytest.param([("X-A", "1"), ("x-a", "2")], {"X-A": "1,2"}, id="the first spelling stays"),
    ],
)
def test_headers_as_a_mapping(headers: Sequence[tuple[str, str]], expected: dict[str, str]) -> None:
    assert joined(headers) == expected
