"""Quoting and times, letter by letter."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_py.telemetry.log_text import Timestamps, bare, quoted, unbroken


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", '""'),
        ("plain text", '"plain text"'),
        ("it's", '"it\'s"'),
        ('say "hi"', r'"say \"hi\""'),
        ("back\\slash", r'"back\\slash"'),
        ("a\nb\rc\td\0e", r'"a\nb\rc\td\0e"'),
        ("\x1b[31mred", r'"\u{1b}[31mred"'),
        ("\x7f", r'"\u{7f}"'),
        ("grüße", '"grüße"'),
        ("\u2028", r'"\u{2028}"'),
    ],
)
def test_strings_are_quoted_as_rust_debugs_them(text: str, line: str):
    assert quoted(text) == line


@given(st.text())
def test_no_text_leaves_its_line_or_its_quotes(text: str):
    line = quoted(text)
    assert line.isprintable()
    assert line[0] == line[-1] == '"'
    assert '"' not in line[1:-1].replace("\\\\", "").replace('\\"', "")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("10.0.0.1:80", "10.0.0.1:80"),
        ("[fd00::1]:80", "[fd00::1]:80"),
        ("web.svc:80", "web.svc:80"),
        ("a b=c", '"a b=c"'),
        ("a\nb", r'"a\nb"'),
        ("", '""'),
    ],
)
def test_bare_text_is_quoted_where_it_could_mislead(text: str, line: str):
    assert bare(text) == line


@pytest.mark.parametrize(
    ("text", "line"), [('say "hi"\\', 'say "hi"\\'), ("two\nlines", r"two\nlines"), ("\x07", r"\u{7}")]
)
def test_a_message_stays_on_its_line(text: str, line: str):
    assert unbroken(text) == line


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000000Z"),
        (1786406400.5, "2026-08-11T00:00:00.500000Z"),
        (1786406400.000001, "2026-08-11T00:00:00.000001Z"),
    ],
)
def test_times_are_utc_with_microseconds(now: float, text: str):
    assert Timestamps().format(now) == text


@given(st.lists(st.floats(min_value=0, max_value=4e9)))
def test_times_agree_with_datetime(moments: list[float]):
    timestamps = Timestamps()
    for now in moments:
        read = datetime.fromisoformat(timestamps.format(now))
        assert read.tzinfo == UTC
        assert abs(read.timestamp() - now) < 2e-6
