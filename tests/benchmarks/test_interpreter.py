"""Which Python runs our proxies."""

import re
import shutil
import sys

import pytest

from benchmarks import interpreter


def test_our_own_interpreter_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(interpreter.VARIABLE, raising=False)
    assert interpreter.command() == sys.executable
    assert interpreter.environment() == {"HBONE_FORM": "plain"}
    assert re.fullmatch(r"CPython 3\.\d+\.\d+\S*, \d+\.\d million steps/s; built with(out)? .+", interpreter.describe())


def test_a_borrowed_one_is_told_where_our_libraries_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(interpreter.VARIABLE, "/opt/python/bin/python3")
    assert interpreter.command() == "/opt/python/bin/python3"
    assert "site-packages" in interpreter.environment()["PYTHONPATH"]


def test_one_that_cannot_run_is_no_error_of_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(interpreter.VARIABLE, shutil.which("false") or "false")
    assert interpreter.describe() == "does not run"
