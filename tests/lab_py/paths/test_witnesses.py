"""Requests by weight go on until every version has served, and no longer; what cannot be asked is no answer."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from lab_py.paths import witnesses
from lab_py.paths.witnesses import FORCED_REQUESTS, LEAST_REQUESTS, MOST_REQUESTS, travel
from lab_py.paths.world import WorldFiles
from mesh_py.process.console import Console
from mesh_py.process.heard import Heard
from mesh_py.process.http_probe import Answer, AskFailed
from tests.lab_py.paths.seen import ONE, THREE, WORLD

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab_py.paths.evidence import Seen


class Mesh:
    """Answers in the place of the real one; nobody can be asked for anything else."""

    def __init__(self, serves: Callable[[int], str]) -> None:
        self._serves, self.asked = serves, 0

    async def answer(self, _socks: Any, _authority: str, _path: str, headers: dict[str, str]) -> Answer:
        self.asked += 1
        name = self._serves(self.asked)
        if not name:
            raise AskFailed("refused")
        return Answer(200, "helloworld-v2" if headers else name)


async def nobody(*_: Any) -> Answer:
    raise AskFailed("nobody is there")


async def no_identity(*_: Any) -> str:
    return ""


async def no_refusal(*_: Any) -> bool:
    return False


async def travelled(monkeypatch: pytest.MonkeyPatch, mesh: Mesh, folder: Path, path: Any = THREE) -> Seen:
    for name, value in {"ask_by_socks": mesh.answer, "get": nobody, "shown_identity": no_identity}.items():
        monkeypatch.setattr(witnesses, name, value)
    monkeypatch.setattr(witnesses, "refuses_strangers", no_refusal)
    for name in ("_LINES_SECONDS", "_AFTER_FAILURE_SECONDS"):
        monkeypatch.setattr(witnesses, name, 0.01)
    heard = Heard(Console(io.StringIO()))
    heard.heard("waypoint", "a line")
    return await travel(path, WORLD, WorldFiles(folder, folder, folder), heard)


@pytest.mark.parametrize(
    ("serves", "sent"),
    [
        pytest.param(lambda n: f"helloworld-v{n % 2 + 1}", LEAST_REQUESTS, id="soon"),
        pytest.param(lambda n: f"helloworld-v{1 if n < 50 else 2}", 50, id="late"),
        pytest.param(lambda _: "helloworld-v1", MOST_REQUESTS, id="never"),
    ],
)
async def test_until_each_version_has_served(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, serves: Callable[[int], str], sent: int
) -> None:
    seen = await travelled(monkeypatch, Mesh(serves), tmp_path)
    by_header = [one for one in seen.sent if one.version == "v2"]
    assert (len(seen.sent) - len(by_header), len(by_header)) == (sent, FORCED_REQUESTS)
    assert len({one.token for one in seen.sent}) == len(seen.sent)


async def test_after_a_failure_nothing_more_is_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = await travelled(monkeypatch, Mesh(lambda _: ""), tmp_path)
    assert [(one.status, one.body) for one in seen.sent] == [(0, "refused")]


async def test_witnesses_that_are_not_there_have_seen_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = await travelled(monkeypatch, Mesh(lambda _: "t0ken"), tmp_path, ONE)
    assert set(seen.calls) == {pod.label for pod in WORLD.servers}
    assert not any(seen.calls.values())
    assert seen.metrics == {"ztunnel-a": "", "sidecar-httpbin": ""}
    assert seen.shown == {"sidecar-httpbin": ("", False)}
    assert seen.lines == (("waypoint", "a line"),)
