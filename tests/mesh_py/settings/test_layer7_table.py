"""What sidecar and waypoint share of their settings: the defaults are those of the parts that take the values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hbone_py import Deadlines, Http2Config
from hbone_py.aio.tcp import SocketOptions
from mesh_py.exchange.timeouts import DEFAULT_TIMEOUTS
from mesh_py.settings import layer7_table as table

if TYPE_CHECKING:
    from mesh_py.settings.setting import Setting


@pytest.mark.parametrize(
    ("setting", "default"),
    [
        pytest.param(table.STREAM_WINDOW, Http2Config().stream_window, id="stream window"),
        pytest.param(table.CONNECTION_WINDOW, Http2Config().connection_window, id="connection window"),
        pytest.param(table.CONNECT_DEADLINE, Deadlines().connect, id="connect"),
        pytest.param(table.TLS_DEADLINE, Deadlines().tls, id="TLS"),
        pytest.param(table.REPLY_DEADLINE, Deadlines().reply, id="reply"),
        pytest.param(table.KEEPALIVE_TIME, SocketOptions().keepalive_idle, id="keepalive idle"),
        pytest.param(table.HTTP_HEAD_TIMEOUT, DEFAULT_TIMEOUTS.head, id="head"),
        pytest.param(table.HTTP_STREAM_IDLE, DEFAULT_TIMEOUTS.silence, id="silence"),
        pytest.param(table.HTTP_IDLE, DEFAULT_TIMEOUTS.idle, id="idle"),
        pytest.param(table.PROTOCOL_DETECTION_TIMEOUT, DEFAULT_TIMEOUTS.detection, id="detection"),
    ],
)
def test_a_default_is_the_library_s_own(setting: Setting[object], default: object) -> None:
    assert setting.default == default
