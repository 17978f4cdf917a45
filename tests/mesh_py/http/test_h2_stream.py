"""A body held to its content-length."""

from __future__ import annotations

import pytest

from mesh_py.http.errors import BadMessage
from mesh_py.http.h2_stream import H2Stream
from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpRequest


def stream(*lengths: str) -> H2Stream:
    made = H2Stream(HttpRequest("POST", "/", "web"), 1000, 1000)
    made.expect(Headers([("content-length", length) for length in lengths]))
    return made


def test_as_announced() -> None:
    exact, free = stream("3"), stream()
    for one in (exact, free):
        one.take(2)
        one.take(1)
        one.end_in()
        assert one.ended_in


@pytest.mark.parametrize(("count", "words"), [(4, "longer"), (2, "shorter")])
def test_not_as_announced(count: int, words: str) -> None:
    made = stream("3")
    with pytest.raises(BadMessage, match=words):
        _take_and_end(made, count)


def _take_and_end(made: H2Stream, count: int) -> None:
    made.take(count)
    made.end_in()


@pytest.mark.parametrize("lengths", [("a",), ("1", "1"), ("-1",), ("\xb2",)])
def test_lengths_that_are_none(lengths: tuple[str, ...]) -> None:
    with pytest.raises(BadMessage):
        stream(*lengths)
