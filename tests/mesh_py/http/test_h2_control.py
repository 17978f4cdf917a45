"""The connection's own frames, which h2 answers."""

from __future__ import annotations

import pytest

from hbone_py import frames
from hbone_py.errors import ErrorCode, RemoteProtocolError
from mesh_py.http.h2_control import Control
from mesh_py.http.limits import Limits

LIMITS = Limits(streams=7, stream_window=70_000, connection_window=100_000, head_bytes=5000)


def test_what_a_server_says_first() -> None:
    settings = {3: 7, 4: 70_000, 5: 16_384, 6: 5000, 8: 1}
    assert Control(LIMITS, client=False).opening == frames.settings(settings) + frames.window_update(0, 34_465)


def test_what_a_client_says_first() -> None:
    settings = {2: 0, 4: 70_000, 5: 16_384, 6: 5000}
    opening = frames.PREFACE + frames.settings(settings) + frames.window_update(0, 34_465)
    assert Control(LIMITS, client=True).opening == opening


def test_settings_are_acknowledged_and_told() -> None:
    control = Control(LIMITS, client=False)
    answer, changed = control.receive(frames.SETTINGS, 0, 0, frames.settings({4: 1000, 1: 0})[9:])
    assert answer == frames.frame(frames.SETTINGS, frames.ACK, 0)
    assert changed == {4: 1000, 1: 0}


def test_a_ping_is_answered() -> None:
    control = Control(LIMITS, client=False)
    control.receive(frames.SETTINGS, 0, 0, b"")
    assert control.receive(frames.PING, 0, 0, b"12345678")[0] == frames.frame(frames.PING, frames.ACK, 0, b"12345678")


def test_a_fault_has_its_code() -> None:
    control = Control(LIMITS, client=False)
    with pytest.raises(RemoteProtocolError) as fault:
        control.receive(frames.SETTINGS, 0, 0, b"12345")
    assert fault.value.code is ErrorCode.FRAME_SIZE_ERROR
