"""`run --step`: waits at each hop, for a key."""

from __future__ import annotations

import os
import sys
import termios
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from lab_py.step import hop_lines
from mesh_py.process.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab_py.topology import Topology

KEYS = "Enter: next hop   b: the one before   q: no more"
NO_TERMINAL = "note: standard input or output is no terminal: every hop is shown, and nothing is waited for"
_NEXT, _BACK, _END = frozenset("\r\n n"), frozenset("b\x7f"), frozenset("q\x04")


def step_through(run: dict[str, Any], topology: Topology) -> None:
    """Show the hops of a run one at a time; without a terminal, all of them at once. Ctrl-C is KeyboardInterrupt."""
    console = Console()
    count = len(run["hops"])
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        click.echo(NO_TERMINAL, err=True)
        for index in range(count):
            _show(console, run, topology, index)
        return
    index = 0
    with _single_keys():
        while index < count:
            _show(console, run, topology, index)
            console.say(console.styled(KEYS, "dim"))
            key = _key()
            if key in _END:
                console.say(f"{count - index - 1} of {count} hops were not shown")
                return
            index = max(0, index - 1) if key in _BACK else index + 1


def _show(console: Console, run: dict[str, Any], topology: Topology, index: int) -> None:
    for line in hop_lines(run, topology, index, console.styled):
        console.say(line)
    console.say()


def _key() -> str:
    """The next key that means anything."""
    while True:
        key = os.read(sys.stdin.fileno(), 1).decode("latin-1").lower()
        if not key:
            return "q"  # the terminal is gone
        if key in _NEXT | _BACK | _END:
            return key


@contextmanager
def _single_keys() -> Iterator[None]:
    """Keys come as they are pressed, without an echo; the terminal is as it was afterwards."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    termios.tcflush(descriptor, termios.TCIFLUSH)  # what was pressed while the lab came up was meant for nobody
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
