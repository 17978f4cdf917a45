"""The table itself: no name twice, every default can be written and read, and a page that says the same."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from istiod_py import settings_table as table
from istiod_py.settings_table import TABLE
from mesh_py.identity.tokens import AUDIENCE
from mesh_py.manifests.addresses import AddressRanges
from mesh_py.rpc.server import ServerLimits
from mesh_py.settings.page import settings_page
from tests.support.source_tree import ROOT

if TYPE_CHECKING:
    from mesh_py.settings.setting import Setting


def test_no_name_and_no_flag_is_taken_twice() -> None:
    names = Counter(name for setting in TABLE.all for name in (setting.name, *setting.also))
    flags = Counter(setting.option for setting in TABLE.all)
    assert [name for name, count in (names + flags).items() if count > 1] == []


@pytest.mark.parametrize("setting", TABLE.all, ids=lambda setting: setting.name)
def test_a_setting_can_be_explained(setting: Setting[object]) -> None:
    assert setting.meaning.endswith((".", "..."))
    assert setting.option.startswith("--")


@pytest.mark.parametrize("setting", TABLE.all, ids=lambda setting: setting.name)
def test_a_default_can_be_written_and_read(setting: Setting[object]) -> None:
    if setting.default is not None:
        assert setting.kind.read(setting.kind.write(setting.default)) == setting.default


def test_defaults_that_are_said_elsewhere_too_are_the_same() -> None:
    assert table.TOKEN_AUDIENCES.default == (AUDIENCE,)
    assert table.CONNECTION_AGE.default == ServerLimits().age
    assert (table.POD_CIDR.default, table.SERVICE_CIDR.default, table.SERVICE_ENTRY_CIDR.default) == (
        AddressRanges().pods,
        AddressRanges().services,
        AddressRanges().hosts,
    )
    assert table.MOST_CONNECTIONS.default == ServerLimits().connections


@pytest.mark.parametrize(
    ("text", "accounts"),
    [("", ()), ("a/b", ("a/b",)), ("a/b, c/d", ("a/b", "c/d"))],
)
def test_accounts(text: str, accounts: tuple[str, ...]) -> None:
    assert table.ACCOUNTS.read(text) == accounts


@pytest.mark.parametrize("text", ["a", "a/b/c", "/b", "a/"])
def test_what_is_no_account(text: str) -> None:
    with pytest.raises(ValueError, match="namespace/service-account"):
        table.ACCOUNTS.read(text)


def test_names_have_no_slashes() -> None:
    assert table.NAMES.read("istiod.example, 192.0.2.1") == ("istiod.example", "192.0.2.1")
    with pytest.raises(ValueError, match="list of names"):
        table.NAMES.read("https://istiod.example")


def test_the_page_of_the_documentation_says_the_same() -> None:
    assert settings_page(TABLE, "istiod") in (ROOT / "docs" / "control-plane.md").read_text()
