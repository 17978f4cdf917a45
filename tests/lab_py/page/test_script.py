"""The script: no more than the page lets it do. What it does is judged in a browser (`test_document`)."""

from __future__ import annotations

import re

from lab_py.page.script import SCRIPT


def test_it_asks_nobody_and_writes_no_markup() -> None:
    assert not re.findall(r"fetch|XMLHttpRequest|import\(|innerHTML|eval|https?:", SCRIPT)


def test_it_cannot_end_its_own_element() -> None:
    assert "</" not in SCRIPT
