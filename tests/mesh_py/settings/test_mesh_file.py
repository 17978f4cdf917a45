"""`config check`: a line for what a file holds, a line for each thing that is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from mesh_py.manifests.proxy_file import read_proxy_file
from mesh_py.settings.mesh_file import check_mesh_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WORKLOAD = "workloads: [{uid: u, name: a, namespace: n, workloadIps: [10.0.0.1], services: {}}]\n"
ROUTE = """\
manifests:
- {apiVersion: v1, kind: Namespace, metadata: {name: shop}}
"""


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        pytest.param(WORKLOAD, 0, "{file}: 1 workload, 0 services, 0 policies: ok\n", id="a mesh"),
        pytest.param(WORKLOAD + ROUTE, 0, "{file}: 1 workload, 0 services, 0 policies, 1 manifest: ok\n", id="more"),
        pytest.param("workloads: 7\n", 2, "error: {file}:1:12: ", id="what is wrong"),
    ],
)
def test_what_is_said(text: str, status: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mesh.yaml"
    file.write_text(text)
    assert check_mesh_file(file, read_proxy_file) == status
    heard = capsys.readouterr()
    assert (heard.out if status == 0 else heard.err).startswith(said.format(file=file))


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)], ids=["json", "yaml"])
def test_the_same_for_programs(
    output: str, read: Callable[[str], Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mesh.yaml"
    file.write_text(WORKLOAD)
    assert check_mesh_file(file, read_proxy_file, output) == 0
    counts = {"workloads": 1, "services": 0, "policies": 0}
    assert read(capsys.readouterr().out) == {"file": str(file), **counts, "warnings": [], "problems": []}
    file.write_text("workload: []\n")
    assert check_mesh_file(file, read_proxy_file, output) == 2
    heard = capsys.readouterr()
    [problem] = read(heard.out)["problems"]
    assert (problem["line"], problem["column"], problem["advice"]) == (1, 1, "did you mean 'workloads'?")
    assert heard.err == ""
