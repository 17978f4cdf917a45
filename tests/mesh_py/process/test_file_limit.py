"""The soft limit of open files becomes the hard one, and strangers get a share, in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import resource
soft, hard = {limits}
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
from mesh_py.process.file_limit import raise_file_limit, share_of_files
print(raise_file_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE), share_of_files(100), share_of_files(10))
"""


@pytest.mark.parametrize("limits", [(64, 128), (128, 128)])
def test_the_limit_is_raised_as_far_as_it_goes(limits: tuple[int, int]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(limits=limits)], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == "128 128 128 16 10\n"
