"""The table itself: no name twice, defaults that can be written and read, and a page that says the same."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from mesh_py.settings.page import settings_page
from tests.support.source_tree import ROOT
from waypoint_py.settings_table import TABLE

if TYPE_CHECKING:
    from mesh_py.settings.setting import Setting


def test_no_name_and_no_flag_is_taken_twice() -> None:
    names = Counter(name for setting in TABLE.all for name in (setting.name, *setting.also))
    flags = Counter(setting.option for setting in TABLE.all)
    assert [name for name, count in (names + flags).items() if count > 1] == []


@pytest.mark.parametrize("setting", TABLE.all, ids=lambda setting: setting.name)
def test_a_default_can_be_written_and_read(setting: Setting[object]) -> None:
    assert setting.meaning.endswith((".", ")"))
    if setting.default is not None:
        assert setting.kind.read(setting.kind.write(setting.default)) == setting.default


def test_the_page_of_the_documentation_is_the_table() -> None:
    # To renew it: python -m waypoint_py config page
    assert settings_page(TABLE, "istio-proxy") in (ROOT / "docs" / "waypoint-configuration.md").read_text()
