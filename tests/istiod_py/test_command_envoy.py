"""What an Envoy starts with and what it would be told, by the command line."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path

import pytest
import yaml

from istiod_py.command_line import run
from mesh_py.identity.tokens import TokenKey
from tests.istiod_py.envoy.golden_files import MESH, golden_file

LOOPBACK = """
apiVersion: v1
kind: Pod
metadata: {name: lab, namespace: shop}
spec: {serviceAccountName: lab, containers: [{name: app}]}
status: {podIP: 127.0.66.1}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of manifests, and a state folder with an authority."""
    mesh = tmp_path / "mesh"
    mesh.mkdir()
    (mesh / "mesh.yaml").write_text(MESH.read_text())
    (mesh / "lab.yaml").write_text(LOOPBACK)
    monkeypatch.setenv("STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("CONFIG_DIR", str(mesh))
    return tmp_path


@pytest.fixture
def with_roots(folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert run(["root-cert"]) == 0
    capsys.readouterr()
    return folder


def bootstrap_of(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "out" / "envoy.json").read_text())
    return found


def test_a_pods_bootstrap_and_its_token(with_roots: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = with_roots / "out"
    assert run(["envoy-bootstrap", "default/sleep", "--out", str(out), "--control-plane", "10.9.0.1:15012"]) == 0
    assert "sidecar default/sleep at 10.1.0.1 joins 10.9.0.1:15012" in capsys.readouterr().out
    node = bootstrap_of(with_roots)["node"]
    assert node == {
        "id": "sidecar~10.1.0.1~sleep.default~default.svc.cluster.local",
        "cluster": "sleep.default",
        "metadata": {
            "NAMESPACE": "default",
            "SERVICE_ACCOUNT": "sleep",
            "LABELS": {
                "app": "sleep",
                "version": "v1",
                "sidecar.istio.io/inject": "true",
                "networking.istio.io/tunnel": "http",
            },
            "ENABLE_HBONE": "true",
        },
    }
    token = out / "token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    caller = TokenKey.open(with_roots / "state").check(token.read_text(), time.time())
    assert (caller.account, caller.pod, caller.node) == ("default/sleep", "sleep", "node-a")


def test_a_waypoint_is_told_by_its_label(with_roots: Path) -> None:
    assert run(["envoy-bootstrap", "default/waypoint", "--out", str(with_roots / "out")]) == 0
    assert "waypoint~10.1.0.9~waypoint.default~" in json.dumps(bootstrap_of(with_roots))


def test_on_loopback_everything_is_on_the_pods_address(with_roots: Path) -> None:
    assert run(["--bind", "127.0.66.9", "envoy-bootstrap", "shop/lab", "--out", str(with_roots / "out")]) == 0
    text = json.dumps(bootstrap_of(with_roots))
    assert '"target_uri": "127.0.66.9:15012"' in text
    assert '"PROXY_PROTOCOL_CAPTURE": "true", "PROXY_BIND_ADDRESS": "127.0.66.1", "HTTP_PROXY_PORT": "15007"' in text


def test_a_certificate_in_place_of_a_token(with_roots: Path) -> None:
    files = [str(with_roots / name) for name in ("a.crt", "a.key")]
    for file in files:
        Path(file).touch()
    proof = ["--certificate", files[0], "--key", files[1]]
    assert run(["envoy-bootstrap", "default/sleep", "--out", str(with_roots / "out"), *proof]) == 0
    assert not (with_roots / "out" / "token").exists()
    assert files[1] in json.dumps(bootstrap_of(with_roots))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["default/slep"], "no pod default/slep in the folder; did you mean 'default/sleep'?"),
        (["default/sleep", "--control-plane", "here"], "'here' is not host:port"),
        (["default/sleep", "--token-file", "nowhere"], "nowhere is no file"),
        (["default/sleep", "--key", "nowhere"], "--certificate and --key belong together"),
        (["default/sleep", "--token-file", "t", "--certificate", "c", "--key", "k"], "not by both"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    with_roots: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    assert run(["envoy-bootstrap", *arguments, "--out", str(with_roots / "out")]) == 2
    assert complaint in capsys.readouterr().err


def test_without_an_authority_it_says_how_to_get_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["envoy-bootstrap", "default/sleep", "--out", str(folder / "out")]) == 2
    assert "run root-cert once" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["today", "1.18"])
def test_what_an_envoy_would_be_told(folder: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    (folder / "mesh" / "lab.yaml").unlink()
    assert run(["envoy-resources", "default/waypoint", "--form", form]) == 0
    assert capsys.readouterr().out == golden_file("waypoint", form).read_text()


def test_the_same_in_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "mesh" / "lab.yaml").unlink()
    assert run(["envoy-resources", "default/waypoint", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == yaml.safe_load(golden_file("waypoint", "today").read_text())
