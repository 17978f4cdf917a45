"""What is written where: colours for terminals only, and no error when the reader has gone."""

from __future__ import annotations

import io
import os
import pty

import pytest

from mesh_py.process.console import Console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_file_gets_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert Console(io.StringIO()).styled("text", "bold") == "text"


def test_a_terminal_gets_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert Console(Terminal()).styled("text", "bold", "green") == "\033[1;32mtext\033[0m"


def test_unless_the_user_said_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert Console(Terminal()).styled("text", "bold") == "text"


def test_a_child_s_lines_carry_its_name() -> None:
    stream = io.StringIO()
    Console(stream).heard("node-a", "a line")
    assert stream.getvalue() == "node-a  a line\n"


def test_their_names_stand_in_a_column() -> None:
    stream = io.StringIO()
    Console(stream, name_styles={"sidecar-sleep": "green"}).heard("waypoint", "a line")
    assert stream.getvalue() == "waypoint      a line\n"


def test_children_are_told_apart_by_the_style_of_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    console = Console(terminal, name_styles={"node-a": "blue"})
    console.heard("node-a", "a line")
    console.heard("node-b", "a line")
    assert terminal.getvalue() == "\033[34mnode-a \033[0m a line\n\033[35mnode-b \033[0m a line\n"


def test_a_reader_that_has_gone_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.MonkeyPatch.context() as patch, io.TextIOWrapper(io.FileIO(writing, "w"), write_through=True) as stream:
        patch.delenv("NO_COLOR", raising=False)
        console = Console(stream)
        console.say("to nobody")
        console.say("to nobody again")


def test_what_an_encoding_cannot_say_is_replaced() -> None:
    raw = io.BytesIO()
    console = Console(io.TextIOWrapper(raw, encoding="ascii"))
    console.say("node-a ══ node-b")
    assert raw.getvalue() == b"node-a ?? node-b\n"


def test_a_real_terminal_is_known_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    controller, terminal = pty.openpty()
    with os.fdopen(controller, "rb", buffering=0) as screen, os.fdopen(terminal, "w") as stream:
        console = Console(stream)
        console.say(console.styled("text", "red"))
        assert screen.read(100) == b"\033[31mtext\033[0m\r\n"
