"""The compiled form, made from a copy of the sources: the tests of the plain one hold for it too."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from accelerator.modules import MODULES, WRITTEN_IN_C
from tests.support.require import require_tool
from tests.support.source_tree import ROOT, packages

if TYPE_CHECKING:
    from pathlib import Path

SUBCLASSES_IN_PYTHON = "tests/ztunnel_py/test_connections.py"
"""Which mypyc allows of no compiled class."""
SAME_TESTS = (
    *("tests/hbone_py", "tests/mesh_py/http", "tests/mesh_py/exchange", "tests/sidecar_py", "tests/waypoint_py"),
    *("tests/ztunnel_py", f"--ignore={SUBCLASSES_IN_PYTHON}"),
    *("tests/fuzz/test_differential.py", "tests/conformance", "tests/interop"),
)
NOT_COPIED = shutil.ignore_patterns("_compiled", "__pycache__")
FORMS = "import hbone_py.aio.native as n, hbone_py.connection as c; print(n.FORM, c.__file__.endswith('.so'))"


def run(tree: Path, form: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Our Python in the copied tree, which comes before the installed one."""
    environment = {**os.environ, "HBONE_FORM": form}
    return subprocess.run(
        [sys.executable, *arguments], cwd=tree, env=environment, capture_output=True, text=True, check=False
    )


def said(tree: Path, form: str) -> str:
    done = run(tree, form, "-c", FORMS)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, compiled."""
    require_tool("cc")
    copy = tmp_path_factory.mktemp("tree")
    for folder in (*packages(), *(ROOT / name for name in ("accelerator", "certs", "docs", "tests"))):
        shutil.copytree(folder, copy / folder.name, ignore=NOT_COPIED)
    shutil.copy(ROOT / "pyproject.toml", copy)
    done = run(copy, "plain", "-m", "accelerator.build")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(MODULES) + len(WRITTEN_IN_C)} modules compiled into hbone_py/_compiled" in done.stdout
    return copy


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_the_same_tests_pass(tree: Path):
    done = run(tree, "compiled", "-m", "pytest", "-q", "-p", "no:cacheprovider", *SAME_TESTS)
    assert done.returncode == 0, done.stdout[-10_000:]


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_each_form_can_be_asked_for(tree: Path):
    assert said(tree, "") == said(tree, "compiled") == "compiled True"
    assert said(tree, "plain") == "plain False"


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_a_changed_source_runs_plain_until_it_is_compiled_again(tree: Path):
    source = tree / "hbone_py/frames.py"
    before = source.read_bytes()
    source.write_bytes(before + b"\n")
    try:
        assert said(tree, "").startswith("plain, compiled from older sources (hbone_py.frames)")
        assert "HBONE_FORM=compiled: compiled from older sources" in run(tree, "compiled", "-c", FORMS).stderr
    finally:
        source.write_bytes(before)
