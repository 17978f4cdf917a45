"""From samples of a proxy to the steps of its work: what each sampled stack was doing, by its innermost frame. Pure.

A sample's frame names function, file and line. The line's own text tells a system call from the thinking around it, so
that the classes stay true when functions are renamed; the rest goes by file.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.plan import Kind
from benchmarks.tables import table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.plan import Scenario


class Frame(NamedTuple):
    """`Relay._deliver (hbone_py/aio/relay.py:240)`."""

    function: str
    file: str
    line: int

    @staticmethod
    def parse(text: str) -> Frame:
        """From py-spy's form."""
        found = re.fullmatch(r"(.+) \((.+?)(?::(\d+))?\)", text)
        if found is None:
            return Frame(text, "", 0)
        return Frame(found.group(1), found.group(2), int(found.group(3) or 0))


Stack = tuple[Frame, ...]

WAKING = "waiting and waking: epoll, event loop, timers"
SEND, RECEIVE = "system calls: send", "system calls: receive"
OPEN = "system calls: accept, connect, shut down, close"
TLS = "TLS: encrypt, decrypt, buffers"
FRAMES = "HTTP/2: frames, streams, windows, headers"
RELAY = "sockets and streams, without their system calls"
HTTP = "HTTP/1.1: heads and bodies"
EXCHANGE = "request: exchange, attempts, pool, endpoint"
MESH = "mesh: route, policy, identity"
TELEMETRY = "log line, metrics, traces"
ROLE = "the role itself: what joins the steps"
REST = "the rest"

_CALLS = (
    (SEND, re.compile(r"\.send(msg|to)?\(")),
    (RECEIVE, re.compile(r"\.recv(_into|msg)?\(")),
    (OPEN, re.compile(r"\._?accept\(|\.connect(_ex)?\(|\.shutdown\(|_ss\.close\(|\.setsockopt\(|\.close\(\)|\.bind\(")),
    (WAKING, re.compile(r"\.poll\(|run_until_complete\(|\.register\(|\.select\(")),
)
_FILES = (
    (WAKING, ("asyncio/", "uvloop", "selectors.py", "hbone_py/aio/reactor.py", "hbone_py/aio/wheel.py")),
    (OPEN, ("socket.py", "hbone_py/aio/tcp.py")),
    (TLS, ("hbone_py/tls/", "OpenSSL/")),
    (RELAY, ("hbone_py/aio/",)),
    (FRAMES, ("hbone_py/", "h2/", "hpack/", "hyperframe/")),
    (HTTP, ("mesh_py/http/", "httptools")),
    (EXCHANGE, ("mesh_py/exchange/", "mesh_py/proxy/", "mesh_py/serve")),
    (TELEMETRY, ("mesh_py/telemetry/", "logging/")),
    (MESH, ("mesh_py/",)),
    (ROLE, ("ztunnel_py/", "sidecar_py/", "waypoint_py/")),
)
ORDER = (WAKING, RECEIVE, SEND, OPEN, TLS, RELAY, FRAMES, HTTP, EXCHANGE, MESH, TELEMETRY, ROLE, REST)
_KERNEL = {WAKING, RECEIVE, SEND, OPEN}
_LEAST_SHARE = 0.005


def step_of(frame: Frame, text: str) -> str:
    """The step that a frame belongs to; `text` is its source line."""
    for step, pattern in _CALLS:
        if pattern.search(text):
            return step
    for step, beginnings in _FILES:
        if frame.file.startswith(beginnings):
            return step
    return REST


def parse_stacks(text: str) -> Counter[Stack]:
    """py-spy's collapsed stacks: frames from the outermost on, joined by semicolons, and a count."""
    found: Counter[Stack] = Counter()
    for line in text.splitlines():
        frames, _, count = line.rpartition(" ")
        found[tuple(Frame.parse(frame) for frame in frames.split(";"))] += int(count)
    return found


def samples_by_step(stacks: Mapping[Stack, int], source: Callable[[str, int], str]) -> Counter[str]:
    """How many samples each step has; `source` gives a file's line."""
    counted: Counter[str] = Counter()
    for stack, count in stacks.items():
        inner = _innermost(stack)
        counted[step_of(inner, source(inner.file, inner.line))] += count
    return counted


def costs(samples: Mapping[str, int], user: float, kernel: float) -> dict[str, float]:
    """What each step costs: kernel time is shared out over the system calls, the program's over all others.

    A process that waits for a core, having woken another by a system call, is sampled in that call: so the two kinds
    are kept apart.
    """
    whole = {True: 0, False: 0}
    for step, count in samples.items():
        whole[step in _KERNEL] += count
    return {
        step: (kernel if step in _KERNEL else user) * samples[step] / whole[step in _KERNEL]
        for step in ORDER
        if samples.get(step)
    }


def _innermost(stack: Stack) -> Frame:
    """The last frame of a file that says something: generated code and type machinery count with their caller."""
    told = [frame for frame in stack if frame.file and not frame.file.startswith("<")]
    return (told or list(stack))[-1]


def profile_for(scenario: Scenario) -> str:
    """The name of the profile that tells about a scenario's traffic."""
    if scenario.kind in (Kind.HTTP, Kind.DOWNLOAD):
        return "layer-7"
    names = {Kind.BULK: "bulk", Kind.CONNECT: "connect", Kind.RR: "round-trip", Kind.BESIDE: "round-trip"}
    return names.get(scenario.kind, "idle")


def steps_table(profile: Mapping[str, Any]) -> str:
    """Cost and share of every step of one profile."""
    steps: Mapping[str, float] = profile["steps"]
    whole = sum(steps.values())
    digits = 3 if whole < 10 else 1
    rows = [
        [step, f"{cost:.{digits}f}", f"{100 * cost / whole:.0f} %"]
        for step, cost in steps.items()
        if cost >= whole * _LEAST_SHARE
    ]
    return table(["step", profile["unit"], "share"], [*rows, ["all proxies together", f"{whole:.{digits}f}", ""]])
