"""The command line: help at once, tokens and roots without a server, one line for what is wrong."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import jwt
import pytest

from istiod_py.command_line import run
from istiod_py.settings_table import TABLE
from mesh_py.identity.certificate_facts import certificates_of
from mesh_py.identity.tokens import Caller, TokenKey

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-W", "error", "-m", "istiod_py"]


@pytest.fixture
def state(tmp_path: Path) -> list[str]:
    return ["--state-dir", str(tmp_path / "state")]


def test_help_names_every_setting_and_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    for setting in TABLE.all:
        assert setting.option in shown
    for command in ("token", "new-token-key", "root-cert", "serve", "config"):
        assert f"\n  {command} " in shown
    assert "Examples:" in shown
    assert "Exit status:" in shown


def test_help_loads_nothing_that_takes_time() -> None:
    script = (
        "import sys; from istiod_py.command_line import run; run(['--help']);"
        "sys.exit(any(name.partition('.')[0] in {'grpclib', 'aiohttp', 'envoy', 'asyncio', 'cryptography', 'jwt'}"
        " for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr


def test_a_token_is_one_that_the_server_believes(
    tmp_path: Path, state: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["token", "istio-system/ztunnel", "--node", "node-a", "--pod", "z-1", *state]) == 0
    token = capsys.readouterr().out.strip()
    caller = TokenKey.open(tmp_path / "state").check(token, time.time())
    assert caller == Caller("istio-system", "ztunnel", "z-1", "", "node-a")


def test_a_new_key_lets_former_tokens_hold(
    state: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = TokenKey.open(tmp_path / "state")
    former = server.mint(Caller("shop", "cart"), time.time())
    assert run(["new-token-key", *state]) == 0
    assert "token-key.pem is new" in capsys.readouterr().out
    assert run(["token", "shop/cart", *state]) == 0
    for token in (former, capsys.readouterr().out.strip()):
        assert server.check(token, time.time()).account == "shop/cart"


def test_a_token_holds_as_long_as_was_said(state: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for flags, seconds in (([], 12 * 3600), (["--ttl", "10m"], 600)):
        assert run([*state, "token", "shop/cart", *flags]) == 0
        claims = jwt.decode(capsys.readouterr().out.strip(), options={"verify_signature": False})
        assert claims["exp"] - claims["iat"] == seconds


def test_the_roots_are_those_of_the_folder(
    tmp_path: Path, state: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert run(["root-cert", *state]) == 0
    shown = capsys.readouterr().out
    assert shown == 2 * (tmp_path / "state" / "ca" / "root-cert.pem").read_text()
    assert len(certificates_of(shown.encode())) == 2


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        pytest.param(["token", "ztunnel"], "is not namespace/service-account", id="no namespace"),
        pytest.param(["token", "My Shop/cart"], "'My Shop/cart': the namespace: 'My Shop' is no name", id="no label"),
        pytest.param(["token", "shop/cart\n"], "the service account: 'cart\\n' is no name", id="a line's end"),
        pytest.param(["token", "a/b", "--node", "Node A"], "--node: 'Node A' is no name", id="no node's name"),
        pytest.param(["token", "a/b", "--ttl", "soon"], "--ttl: 'soon' is not a duration", id="no time"),
        pytest.param(["token", "a/b", "--ttl", "0s"], "--ttl: '0s' is no time at all", id="no lifetime"),
        pytest.param(["token"], "Missing argument", id="of whom"),
        pytest.param(["--no-such-flag"], "No such option", id="no such flag"),
        pytest.param(["dance"], "No such command", id="no such command"),
        pytest.param(
            ["root-cert", "--ca-dir", "/proc/none"],
            "file or directory: name a folder to write to with --ca-dir",
            id="no folder to write",
        ),
        pytest.param(["token", "a/b", "--state-dir", "/proc/none"], "error: /proc/none: no such file", id="no state"),
    ],
)
def test_what_is_wrong_is_one_line_and_status_2(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    shown = capsys.readouterr().err
    assert complaint in shown
    assert shown.count("\n") == 1


def test_config_show_tells_where_a_value_comes_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLUSTER_ID", "east")
    assert run(["config", "show", "--trust-domain", "td"]) == 0
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines() if line.startswith(" ")}
    assert rows["CLUSTER_ID"] == ["east", "CLUSTER_ID"]
    assert rows["TRUST_DOMAIN"] == ["td", "--trust-domain"]


def test_settings_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "settings.yaml").write_text("CLUSTER_ID: west\n")
    assert run(["config", "show", "--settings", str(tmp_path / "settings.yaml")]) == 0
    assert "west" in capsys.readouterr().out
