"""What a proxy says of settings that it cannot start with, asked in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.processes import loopback_address
from tests.ztunnel_py.worlds import CLEAN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pytest

REFUSED = 2
"""The exit status of wrong settings."""


def refusal(
    run: Callable[[Sequence[str]], int],
    told: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> str:
    """The one line on standard error with which a layer-7 proxy that is `told` these settings ends."""
    given = {"PROXY_BIND_ADDRESS": loopback_address(), "LOCAL_XDS": "workloads: []", "FAKE_CA": "true"}
    for name, value in {**CLEAN, **given, **told}.items():
        monkeypatch.setenv(name, value)
    assert run([]) == REFUSED
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    return said.err
