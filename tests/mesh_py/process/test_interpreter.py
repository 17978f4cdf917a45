"""Whose fault a missing module is. What people see is in tests/test_project.py, for every command."""

from __future__ import annotations

import pytest

from mesh_py.process.interpreter import lacking


def test_what_others_make_can_be_installed(capsys: pytest.CaptureFixture[str]) -> None:
    assert lacking(ModuleNotFoundError(name="click"), "ztunnel_py").code == 2
    assert capsys.readouterr().err.endswith(
        " has no click: say .venv/bin/python -m ztunnel_py (make run makes .venv)\n"
    )


@pytest.mark.parametrize("name", ["mesh_py.process.gone", None])
def test_what_is_ours_is_a_bug(name: str | None) -> None:
    with pytest.raises(ModuleNotFoundError):
        lacking(ModuleNotFoundError(name=name), "ztunnel_py")
