"""Writing without blocking, to everything standard output may be."""

from __future__ import annotations

import fcntl
import os
import pty
import socket
import termios
from contextlib import ExitStack, contextmanager

import pytest

from mesh_py.telemetry.log_output import ATOMIC_WRITE, LogOutput


def fill(output: LogOutput) -> int:
    """Write until the reader is behind; how many bytes were taken."""
    total = 0
    while (taken := output.write(b"x" * ATOMIC_WRITE)) or output.wait(0.2):  # a terminal moves bytes on later
        total += taken
        assert total < 1 << 26, "it never says stop"
    return total


@contextmanager
def opened(*descriptors: int):
    with ExitStack() as stack:
        for descriptor in descriptors:
            stack.callback(os.close, descriptor)
        yield


def pipe_ends() -> tuple[int, int]:
    return os.pipe()


def socket_ends() -> tuple[int, int]:
    one, other = socket.socketpair()
    return one.detach(), other.detach()


def terminal_ends() -> tuple[int, int]:
    reader, writer = pty.openpty()
    settings = termios.tcgetattr(writer)
    settings[1] &= ~termios.OPOST
    termios.tcsetattr(writer, termios.TCSANOW, settings)
    return reader, writer


ENDS = [pipe_ends, socket_ends, terminal_ends]


@pytest.mark.parametrize("ends", ENDS)
def test_bytes_arrive(ends):
    reader, writer = ends()
    with opened(reader, writer):
        output = LogOutput(writer)
        assert output.write(b"hello\n") == 6
        assert os.read(reader, 100) == b"hello\n"
        output.close()


@pytest.mark.parametrize("ends", ENDS)
def test_a_reader_that_stopped_is_told_and_not_waited_for(ends):
    reader, writer = ends()
    with opened(reader, writer):
        output = LogOutput(writer)
        assert fill(output) > 0
        os.read(reader, 1 << 20)
        while not output.write(b"more\n"):  # a socket and a terminal give a piece at a time
            if not output.wait(1):
                assert os.read(reader, 1 << 20)
        output.close()


@pytest.mark.parametrize("ends", ENDS)
def test_others_who_hold_the_descriptor_still_block(ends):
    reader, writer = ends()
    with opened(reader, writer):
        output = LogOutput(writer)
        assert not fcntl.fcntl(writer, fcntl.F_GETFL) & os.O_NONBLOCK
        output.close()
        os.write(writer, b"still open")


def test_a_file_takes_everything_where_others_stopped(tmp_path):
    with (tmp_path / "log").open("wb", buffering=0) as file:
        file.write(b"before\n")
        output = LogOutput(file.fileno())
        assert output.write(b"x" * 1_000_000) == 1_000_000
        output.close()
        file.write(b"after\n")
    text = (tmp_path / "log").read_bytes()
    assert (text[:7], len(text), text[-6:]) == (b"before\n", 1_000_013, b"after\n")


def test_a_reader_that_is_gone_is_an_error():
    reader, writer = os.pipe()
    os.close(reader)
    with opened(writer):
        output = LogOutput(writer)
        with pytest.raises(OSError, match="Broken pipe"):
            output.write(b"hello?\n")
        output.close()


def test_a_pipe_that_cannot_be_opened_anew_is_asked_first(monkeypatch):
    def refuse(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "open", refuse)
    reader, writer = os.pipe()
    with opened(reader, writer):
        output = LogOutput(writer)
        assert output.wants_small_pieces
        assert fill(output) > 0
        os.read(reader, ATOMIC_WRITE)
        assert output.write(b"y" * (2 * ATOMIC_WRITE)) == ATOMIC_WRITE
        output.close()


def test_the_null_device_is_fine():
    descriptor = os.open(os.devnull, os.O_WRONLY)
    with opened(descriptor):
        output = LogOutput(descriptor)
        assert output.write(b"x" * 100_000) == 100_000
        output.close()
