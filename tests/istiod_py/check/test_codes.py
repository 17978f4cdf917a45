"""The table of codes, and the page that is written from it."""

from __future__ import annotations

import re

import pytest

from istiod_py.check.codes import ABSENCES, CHAPTERS, CODES, SYNTAX, Severity, _code
from istiod_py.check.codes_page import codes_page
from mesh_py.manifests.metadata import Place
from tests.support.source_tree import ROOT


def test_codes_are_unique_numbered_in_order_and_in_a_chapter() -> None:
    names = list(CODES)
    assert names == sorted(names)
    assert all(re.fullmatch(r"HM\d{3}", name) and name[:3] in CHAPTERS for name in names)
    assert len({code.meaning for code in CODES.values()}) == len(CODES)
    assert all(code.meaning.endswith(".") for code in CODES.values())


def test_a_code_is_given_once() -> None:
    with pytest.raises(ValueError, match="HM001 is taken"):
        _code("HM001", Severity.ERROR, "Something else.")


def test_absences_are_codes() -> None:
    assert set(CODES.values()) >= ABSENCES


def test_a_finding_is_one_line() -> None:
    assert str(SYNTAX.at(Place("f", 1, 2), "what", "advice")) == "f:1:2: error HM001: what; advice"
    assert str(SYNTAX.at(Place("f", 1, 2), "what")) == "f:1:2: error HM001: what"


def test_the_page_is_what_the_table_says() -> None:
    """Otherwise: python -c 'from istiod_py.check.codes_page import codes_page; print(codes_page(), end="")'."""
    assert (ROOT / "docs/istiod-checks.md").read_text() == codes_page()
