"""The tables of a profile find their place in the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.processes import BenchmarkError
from benchmarks.profile import DOCUMENT, PROFILES, source_line, write_document
from benchmarks.scenarios import SCENARIOS

if TYPE_CHECKING:
    from pathlib import Path

BEGIN, END = "<!-- made by `make profile`: begin -->", "<!-- made by `make profile`: end -->"
FOUND = {"connect": {"title": "new tunnels", "unit": "us per operation", "steps": {"system calls: send": 20.0}}}


def test_tables_take_the_place_of_those_before(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for _ in range(2):
        write_document(FOUND, page)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert text.count("New tunnels:") == 1
    assert "old" not in text
    assert "| system calls: send   | 20.0             | 100 % |" in text


def test_a_page_without_their_place_is_told(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing\n")
    with pytest.raises(BenchmarkError, match=r"page\.md has no place for the tables"):
        write_document(FOUND, page)


def test_our_own_page_has_their_place_and_profiles_name_scenarios() -> None:
    assert DOCUMENT.read_text().count(BEGIN) == DOCUMENT.read_text().count(END) == 1
    assert set(PROFILES.values()) <= {scenario.name for scenario in SCENARIOS}


def test_source_lines_are_ours_or_the_standard_library_s() -> None:
    assert source_line("benchmarks/profile.py", 1).startswith('"""Where our proxies')
    assert source_line("asyncio/runners.py", 1)
    assert source_line("nowhere.py", 1) == ""
