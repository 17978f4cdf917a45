"""Other programs as test peers: started here, watched by what they write, ended by their own process id."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

POLL_SECONDS = 0.01
"""How often a condition of another process is looked at; never how long a test takes to be right."""

SETTLED_LOOKS = 25

Answer = TypeVar("Answer")


class PeerFailed(AssertionError):
    """A peer process ended, or did not reach the awaited state in time. The text holds its last output."""


class PeerProcess:
    """One running program whose output goes to a file.

    Start it from the main thread: Envoy has the kernel end it together with the *thread* that started it.
    """

    def __init__(self, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        assert threading.current_thread() is threading.main_thread(), "start peers from the main thread"
        self.log = log
        environment = None if env is None else {**os.environ, **env}
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def status(self) -> int | None:
        """Its exit status, None while it runs."""
        return self._process.poll()

    @property
    def output(self) -> str:
        return self.log.read_text(errors="replace")

    @property
    def resident_bytes(self) -> int:
        """Resident memory now, from /proc."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
        """Return once `condition` holds; PeerFailed if the process ends or `seconds` pass before that."""
        deadline = time.monotonic() + seconds
        while not condition():
            if not self.is_running:
                raise PeerFailed(f"ended with {self._process.returncode} before {what}:\n{self.output[-2000:]}")
            if time.monotonic() > deadline:
                raise PeerFailed(f"not {what} after {seconds} s:\n{self.output[-2000:]}")
            time.sleep(POLL_SECONDS)

    def kill(self) -> None:
        """End it as a crash would: SIGKILL, no farewell on any connection."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, then SIGKILL if it does not obey. Safe to call twice."""
        try:
            self._end(signal.SIGTERM)
        except subprocess.TimeoutExpired:
            self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self.is_running:
            self._process.send_signal(how)
        self._process.wait(timeout=5)


def poll(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """`eventually` for tests without an event loop."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not {what} after {seconds} s"
        time.sleep(POLL_SECONDS)


async def eventually(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Let the event loop run until `condition` holds; AssertionError naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not {what} after {seconds} s"
        await asyncio.sleep(POLL_SECONDS)


async def answers(
    ask: Callable[[], Awaitable[Answer]], holds: Callable[[Answer], bool], what: str, seconds: float = 20.0
) -> None:
    """Ask until the answer is one for which `holds` does: what another process comes to, it tells nobody."""
    deadline = time.monotonic() + seconds
    while not holds(answer := await ask()):
        assert time.monotonic() < deadline, f"not {what} after {seconds} s, but {answer!r}"
        await asyncio.sleep(POLL_SECONDS)


async def settled(value: Callable[[], int], seconds: float = 30.0) -> int:
    """`value` once it has stopped changing for a quarter of a second: for what comes to rest without a sign."""
    deadline = time.monotonic() + seconds
    last, looks = value(), 0
    while looks < SETTLED_LOOKS:
        assert time.monotonic() < deadline, f"still changing after {seconds} s: {last}"
        await asyncio.sleep(POLL_SECONDS)
        now = value()
        looks = looks + 1 if now == last else 0
        last = now
    return last


async def run_tool(*command: str, stdin: bytes = b"", seconds: float = 20.0) -> subprocess.CompletedProcess[bytes]:
    """Run a short command-line tool beside the event loop; its status and output, stderr included apart."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(stdin), seconds)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def loopback_address() -> str:
    """An address of 127.0.0.0/8 nobody uses, so that every peer can keep the real ports.

    127.0.*.* stays free for worlds that people run beside the tests. No test process gives one twice, and those of
    one run draw from parts of their own: by pure chance, one run in a hundred or so would see one address taken.
    """
    while (address := f"127.{our_second_number()}.{_dice.randint(0, 255)}.{_dice.randint(1, 254)}") in _given:
        pass
    _given.add(address)
    return address


_dice = random.SystemRandom()
"""Not the module's own: hypothesis has that draw the same in every process."""
_given: set[str] = set()


def our_second_number() -> int:
    """The second number of a loopback address, of those that no other process of this test run draws."""
    part = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4
    return _dice.randrange(64 + part, 251, 4)


@contextlib.contextmanager
def refusing_port(address: str) -> Iterator[int]:
    """A port on which nobody listens, and nobody can while the context lasts."""
    with socket.socket() as held:
        held.bind((address, 0))
        yield int(held.getsockname()[1])


def free_port(address: str) -> int:
    """A port that was free on `address` a moment ago; fine where the address is ours alone, as 127.0.0.1 is not."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])
