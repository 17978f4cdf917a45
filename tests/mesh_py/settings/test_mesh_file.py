"""`config check`: a line for what a file holds, a line for each thing that is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mesh_py.manifests.proxy_file import read_proxy_file
from mesh_py.settings.mesh_file import check_mesh_file

if TYPE_CHECKING:
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
