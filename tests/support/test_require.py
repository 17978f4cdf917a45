"""The rule about what may be missing: a loud skip here, a failure where everything is required."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support import require
from tests.support.source_tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WITHOUT: dict[str, Callable[[], object]] = {
    "a tool": lambda: require.require_tool("no-such-tool"),
    "root": require.require_root,
    "namespaces": require.require_netns,
    "Envoy": require.require_envoy,
}


@pytest.fixture(params=WITHOUT.values(), ids=list(WITHOUT))
def requirement(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    """A requirement that this machine, as seen by the test, does not meet."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    asked: Callable[[], object] = request.param
    return asked


def test_what_is_missing_is_a_skip_with_its_reason(
    requirement: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUIRE_ALL", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"no command|not root|no Envoy"):
        requirement()


def test_what_is_missing_is_a_failure_where_everything_is_required(
    requirement: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUIRE_ALL", "1")
    with pytest.raises(pytest.fail.Exception, match="REQUIRE_ALL is set"):
        requirement()


def test_a_tool_that_is_there_is_found_by_its_path() -> None:
    assert require.require_tool("sh").endswith("/sh")


def test_a_missing_tools_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUIRE_ALL", raising=False)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(pytest.skip.Exception, match="nghttp2-client"):
        require.require_tool("h2load")


def test_the_last_lines_of_a_run_name_what_was_skipped(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "def test_one(): pytest.skip('no luck')\n"
        "@pytest.mark.skipif(True, reason='no right')\n"
        "def test_two(): pass\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", "/dev/null", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    first, second = [line for line in done.stdout.splitlines()[-4:] if line.startswith("SKIPPED")]
    assert first.endswith("test_it.py::test_one: no luck")
    assert second.endswith("test_it.py::test_two: no right")
