"""Whom a process serves, as text."""

from __future__ import annotations

import pytest

from ztunnel_py.mode import MODE, Mode


@pytest.mark.parametrize("mode", Mode)
def test_a_mode_is_read_as_it_is_written(mode: Mode) -> None:
    assert MODE.read(MODE.write(mode)) is mode


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("sidecar", "is none of node, dedicated, shared", id="no mode"),
        pytest.param("", "is none of node, dedicated, shared", id="nothing"),
    ],
)
def test_a_wrong_mode_is_told(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        MODE.read(text)
