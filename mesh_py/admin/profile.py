"""Where this process spends its processor time.

A timer of the kernel that runs only while the process does (ITIMER_PROF) interrupts the main thread, where the event
loop and the whole data path are; the stack met there gets the CPU time used since the last look. So an idle proxy
gives an empty profile, and no look waits for a convenient moment: a sampling thread would see little but the calls
that release the interpreter lock, such as the wait for events. What remains uneven: C code counts for the Python
function that called it, and all other threads are one line.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

Stack = tuple[str, ...]
"""Frames from the outermost in."""

Profile = dict[Stack, int]
"""Microseconds of CPU time per stack."""

OTHER_THREADS = ("(other threads)",)
MAX_DEPTH = 200


class ProfileError(Exception):
    """No profile can be taken; the text says why."""


@dataclass(frozen=True, slots=True)
class ProfileRequest:
    """How long and how often to look. Raises ValueError out of bounds (hbone-controlplane 7.2)."""

    seconds: float = 10.0
    """1 to 300."""
    frequency: int = 100
    """Looks per second of CPU time, 1 to 1000; the kernel's clock may not be that fine."""

    def __post_init__(self) -> None:
        if not 1 <= self.seconds <= 300:
            raise ValueError("seconds must be 1 to 300")
        if not 1 <= self.frequency <= 1000:
            raise ValueError("frequency must be 1 to 1000")


async def profile_this_process(request: ProfileRequest) -> Profile:
    """Sample the main thread while the loop goes on. Raises ProfileError if the loop runs in another thread."""
    sampler = _Sampler()
    sampler.start(1 / request.frequency)
    try:
        await asyncio.sleep(request.seconds)
    finally:
        sampler.stop()
    return sampler.profile()


def collapsed(profile: Profile) -> str:
    """One line per stack, `outer;inner microseconds`: the input of flame graph tools."""
    return "".join(f"{';'.join(stack)} {cpu}\n" for stack, cpu in sorted(profile.items()))


def speedscope(profile: Profile, name: str) -> str:
    """The profile as a speedscope file (JSON)."""
    index: dict[str, int] = {}
    samples = [[index.setdefault(frame, len(index)) for frame in stack] for stack in profile]
    weights = list(profile.values())
    sampled = {
        "type": "sampled",
        "name": name,
        "unit": "microseconds",
        "startValue": 0,
        "endValue": sum(weights),
        "samples": samples,
        "weights": weights,
    }
    return json.dumps(
        {
            "$schema": "https://www.speedscope.app/file-format-schema.json",
            "shared": {"frames": [{"name": frame} for frame in index]},
            "profiles": [sampled],
        }
    )


class _Sampler:
    def __init__(self) -> None:
        self._cpu: Counter[Stack] = Counter()
        self._started = (0, 0)
        self._last = 0

    def start(self, interval: float) -> None:
        try:
            signal.signal(signal.SIGPROF, self._look)
        except ValueError as error:
            raise ProfileError("the event loop does not run in the main thread") from error
        signal.siginterrupt(signal.SIGPROF, False)  # system calls go on by themselves
        self._last = time.thread_time_ns()
        self._started = (time.process_time_ns(), self._last)
        signal.setitimer(signal.ITIMER_PROF, interval, interval)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        # Not the default action, which ends the process: a last signal may be on its way.
        signal.signal(signal.SIGPROF, signal.SIG_IGN)
        process, thread = self._started
        others = (time.process_time_ns() - process) - (time.thread_time_ns() - thread)
        self._cpu[OTHER_THREADS] += max(0, others)

    def profile(self) -> Profile:
        return {stack: nanoseconds // 1000 for stack, nanoseconds in self._cpu.items() if nanoseconds >= 1000}

    def _look(self, _: int, frame: FrameType | None) -> None:
        now = time.thread_time_ns()
        self._cpu[_stack(frame)] += now - self._last
        self._last = now


def _stack(frame: FrameType | None) -> Stack:
    stack: list[str] = []
    while frame is not None and len(stack) < MAX_DEPTH:
        code = frame.f_code
        stack.append(f"{frame.f_globals.get('__name__', '?')}.{code.co_qualname}:{code.co_firstlineno}")
        frame = frame.f_back
    return tuple(reversed(stack))
