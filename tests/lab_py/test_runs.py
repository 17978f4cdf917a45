"""What a run leaves for whoever started it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lab_py.errors import LabError
from lab_py.runs import leave_result, take_result, told

if TYPE_CHECKING:
    from pathlib import Path


def test_who_takes_the_result_adds_how_long_the_lab_took_to_be_gone(tmp_path: Path) -> None:
    assert take_result(tmp_path) is None, "it did not come so far"
    leave_result(tmp_path, {"ok": True, "times": {"up": 1.5}})
    found = take_result(tmp_path)
    assert found is not None
    assert found.keys() == {"ok", "times"}
    assert found["times"].keys() == {"up", "down"}
    assert found["times"]["down"] >= 0


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("import sys; sys.exit('error: no such device')", "no such device"),
        ("import sys; print('{}'); sys.exit(8)", "a run ended with status 8"),
    ],
)
def test_a_run_that_does_not_come_up(code: str, complaint: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", code], stdout=-1, stderr=-1, text=True)
    with process, pytest.raises(LabError, match=complaint):
        told(process)
