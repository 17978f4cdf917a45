"""Coexistence for real: every cell of the matrix, as root and in a user namespace."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.lab_py.labs import lab, require_lab

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.soak
@pytest.mark.lab
@pytest.mark.privileged
@pytest.mark.parametrize("how", [[], ["--rootless", "--tunnel", "packet"]], ids=["as root", "rootless"])
def test_everybody_reaches_everybody(tmp_path: Path, how: list[str]) -> None:
    require_lab()
    done = lab(tmp_path, "matrix", *how, "-o", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(json.loads(done.stdout)["hops"]) == 18
