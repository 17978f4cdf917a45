"""What the system says fits into a line of ours."""

from __future__ import annotations

import errno
import os

import pytest

from mesh_py.process.reason import reason_of


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(OSError(errno.EACCES, os.strerror(errno.EACCES), "/a/file"), "permission denied", id="by number"),
        pytest.param(OSError("Truncated"), "truncated", id="by text alone"),
    ],
)
def test_reason(error: OSError, reason: str) -> None:
    assert reason_of(error) == reason
