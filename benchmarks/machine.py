"""Facts about the machine, to stand beside the numbers, and who else uses it meanwhile."""

from __future__ import annotations

import os
import platform
import re
import shutil
import ssl
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import interpreter
from benchmarks.processes import usage_of

DISTURBED_CORES = 0.25
"""A measurement during which others use more cores than this counts as disturbed."""
_CALM_LOOK_SECONDS = 0.3
_TICK = os.sysconf("SC_CLK_TCK")


_HOT_MODULES = {
    True: "plain Python, and compiled (`ours compiled`); both are judged",
    False: "plain Python; nothing compiled from these sources is here (`make accelerated` compiles it)",
}


def machine_facts() -> dict[str, str]:
    """What a reader needs in order to judge or repeat the run; titles to values."""
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    return {
        "CPU": f"{os.cpu_count()} × {_cpu_model()}",
        "memory": f"{int(memory.group(1)) / 1e6:.1f} GB" if memory else "unknown",
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "TCP congestion control": _first_line("/proc/sys/net/ipv4/tcp_congestion_control"),
        "Python of our proxies": interpreter.describe(),
        "hot modules of ours": _HOT_MODULES[interpreter.has_compiled()],
        "OpenSSL of Python": ssl.OPENSSL_VERSION,
        "OpenSSL of cryptography": _cryptography_openssl(),
        "compiler": _version("cc", "--version"),
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


def congestion_controls() -> list[str]:
    """What a namespace may choose from."""
    return _first_line("/proc/sys/net/ipv4/tcp_available_congestion_control").split()


def _cpu_model() -> str:
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    return found.group(1).strip() if found else platform.machine()


def _cryptography_openssl() -> str:
    from cryptography.hazmat.backends.openssl.backend import backend

    return backend.openssl_version_text()


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return "unknown"


def _version(tool: str, flag: str) -> str:
    if shutil.which(tool) is None:
        return "none"
    output = subprocess.run([tool, flag], capture_output=True, text=True, check=False).stdout
    return output.partition("\n")[0].strip()


@dataclass(frozen=True, slots=True)
class Load:
    """The machine's busy and stolen seconds so far, over all cores, and our own part of the busy ones."""

    at: float
    busy_s: float
    stolen_s: float
    own_s: float

    @staticmethod
    def now() -> Load:
        """Reads /proc/stat and our own accounting, ended children included."""
        ticks = [int(field) for field in _first_line("/proc/stat").split("\n")[0].split()[1:]]
        user, nice, system, _idle, _wait, irq, softirq, steal = ticks[:8]
        busy = user + nice + system + irq + softirq
        return Load(time.monotonic(), busy / _TICK, steal / _TICK, usage_of(os.getpid()).cpu_s)

    def others_since(self, before: Load) -> tuple[float, float]:
        """Cores that others used meanwhile, on this machine and (stolen) on its host."""
        elapsed = max(self.at - before.at, 1e-9)
        others = (self.busy_s - before.busy_s) - (self.own_s - before.own_s)
        return max(others, 0.0) / elapsed, (self.stolen_s - before.stolen_s) / elapsed


def await_calm(seconds: float) -> None:
    """Returns when others use few enough cores, or after `seconds`, whichever is first."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        before = Load.now()
        time.sleep(_CALM_LOOK_SECONDS)
        if Load.now().others_since(before)[0] <= DISTURBED_CORES:
            return
