"""The table itself: no name twice, defaults that are the libraries' own, and a page that says the same."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from hbone_py import Deadlines, Http2Config, Keepalive
from hbone_py.aio.tcp import SocketOptions
from mesh_py.settings.page import settings_page
from tests.support.source_tree import ROOT
from ztunnel_py import settings_table as table
from ztunnel_py.settings_table import TABLE

if TYPE_CHECKING:
    from mesh_py.settings.setting import Setting


def test_no_name_and_no_flag_is_taken_twice() -> None:
    names = Counter(name for setting in TABLE.all for name in (setting.name, *setting.also))
    flags = Counter(setting.option for setting in TABLE.all)
    assert [name for name, count in (names + flags).items() if count > 1] == []


@pytest.mark.parametrize("setting", TABLE.all, ids=lambda setting: setting.name)
def test_a_setting_can_be_explained(setting: Setting[object]) -> None:
    assert setting.meaning.endswith((".", ")"))
    assert setting.option.startswith("--")


@pytest.mark.parametrize("setting", TABLE.all, ids=lambda setting: setting.name)
def test_a_default_can_be_written_and_read(setting: Setting[object]) -> None:
    if setting.default is not None:
        assert setting.kind.read(setting.kind.write(setting.default)) == setting.default


@pytest.mark.parametrize(
    ("setting", "default"),
    [
        # The table must be quick to load, so it repeats what the library says.
        pytest.param(table.STREAM_WINDOW, Http2Config().stream_window, id="stream window"),
        pytest.param(table.CONNECTION_WINDOW, Http2Config().connection_window, id="connection window"),
        pytest.param(table.FRAME_SIZE, Http2Config().max_frame_size, id="frame size"),
        pytest.param(table.PING_INTERVAL, Keepalive().interval, id="ping interval"),
        pytest.param(table.PING_TIMEOUT, Keepalive().timeout, id="ping timeout"),
        pytest.param(table.CONNECT_DEADLINE, Deadlines().connect, id="connect"),
        pytest.param(table.TLS_DEADLINE, Deadlines().tls, id="TLS"),
        pytest.param(table.SETTINGS_DEADLINE, Deadlines().settings, id="SETTINGS"),
        pytest.param(table.REPLY_DEADLINE, Deadlines().reply, id="reply"),
        pytest.param(table.KEEPALIVE_ENABLED, SocketOptions().keepalive, id="keepalive"),
        pytest.param(table.KEEPALIVE_TIME, SocketOptions().keepalive_idle, id="keepalive idle"),
        pytest.param(table.KEEPALIVE_INTERVAL, SocketOptions().keepalive_interval, id="keepalive interval"),
        pytest.param(table.KEEPALIVE_RETRIES, SocketOptions().keepalive_retries, id="keepalive retries"),
        pytest.param(table.USER_TIMEOUT_ENABLED, SocketOptions().user_timeout, id="user timeout"),
    ],
)
def test_a_default_is_the_library_s_own(setting: Setting[object], default: object) -> None:
    assert setting.default == default


def test_the_page_of_the_documentation_is_the_table() -> None:
    # To renew it: python -m ztunnel_py config page
    assert settings_page(TABLE, "ztunnel") in (ROOT / "docs" / "configuration.md").read_text()
