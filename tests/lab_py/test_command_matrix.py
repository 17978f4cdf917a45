"""Coexistence for real: every cell of the matrix, as root and in a user namespace."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.lab_py.labs import lab, require_lab
from tests.support.require import require_envoy

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.soak
@pytest.mark.lab
@pytest.mark.privileged
@pytest.mark.parametrize(
    "how",
    [[], ["--rootless", "--tunnel", "packet"], ["--peer", "sidecar=envoy"]],
    ids=["as root", "rootless", "the real Envoy as every sidecar"],
)
def test_everybody_reaches_everybody(tmp_path: Path, how: list[str]) -> None:
    require_lab()
    require_envoy()
    done = lab(tmp_path, "matrix", *how, "-o", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert len(told["hops"]) == 18
    assert told["travelled"]["sidecar to sidecar, other node"] == "Istio mTLS"
    assert told["travelled"]["ambient to ambient, other node"] == "HBONE"


@pytest.mark.soak
@pytest.mark.lab
@pytest.mark.privileged
@pytest.mark.parametrize("design", ["1.18", "in-pod"])
def test_strict_refuses_a_third_of_them(tmp_path: Path, design: str) -> None:
    require_lab()
    done = lab(tmp_path, "matrix", "--strict", "--design", design)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(("plain ", "ambient ", "sidecar "))]
    assert [row.count("refused") for row in rows] == [2, 2, 1, 1, 0, 0]
    assert max(map(len, done.stdout.splitlines())) <= 100
