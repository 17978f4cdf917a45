"""The Python that runs our proxies: which one, and how fast its interpreter is.

Builds of one version differ: with profile-guided optimisation the interpreter is a quarter to a third faster, and
nothing in a build says reliably whether it was made so. A short measured loop does.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

VARIABLE = "BENCH_PYTHON"
"""Names another interpreter for our proxies; it must be of our own minor version, whose libraries it borrows."""

_ROOT = Path(__file__).parent.parent

# Method calls, attributes, a dictionary and slices of a memoryview: what a proxy's code is made of.
_LOOP = """
import platform, time
class Walker:
    __slots__ = ("at", "seen")
    def step(self, by):
        self.at += by
        self.seen[by & 63] = self.at
def walk():
    walker, view = Walker(), memoryview(bytearray(4096))
    walker.at, walker.seen = 0, {}
    for by in range(50_000):
        walker.step(by)
        view[by & 1023 : (by & 1023) + 9]
def once():
    started = time.process_time()
    walk()
    return time.process_time() - started
print(f"{platform.python_implementation()} {platform.python_version()}, {0.05 / min(once() for _ in range(15)):.1f}")
"""


def command() -> str:
    """The interpreter to start our proxies with."""
    return os.environ.get(VARIABLE) or sys.executable


def environment() -> dict[str, str]:
    """What a borrowed interpreter needs in order to find our packages and libraries; nothing for our own."""
    if command() == sys.executable:
        return {}
    return {"PYTHONPATH": os.pathsep.join([str(_ROOT), sysconfig.get_path("platlib")])}


def describe() -> str:
    """`CPython 3.11.7, 8.3 million steps/s`: the version, and the speed of a fixed loop."""
    done = subprocess.run([command(), "-c", _LOOP], capture_output=True, text=True, check=False)
    return f"{done.stdout.strip()} million steps/s" if done.returncode == 0 else "does not run"
