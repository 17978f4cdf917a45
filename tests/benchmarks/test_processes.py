"""Children are ended by pid, whatever they think of it, and their use of the machine is read from the kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from benchmarks.processes import BenchmarkError, Processes, usage_of, wait_until

if TYPE_CHECKING:
    from pathlib import Path

STUBBORN = """
import signal, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
signal.pause()
"""


def python(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_leaving_ends_every_child() -> None:
    with Processes() as processes:
        children = [processes.start(python("import signal; signal.pause()")) for _ in range(3)]
    assert not any(is_alive(child.pid) for child in children)


def test_a_command_that_is_not_there_is_told() -> None:
    with Processes() as processes, pytest.raises(BenchmarkError, match="no-such-proxy cannot be started: No such file"):
        processes.start(["no-such-proxy"])


def test_a_child_deaf_to_sigterm_is_killed() -> None:
    with Processes() as processes:
        child = processes.start(python(STUBBORN), stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"deaf\n"
        processes.end(child, patience=0.1)
        assert child.returncode == -9


def test_environment_is_laid_over_ours_and_the_log_takes_what_is_written(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Processes() as processes:
        text = "import os, sys; print(os.environ['WHO'], 'PATH' in os.environ, file=sys.stderr)"
        processes.start(python(text), environment={"WHO": "me"}, log=log).wait()
    assert log.read_text() == "me True\n"


def test_waiting_ends_at_once_when_the_process_has() -> None:
    with Processes() as processes:
        child = processes.start(python("raise SystemExit(3)"))
        with pytest.raises(BenchmarkError, match="the door: the process ended with status 3"):
            wait_until(lambda: False, "the door", 30, child)


def test_waiting_has_an_end() -> None:
    with pytest.raises(BenchmarkError, match=r"the door: not within 0\.05 s"):
        wait_until(lambda: False, "the door", 0.05)


def test_usage_covers_descendants_and_ended_children() -> None:
    busy = "import subprocess, sys, time\nwhile time.process_time() < 0.2: pass\n"
    parent = busy + (
        "subprocess.run([sys.executable, '-c', sys.argv[1]])\n"
        "child = subprocess.Popen([sys.executable, '-c', sys.argv[1] + 'print(1, flush=True)\\ntime.sleep(60)'],"
        " stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\nprint('done', flush=True)\nsys.stdin.read()\ntime.sleep(60)"
    )
    with Processes() as processes:
        child = processes.start([*python(parent), busy], stdout=subprocess.PIPE)
        assert child.stdout is not None
        assert child.stdout.readline() == b"done\n"
        usage = usage_of(child.pid)
        assert usage.cpu_s >= 0.55  # three times 0.2, in ticks of 0.01
        assert usage.rss_mb > 5
        assert usage.voluntary >= 1  # it waits for its child
        assert usage.since(usage).cpu_s == 0
