"""The command line as a user meets it: help, versions, completion, and one clear line for whatever is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.ztunnel_py.worlds import finished
from ztunnel_py.command_line import run
from ztunnel_py.settings_table import TABLE

if TYPE_CHECKING:
    from pathlib import Path

HEAVY = ("asyncio", "cryptography", "OpenSSL", "aiohttp", "h2", "yaml", "hbone_py")
"""What help, completion and a mistyped flag can do without."""


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for setting in TABLE.all:
        for name in (setting.name, *setting.also):
            monkeypatch.delenv(name, raising=False)
    for name in ("PROXY_CONFIG", "INPOD_UDS", "SSLKEYLOGFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_help_tells_every_setting_by_section_and_who_wins(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    page = capsys.readouterr().out
    words = " ".join(page.split())
    assert "A flag wins over the environment, the environment over --config FILE, the file over the default." in words
    assert [title for title in TABLE.sections if f"{title}:" not in page] == []
    assert [setting.option for setting in TABLE.all if f"  {setting.option}" not in page] == []
    assert "Examples:" in page
    for command in ("demo", "config", "completion"):
        assert f"  {command} " in page


@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["demo", "--help"], ["config", "--help"], ["config", "show", "--help"], ["completion", "bash"]],
    ids=" ".join,
)
def test_what_asks_for_nothing_ends_well(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 0
    assert capsys.readouterr().out


def test_help_does_not_wait_for_what_only_a_proxy_needs() -> None:
    code = (
        "import sys; from ztunnel_py.command_line import run; run(['--help']); sys.stderr.write(' '.join(sys.modules))"
    )
    import subprocess
    import sys

    from tests.support.source_tree import ROOT

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(HEAVY) & set(done.stderr.split()) == set()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        pytest.param(["--nod", "a"], "No such option '--nod'", id="mistyped flag"),
        pytest.param(["serve"], "No such command 'serve'", id="no such command"),
        pytest.param(["--node"], "Option '--node' requires an argument", id="flag without its value"),
        pytest.param(["--loop", "trio"], "'trio' is not one of 'reactor', 'uvloop', 'asyncio'", id="no such loop"),
        pytest.param(["completion", "tcsh"], "'tcsh' is not one of", id="no such shell"),
        pytest.param(["demo", "--world-net", "10.0"], "--world-net: '10.0' is not 127.N", id="a net that is not ours"),
        pytest.param(
            ["--world-net", "10.0", "demo"], "--world-net: '10.0' is not 127.N", id="a net before the command"
        ),
        pytest.param(["--node", "a", "demo"], "demo takes no settings of a proxy", id="settings for the demo"),
        pytest.param(["--keepalive-time", "5x", "--fake-ca"], "--keepalive-time: '5x' is not a duration", id="value"),
        pytest.param(["--node", "a", "--fake-ca"], "no mesh: set LOCAL_XDS_PATH", id="no mesh"),
        pytest.param(["--mode", "pods"], "--mode: 'pods' is none of node, dedicated, shared", id="no mode"),
        pytest.param(["--config", "s.yaml"], "s.yaml: no such file or directory: check the path", id="no such file"),
        pytest.param(["config", "check", "m.yaml"], "m.yaml: no such file or directory", id="no such mesh"),
        pytest.param(["config", "check"], "Missing argument 'FILE'", id="no mesh named"),
    ],
)
def test_what_is_wrong_is_one_line_and_status_2(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    [line] = said.err.splitlines()
    assert line.startswith("error: ")
    assert complaint in line


def test_config_show_tells_values_and_where_they_come_from(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "s.yaml").write_text("NODE_NAME: by-file\nNETWORK: by-file\nCLUSTER_ID: by-file\n")
    monkeypatch.setenv("NETWORK", "by-variable")
    monkeypatch.setenv("CLUSTER_ID", "by-variable")
    command = ["config", "show", "-o", "json", "--config", "s.yaml", "--cluster-id", "by-flag"]
    run([*command, "--local-xds-path", "m.yaml", "--fake-ca"])
    shown = json.loads(capsys.readouterr().out)
    assert list(shown) == [setting.name for setting in TABLE.all]
    assert shown["NODE_NAME"] == {"value": "by-file", "from": "s.yaml:1:12: NODE_NAME"}
    assert shown["NETWORK"] == {"value": "by-variable", "from": "NETWORK"}
    assert shown["CLUSTER_ID"] == {"value": "by-flag", "from": "--cluster-id"}
    assert shown["FAKE_CA"] == {"value": "true", "from": "--fake-ca"}
    assert shown["HTTP2_STREAM_WINDOW_SIZE"] == {"value": "16MiB", "from": "default"}
    assert shown["UNREAD_BUDGET"] == {"value": None, "from": "default: a quarter of the memory limit"}


def test_flags_before_the_command_count_too(capsys: pytest.CaptureFixture[str]) -> None:
    run(["--node", "before", "--network", "before", "config", "show", "--network", "after", "-o", "yaml"])
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["NODE_NAME"]["value"], shown["NETWORK"]["value"]) == ("before", "after")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        pytest.param([], 0, "nothing is configured: the embedded world would start", id="nothing"),
        pytest.param(["--node", "a"], 2, "error: no mesh", id="not enough"),
        pytest.param(["--local-xds-path", "m", "--fake-ca"], 0, "", id="enough"),
    ],
)
def test_config_show_says_whether_a_proxy_would_start(
    arguments: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["config", "show", *arguments]) == status
    shown = capsys.readouterr()
    assert shown.err.startswith(said)
    assert "NODE_NAME" in shown.out


MESH = """\
workloads:
- uid: a
  namespace: default
  workloadIps: [127.0.0.1]
  services: {}
"""


def test_config_check_counts_what_a_good_file_holds(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(MESH)
    assert run(["config", "check", "m.yaml"]) == 0
    assert capsys.readouterr().out == "m.yaml: 1 workload, 0 services, 0 policies: ok\n"


def test_config_check_tells_all_that_is_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(MESH.replace("namespace:", "nmespace:").replace("127.0.0.1", "127.0.0.300"))
    assert run(["config", "check", "m.yaml"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert any("m.yaml:3:3: unknown key 'nmespace'" in line for line in lines)
    assert any("m.yaml:4:17:" in line and "127.0.0.300" in line for line in lines)
    assert all(line.startswith("error: m.yaml") for line in lines)


def test_the_process_ends_with_the_status(tmp_path: Path) -> None:
    done = finished("--config", str(tmp_path / "none.yaml"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {tmp_path}/none.yaml: no such file or directory: check the path and its rights\n"
