"""Flags made from a table: how help shows them, and which of all sources wins."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mesh_py.settings.command import run_command
from mesh_py.settings.options import MESH_FILE, flags_of, layers_of
from mesh_py.settings.source import Values
from tests.mesh_py.settings.example import NODE_NAME, STATS_PORT, TABLE, cli

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (*TABLE.by_name, "PROXY_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, tuple[str | None, str]]:
    assert run_command(cli, arguments, script="example-role", module="example_role") == 0
    rows = json.loads(capsys.readouterr().out)
    return {name: (row["value"], row["from"]) for name, row in rows.items()}


def test_help_shows_the_settings_by_section(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    run_command(cli, ["-h"], script="example-role", module="example_role")
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    titles = ["Whom it serves:", "How (and how much):", "Options:", "Commands:"]
    assert [line for line in lines if line in titles] == titles
    assert "--node NAME Our node. (default: the host's name) [NODE_NAME]" in lines
    assert "--fake-ca Sign ourselves. (default: false) [FAKE_CA]" in lines
    assert "--cluster-id NAME Our cluster. (default: Kubernetes) [ISTIO_META_CLUSTER_ID, CLUSTER_ID]" in lines
    assert "--config PATH Settings from a YAML file: names as in brackets." in lines


def test_each_source_gives_way_to_the_stronger_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = ["NODE_NAME", "NETWORK", "CLUSTER_ID", "ADMIN_PORT", "STATS_PORT", "WORKER_THREADS"]
    values = dict(zip(names, ["mesh", "mesh", "mesh", "1", "1", "1"], strict=True))
    (tmp_path / MESH_FILE).parent.mkdir(parents=True)
    (tmp_path / MESH_FILE).write_text(
        "defaultConfig:\n  proxyAdminPort: 1\n  statsPort: 1\n"
        f"  proxyMetadata: {json.dumps({name: values[name] for name in names[:3]})}\n"
    )
    monkeypatch.setenv("PROXY_CONFIG", "{statsPort: 2, proxyMetadata: {NODE_NAME: p, NETWORK: p, CLUSTER_ID: p}}")
    (tmp_path / "s.yaml").write_text("NODE_NAME: file\nNETWORK: file\nCLUSTER_ID: file\n")
    monkeypatch.setenv("NODE_NAME", "variable")
    monkeypatch.setenv("NETWORK", "variable")
    got = shown(capsys, "--config", "s.yaml", "--node", "flag")
    assert [got[name] for name in names] == [
        ("flag", "--node"),
        ("variable", "NETWORK"),
        ("file", "s.yaml:3:13: CLUSTER_ID"),
        ("1", f"{MESH_FILE}: proxyAdminPort"),
        ("2", "PROXY_CONFIG: statsPort"),
        ("1", "default"),
    ]


def test_a_role_without_a_proxy_config_does_not_look_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXY_CONFIG", "statsPort: 2")
    values = Values(layers_of(TABLE, {"config_file": None, "node_name": "a"}))
    assert (values[NODE_NAME], values[STATS_PORT]) == ("a", 15_020)


@pytest.mark.parametrize(
    ("parameters", "flags"),
    [
        pytest.param({"fake_ca": None, "node_name": None}, {}, id="not given"),
        pytest.param({"fake_ca": False}, {"FAKE_CA": "false"}, id="turned off"),
        pytest.param({"fake_ca": True, "node_name": "a"}, {"FAKE_CA": "true", "NODE_NAME": "a"}, id="given"),
        pytest.param({"output": "json"}, {}, id="no setting"),
    ],
)
def test_flags_are_told_from_other_parameters(parameters: dict[str, object], flags: dict[str, str]) -> None:
    assert flags_of(TABLE, parameters) == flags


def test_a_flag_is_turned_off_by_no_in_front(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "--no-fake-ca")["FAKE_CA"] == ("false", "--fake-ca")
