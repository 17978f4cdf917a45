"""The user's own filters: made once, kept while their entry stays, and never half taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mesh_py.discovery.problems import ConfigError
from mesh_py.manifests.chain import UserFilter
from waypoint_py.user_filters import UserFilters

if TYPE_CHECKING:
    from pathlib import Path

CODE = """\
class One:
    def __init__(self, tag="", **more): self.tag = tag
    def on_request(self, request, info): ...
    def on_response(self, response, info): ...
class Half:
    def on_request(self, request, info): ...
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    (path := tmp_path / "own.py").write_text(CODE)
    return str(path)


def test_an_entry_that_stays_keeps_its_object(file: str) -> None:
    filters = UserFilters()
    first, second = (UserFilter(file, "One", {"tag": tag}) for tag in "ab")
    filters.take([first])
    [kept] = filters.filters
    filters.take([second, first])
    assert [one is kept for one in filters.filters] == [False, True]


@pytest.mark.parametrize("wrong", ["Half", "Nobody"])
def test_what_is_no_filter_changes_nothing(file: str, wrong: str) -> None:
    filters = UserFilters()
    filters.take([UserFilter(file, "One", {})])
    before = filters.filters
    with pytest.raises(ConfigError, match=wrong):
        filters.take([UserFilter(file, wrong, {})])
    assert filters.filters == before
