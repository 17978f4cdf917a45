"""One switch for every proxy that waits for messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mesh_py.settings.wait_awake import WAIT_AWAKE
from sidecar_py.settings_table import TABLE as SIDECAR
from waypoint_py.settings_table import TABLE as WAYPOINT
from ztunnel_py.settings_table import TABLE as NODE_PROXY

if TYPE_CHECKING:
    from mesh_py.settings.setting import SettingsTable


@pytest.mark.parametrize("table", [NODE_PROXY, SIDECAR, WAYPOINT], ids=["node proxy", "sidecar", "waypoint"])
def test_it_is_the_same_for_all_and_on(table: SettingsTable) -> None:
    assert WAIT_AWAKE in table.all
    assert WAIT_AWAKE.default is True
