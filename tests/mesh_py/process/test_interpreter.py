"""How a start may end before it has begun. What people see is in tests/test_project.py, for every command."""

from __future__ import annotations

import pytest

from mesh_py.process.interpreter import starting


def test_what_others_make_can_be_installed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end, starting("ztunnel_py"):
        raise ModuleNotFoundError(name="click")
    assert end.value.code == 2
    assert capsys.readouterr().err.endswith(
        " has no click: say .venv/bin/python -m ztunnel_py (make run makes .venv)\n"
    )


@pytest.mark.parametrize("name", ["mesh_py.process.gone", None])
def test_what_is_ours_is_a_bug(name: str | None) -> None:
    with pytest.raises(ModuleNotFoundError), starting("ztunnel_py"):
        raise ModuleNotFoundError(name=name)


def test_ctrl_c_while_it_is_loaded(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end, starting("ztunnel_py"):
        raise KeyboardInterrupt
    assert end.value.code == 130
    assert end.value.__suppress_context__
    assert capsys.readouterr() == ("", "")
