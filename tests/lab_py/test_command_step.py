"""Stepping through a run with keys, at a terminal of the test's own; and without one."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING

import pytest

from lab_py.command_step import KEYS, NO_TERMINAL
from tests.support.source_tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP = (
    "from lab_py.builtin import load; from lab_py.command_step import step_through\n"
    "from tests.lab_py.page.runs import run\nstep_through(run(), load('ambient-to-sidecar'))\nprint('done')"
)
SECONDS = 20.0


class Terminal:
    """Somebody at a keyboard."""

    def __init__(self) -> None:
        self._ours, theirs = pty.openpty()
        self.before = termios.tcgetattr(theirs)
        self._theirs = theirs
        self.process = subprocess.Popen([sys.executable, "-c", STEP], cwd=ROOT, stdin=theirs, stdout=theirs)
        self._text = ""

    def sees(self, wanted: str) -> str:
        """All that was shown until then, and not before."""
        deadline = time.monotonic() + SECONDS
        while wanted not in self._text:
            ready, _, _ = select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"no {wanted!r} in {self._text!r}"
            self._text += os.read(self._ours, 65_536).decode()
        shown, self._text = self._text.split(wanted, 1)
        return shown

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def settings(self) -> list[object]:
        return termios.tcgetattr(self._theirs)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    made.close()


def test_a_key_leads_on_and_back(terminal: Terminal) -> None:
    assert "hop (1)" in terminal.sees(KEYS)
    terminal.press("x\r")  # one that means nothing, and Enter
    assert "hop (2)" in terminal.sees(KEYS)
    terminal.press("b")
    assert "hop (1)" in terminal.sees(KEYS)
    terminal.press("  ")
    assert "hop (2)" in terminal.sees("done")
    assert terminal.process.wait(SECONDS) == 0
    assert terminal.settings() == terminal.before, "the terminal is as it was"


def test_q_ends_it(terminal: Terminal) -> None:
    terminal.sees(KEYS)
    terminal.press("q")
    assert "1 of 2 hops were not shown" in terminal.sees("done")


def test_ctrl_c_leaves_the_terminal_as_it_was(terminal: Terminal) -> None:
    terminal.sees(KEYS)
    terminal.process.send_signal(2)
    assert terminal.process.wait(SECONDS) != 0
    assert terminal.settings() == terminal.before


def test_without_a_terminal_nothing_is_waited_for() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STEP], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == NO_TERMINAL
    assert [line for line in done.stdout.splitlines() if line.startswith("hop (")] == [
        "hop (1) of 2: observed", "hop (2) of 2: NOT observed as predicted",
    ]  # fmt: skip
    assert "\033[" not in done.stdout
