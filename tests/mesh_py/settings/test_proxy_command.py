"""The commands that all proxies have: what each is given, and what is said where nothing is started."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mesh_py.discovery.local_file import LocalConfig, read_local_config
from mesh_py.settings.command import run_command
from mesh_py.settings.embedded import EmbeddedDefault
from mesh_py.settings.proxy_command import ProxyWords, proxy_command
from mesh_py.settings.source import SettingsError
from tests.mesh_py.settings.example import NODE_NAME, PROXY_CONFIG_KEYS, TABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesh_py.settings.proxy_command import Layers

WORDS = ProxyWords("example-py", "An example.", "Show it.", "Judge it.", "127.66", "docs/example.md", "the original")
EMBEDDED = EmbeddedDefault(means_a_proxy=(NODE_NAME,), passed_on=())


class Work:
    """Remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def serve(self, layers: Layers, parameters: Mapping[str, Any]) -> int:
        self.asked.append(("serve", sorted(layers[0]), parameters["world_net"], parameters["loop"]))
        return 7

    def demo(self, net: str, state_dir: Path | None, *, once: bool) -> int:
        self.asked.append(("demo", net, state_dir, once))
        return 1

    def read_mesh(self, text: str, file: str) -> LocalConfig:
        return read_local_config(text, file)

    def read_settings(self, layers: Layers, environ: Mapping[str, str]) -> object:
        raise SettingsError("node n: there is no such node")


def run(work: Work, *arguments: str) -> int:
    cli = proxy_command(WORDS, TABLE, PROXY_CONFIG_KEYS, EMBEDDED, work)
    return run_command(cli, arguments, script="example-py", module="example_py")


@pytest.mark.parametrize(
    ("arguments", "status", "asked"),
    [
        pytest.param((), 7, ("serve", [], "127.66", "reactor"), id="serve"),
        pytest.param(
            ("--node", "n", "--loop", "asyncio", "--world-net", "127.5"),
            7,
            ("serve", ["NODE_NAME"], "127.5", "asyncio"),
            id="serve as told",
        ),
        pytest.param(("demo",), 1, ("demo", "127.66", None, False), id="the world"),
        pytest.param(("--world-net", "127.5", "demo"), 1, ("demo", "127.5", None, False), id="where, said before"),
        pytest.param(
            ("demo", "--once", "--world-net", "127.6", "--state-dir", "s"),
            1,
            ("demo", "127.6", Path("s"), True),
            id="where, said behind",
        ),
    ],
)
def test_a_command_is_given_what_was_said(arguments: tuple[str, ...], status: int, asked: tuple[Any, ...]) -> None:
    work = Work()
    assert run(work, *arguments) == status
    assert work.asked == [asked]


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        pytest.param(("config", "show"), 0, "the embedded world would start", id="nothing is configured"),
        pytest.param(("config", "show", "--node", "n"), 2, "error: node n: there is no such node", id="what is wrong"),
        pytest.param(("--node", "n", "demo"), 2, "error: demo takes no settings of a proxy", id="a flag too many"),
        pytest.param(("config", "check", "no/such"), 2, "error: no/such: no such file", id="no file"),
    ],
)
def test_what_is_said(
    arguments: tuple[str, ...],
    status: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NODE_NAME", raising=False)
    work = Work()
    assert run(work, *arguments) == status
    assert said in capsys.readouterr().err
    assert work.asked == []


def test_the_page_is_made_from_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Work(), "config", "page") == 0
    assert "(the original: 15090)" in capsys.readouterr().out
