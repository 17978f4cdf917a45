"""Running a server to its end: which loop, and what becomes of a refusal to start."""

from __future__ import annotations

import asyncio
import sys

import pytest
import uvloop

from hbone_py.aio.loop import ReactorLoop
from hbone_py.errors import TlsConfigError
from mesh_py.admin.worker_link import WorkerLinkError
from mesh_py.process.listening import StartError
from mesh_py.process.run_loop import loop_factory, started
from mesh_py.settings.source import SettingsError


async def name_of_the_loop() -> int:
    kinds = (uvloop.Loop, ReactorLoop, asyncio.SelectorEventLoop)
    return 10 + next(number for number, kind in enumerate(kinds) if isinstance(asyncio.get_running_loop(), kind))


@pytest.mark.parametrize(("wanted", "status"), [(None, 10), ("uvloop", 10), ("reactor", 11), ("asyncio", 12)])
def test_the_loop_is_the_one_asked_for(wanted: str | None, status: int) -> None:
    assert started(name_of_the_loop(), wanted) == status


def test_without_uvloop_the_plain_loop_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert loop_factory(None) is None


def test_uvloop_asked_for_and_not_there_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with pytest.raises(SettingsError, match="uvloop is not installed"):
        started(name_of_the_loop(), "uvloop")


@pytest.mark.parametrize(
    "error",
    [StartError("no port"), TlsConfigError("no port"), WorkerLinkError("no port")],
    ids=lambda error: type(error).__name__,
)
def test_a_refusal_to_start_is_one_line(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    async def refuse() -> int:
        raise error

    assert started(refuse(), "asyncio") == 2
    assert capsys.readouterr().err == "error: no port\n"
