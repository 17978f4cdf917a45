"""Settings that cannot work are refused when they are made."""

from __future__ import annotations

import pytest

from hbone_py.config import KIB, MIB, Deadlines, Http2Config, Keepalive


def test_the_defaults_are_these() -> None:
    config = Http2Config()
    assert (config.stream_window, config.connection_window, config.max_frame_size) == (16 * MIB, 64 * MIB, MIB)
    assert (config.max_header_list_client, config.max_header_list_server) == (16_384, 65_536)
    assert (config.max_concurrent_streams, config.assumed_peer_streams) == (200, 100)
    assert (Keepalive().interval, Keepalive().timeout) == (10, 20)
    assert (Deadlines().connect, Deadlines().tls, Deadlines().settings, Deadlines().reply) == (10, 10, 10, 30)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        pytest.param({"stream_window": MIB, "connection_window": 4 * MIB - 1}, "one unread stream", id="ratio under 4"),
        pytest.param({"stream_window": 0}, "at least 1 byte", id="no stream window"),
        pytest.param({"stream_window": 1000, "connection_window": 65_534}, "65535", id="connection window too small"),
        pytest.param({"connection_window": 2**31}, str(2**31 - 1), id="connection window too large"),
        pytest.param({"max_frame_size": 16_383}, "16384", id="frame size too small"),
        pytest.param({"max_frame_size": 2**24}, str(2**24 - 1), id="frame size too large"),
    ],
)
def test_what_is_refused(wrong: dict[str, int], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Http2Config(**wrong)


def test_cramped_windows_are_small_and_the_rest_stays() -> None:
    config = Http2Config(max_concurrent_streams=7, max_protocol_resets=8).cramped()
    assert (config.stream_window, config.connection_window) == (256 * KIB, MIB)
    assert (config.max_concurrent_streams, config.max_protocol_resets) == (7, 8)
    assert Http2Config(stream_window=KIB, connection_window=65_535).cramped().stream_window == KIB
