"""The applications as processes: ready when they say so, gone when told, one line when they cannot start."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

APPS = ["lab_py.apps.httpbin", "lab_py.apps.tcp_echo"]


@contextlib.contextmanager
def started(*command: str, fd: int | None = None) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pass_fds=() if fd is None else (fd,),
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_it_says_where_it_listens_and_ends_with_0(app: str, number: int) -> None:
    with started(app, "--port", "0") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        host, _, port = line.rpartition(" ")[2].strip().rpartition(":")
        socket.create_connection((host, int(port))).close()
        process.send_signal(number)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize("app", APPS)
def test_the_ready_descriptor_gets_the_address(app: str) -> None:
    reading, writing = os.pipe()
    with started(app, "--host", "127.0.0.2", "--port", "0", "--ready-fd", str(writing), fd=writing):
        os.close(writing)
        with os.fdopen(reading) as ready:
            host, port = ready.read().split()  # ends when the application closes its side
        socket.create_connection((host, int(port))).close()
    assert host == "127.0.0.2"


def test_a_record_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "calls"
    with started("lab_py.apps.httpbin", "--port", "0", "--record", str(file)) as process:
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output) == (2, "")
    assert errors == f"error: httpbin: {file}: No such file or directory\n"


@pytest.mark.parametrize("app", APPS)
def test_a_taken_port_is_one_line_and_status_2(app: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with started(app, "--port", str(port)) as process:
            output, errors = process.communicate(timeout=20)
    assert (process.returncode, output) == (2, "")
    assert errors.count("\n") == 1
    assert f"'127.0.0.1', {port}" in errors
