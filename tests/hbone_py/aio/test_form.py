"""Which form runs: decided from what is asked for and from what lies in the folder of compiled modules."""

from __future__ import annotations

import importlib.util
import json
import sys
from typing import TYPE_CHECKING

import pytest

from hbone_py.aio import form

if TYPE_CHECKING:
    from pathlib import Path

MODULES = ("hbone_py.frames", "hbone_py.flow")


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as the build leaves it, less the code; the import system is as it was afterwards."""
    monkeypatch.setattr(sys, "meta_path", sys.meta_path.copy())
    for module in MODULES:
        (tmp_path / f"{module}{form._SUFFIX}").touch()
    form.write_manifest(tmp_path, MODULES)
    return tmp_path


def found(module: str) -> str | None:
    spec = importlib.util.find_spec(module)
    return None if spec is None else spec.origin


def change(folder: Path, **parts: object) -> None:
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | parts))


@pytest.mark.parametrize("wanted", ["", "compiled"])
def test_compiled_modules_are_found_before_their_sources(compiled: Path, wanted: str, monkeypatch: pytest.MonkeyPatch):
    assert form.choose(wanted, compiled) == "compiled"
    monkeypatch.delitem(sys.modules, "hbone_py.frames")
    assert found("hbone_py.frames") == str(compiled / f"hbone_py.frames{form._SUFFIX}")


def test_others_are_found_as_ever(compiled: Path, monkeypatch: pytest.MonkeyPatch):
    form.choose("", compiled)
    monkeypatch.delitem(sys.modules, "hbone_py.events")
    assert str(found("hbone_py.events")).endswith("hbone_py/events.py")


def test_plain_is_plain(compiled: Path):
    finders = len(sys.meta_path)
    assert form.choose("plain", compiled) == "plain"
    assert len(sys.meta_path) == finders


def test_nothing_compiled_is_no_news(tmp_path: Path):
    assert form.choose("", tmp_path) == "plain"


def test_older_than_its_source_is_not_taken_and_says_so(compiled: Path):
    change(compiled, sources={"hbone_py.frames": "0" * 64})
    assert form.choose("", compiled).startswith("plain, compiled from older sources (hbone_py.frames)")


def test_a_source_that_is_gone_counts_as_changed(compiled: Path):
    change(compiled, sources={"hbone_py.gone": "0" * 64})
    assert form.choose("", compiled).startswith("plain, compiled from older sources (hbone_py.gone)")


def test_a_source_in_c_counts_too(compiled: Path):
    form.write_manifest(compiled, ["hbone_py.aio._way"])
    assert form.choose("", compiled) == "compiled"
    change(compiled, sources={"hbone_py.aio._way": "0" * 64})
    assert form.choose("", compiled).startswith("plain, compiled from older sources (hbone_py.aio._way)")


def test_for_another_interpreter(compiled: Path):
    change(compiled, suffix=".cpython-399-any.so")
    assert form.choose("", compiled) == "plain, compiled for another interpreter (.cpython-399-any.so)"


@pytest.mark.parametrize("reason", ["nothing is compiled", "compiled for another interpreter"])
def test_who_insists_is_told_why_not(compiled: Path, reason: str):
    if reason == "nothing is compiled":
        (compiled / "manifest.json").unlink()
    else:
        change(compiled, suffix="?")
    with pytest.raises(ImportError, match=f"HBONE_FORM=compiled: {reason}"):
        form.choose("compiled", compiled)


def test_another_word(compiled: Path):
    with pytest.raises(ImportError, match="HBONE_FORM=fast: `plain` or `compiled`, please"):
        form.choose("fast", compiled)


def test_the_form_that_runs_is_told():
    assert form.FORM.partition(",")[0] in ("plain", "compiled")
