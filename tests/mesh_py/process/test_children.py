"""Processes of our own making: what they are given, what is heard of them, how they end."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from mesh_py.process.children import Child, start_child, worker_number, worker_socket

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SCRIPT = (
    "import sys; print('to output'); print('to error', file=sys.stderr); sys.stdout.write('no newline'); sys.exit(3)"
)
WAIT = "import signal; print('waiting', flush=True); signal.pause()"


class Heard:
    """Collects lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __call__(self, name: str, line: str) -> None:
        self.lines.append((name, line))


async def ended(child: Child) -> int:
    status = await child.ended()
    assert child.status == status
    return status


def test_a_worker_knows_its_number_by_its_path(tmp_path: Path) -> None:
    assert worker_number(worker_socket(tmp_path, 12, 345)) == 12


async def test_every_line_is_heard_with_the_name() -> None:
    heard = Heard()
    child = await start_child("it", ["-u", "-c", SCRIPT], {}, heard)
    assert await ended(child) == 3
    assert heard.lines == [("it", "to output"), ("it", "to error"), ("it", "no newline")]
    assert child.last_line == "no newline"


async def test_a_child_gets_what_it_is_given_and_what_python_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXY_MODE", "dedicated")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    heard = Heard()
    code = "import os; print(os.environ.get('PROXY_MODE'), os.environ['GIVEN'], os.environ['PYTHONDONTWRITEBYTECODE'])"
    child = await start_child("it", ["-c", code], {"GIVEN": "yes"}, heard)
    assert await ended(child) == 0
    assert heard.lines == [("it", "None yes 1")]


async def test_a_line_of_any_length_and_any_bytes_is_heard() -> None:
    heard = Heard()
    code = "import sys; sys.stdout.buffer.write(b'x' * 1_000_000 + b'\\xff\\n')"
    assert await ended(await start_child("it", ["-c", code], {}, heard)) == 0
    assert heard.lines == [("it", "x" * 1_000_000 + "\ufffd")]


async def test_a_signal_ends_it_and_later_ones_reach_nobody() -> None:
    child = await start_child("it", ["-c", WAIT], {}, Heard())
    child.signal(signal.SIGTERM)
    assert await ended(child) == -signal.SIGTERM
    child.signal(signal.SIGTERM)


async def test_ctrl_c_at_the_terminal_does_not_reach_it_yet_the_kernel_sees_one_family() -> None:
    child = await start_child("it", ["-c", WAIT], {}, Heard())
    assert os.getpgid(child.pid) == child.pid != os.getpgid(0)
    assert os.getsid(child.pid) == os.getsid(0), "its turns would be those of a program by itself"
    child.signal(signal.SIGKILL)
    assert await ended(child) == -signal.SIGKILL
