"""Which release runs: what is installed says it, and a folder alone says nothing."""

from __future__ import annotations

import sys
from importlib.metadata import version

from mesh_py.process.release import release
from tests.support.processes import run_tool
from tests.support.source_tree import ROOT


def test_it_is_what_is_installed() -> None:
    assert release() == version("hbone-mesh")


async def test_a_folder_has_none() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from mesh_py.process.release import release; print(release())"
    )
    done = await run_tool(sys.executable, "-S", "-I", "-c", code)
    assert done.stdout == b"unknown\n"
