"""The Python that runs our proxies: which one, how fast its interpreter is, and which form of our code it runs.

Builds of one version differ: with profile-guided optimisation the interpreter is a quarter to a third faster. What a
build says of itself is not always true, so a short measured loop stands beside it.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from benchmarks.plan import Code

VARIABLE = "BENCH_PYTHON"
"""Names another interpreter for our proxies; it must be of our own minor version, whose libraries it borrows."""

_ROOT = Path(__file__).parent.parent

# Method calls, attributes, a dictionary and slices of a memoryview: what a proxy's code is made of.
_LOOP = """
import platform, sysconfig, time
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
said = sysconfig.get_config_var("CONFIG_ARGS") or ""
build = [("PGO", "--enable-optimizations" in said), ("LTO", "--with-lto" in said)]
words = "with " + " and ".join(name for name, has in build if has) if any(has for _, has in build) else "without PGO"
speed = 0.05 / min(once() for _ in range(15))
print(f"{platform.python_implementation()} {platform.python_version()}, {speed:.1f} million steps/s; built {words}")
"""


def command() -> str:
    """The interpreter to start our proxies with."""
    return os.environ.get(VARIABLE) or sys.executable


def environment(code: Code = Code.PLAIN) -> dict[str, str]:
    """What chooses the form, and what a borrowed interpreter needs in order to find our packages and libraries."""
    chosen = {"HBONE_FORM": code.value}
    if command() == sys.executable:
        return chosen
    return {**chosen, "PYTHONPATH": os.pathsep.join([str(_ROOT), sysconfig.get_path("platlib")])}


@functools.cache
def has_compiled() -> bool:
    """Whether the compiled form can run: it is there, and made from these very sources for this interpreter."""
    probe = "from hbone_py.aio import form; assert form.FORM == 'compiled'"
    wanted = {**os.environ, **environment(Code.COMPILED)}
    done = subprocess.run([command(), "-c", probe], capture_output=True, check=False, env=wanted, cwd=_ROOT)
    return done.returncode == 0


def describe() -> str:
    """`CPython 3.11.7, 8.3 million steps/s; built with PGO`: the version, the speed of a fixed loop, the build."""
    done = subprocess.run([command(), "-c", _LOOP], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else "does not run"
