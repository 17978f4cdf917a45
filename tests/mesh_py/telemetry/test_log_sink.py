"""Lines on their way out: in order, in one write, never waiting for a reader, never lost in silence."""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import pytest
import uvloop

from mesh_py.telemetry.log_output import ATOMIC_WRITE
from mesh_py.telemetry.log_sink import GATHERED, LogSink

if TYPE_CHECKING:
    from collections.abc import Callable

LOOPS = [pytest.param(asyncio.new_event_loop, id="asyncio"), pytest.param(uvloop.new_event_loop, id="uvloop")]


class Pipe:
    """A pipe whose reader reads when told to."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)

    def read(self) -> bytes:
        pieces = []
        try:
            while piece := os.read(self.reader, 1 << 20):
                pieces.append(piece)
        except BlockingIOError:
            pass
        return b"".join(pieces)


@contextmanager
def a_pipe():
    pipe = Pipe()
    try:
        yield pipe
    finally:
        os.close(pipe.reader)
        os.close(pipe.writer)


def spied_writes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What os.write is called with, as it goes on writing."""
    writes: list[bytes] = []
    real = os.write

    def spy(fd: int, data: bytes) -> int:
        writes.append(data)
        return real(fd, data)

    monkeypatch.setattr(os, "write", spy)
    return writes


@contextmanager
def attached(sink: LogSink, loop_factory):
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        sink.attach(runner.get_loop())
        yield runner
        sink.close(patience=0)


def test_without_a_loop_each_line_is_out_at_once():
    with a_pipe() as pipe:
        sink = LogSink(pipe.writer)
        sink.write("one\n")
        assert pipe.read() == b"one\n"
        sink.close()


@pytest.mark.parametrize("loop_factory", LOOPS)
def test_lines_of_one_turn_are_one_write(loop_factory, monkeypatch):
    writes = spied_writes(monkeypatch)

    async def three_lines(sink: LogSink):
        for line in ("one\n", "two\n", "grüße\n"):
            sink.write(line)
        assert pipe.read() == b""
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    with a_pipe() as pipe:
        sink = LogSink(pipe.writer)
        with attached(sink, loop_factory) as runner:
            runner.run(three_lines(sink))
            assert pipe.read().decode() == "one\ntwo\ngrüße\n"
    assert [write for write in writes if b"one" in write] == ["one\ntwo\ngrüße\n".encode()]


@pytest.mark.parametrize("loop_factory", LOOPS)
def test_a_stalled_reader_costs_lines_not_the_loop(loop_factory):
    """More lines than pipe and bound hold: the rest is counted, and told when the reader is back."""
    line = "x" * 99 + "\n"

    async def flood(sink: LogSink):
        for _ in range(5_000):
            sink.write(line)
            await asyncio.sleep(0)
        assert sink.dropped > 0
        received = b""
        while b"lost" not in received:
            received += pipe.read()
            await asyncio.sleep(0)
        return received

    with a_pipe() as pipe:
        sink = LogSink(pipe.writer, bound=10_000)
        with attached(sink, loop_factory) as runner:
            received = runner.run(flood(sink)).decode().splitlines()
    told = [text for text in received if "lost" in text]
    assert told == [f"{told[0].split()[0]} log lines lost"]
    assert int(told[0].split()[0]) == sink.dropped
    assert {text for text in received if "lost" not in text} == {line.strip()}


def test_a_pipe_gets_whole_lines_in_pieces_it_takes_at_once(monkeypatch):
    """So lines of several workers on one pipe do not mix."""
    writes = spied_writes(monkeypatch)

    async def many(sink: LogSink):
        for number in range(100):
            sink.write(f"{number} {'y' * 300}\n")
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    with a_pipe() as pipe:
        sink = LogSink(pipe.writer)
        with attached(sink, asyncio.new_event_loop) as runner:
            runner.run(many(sink))
        ours = [write for write in writes if b"yyy" in write]
        assert [line.split()[0] for line in b"".join(ours).splitlines()] == [b"%d" % n for n in range(100)]
    assert all(len(write) <= ATOMIC_WRITE and write.endswith(b"\n") for write in ours)
    assert len(ours) < 15


def test_a_line_longer_than_that_goes_through_too():
    with a_pipe() as pipe:
        sink = LogSink(pipe.writer)
        sink.write("a\n")
        sink.write("z" * 20_000 + "\n")
        assert pipe.read() == b"a\n" + b"z" * 20_000 + b"\n"
        sink.close()


def test_a_reader_that_is_gone_loses_lines_and_nothing_else():
    pipe = Pipe()
    sink = LogSink(pipe.writer)
    os.close(pipe.reader)
    for _ in range(3):
        sink.write("hello?\n")
    assert sink.dropped >= 3
    sink.close()
    os.close(pipe.writer)


def test_closing_writes_what_is_left_to_a_slow_reader():
    with a_pipe() as pipe:
        sink = LogSink(pipe.writer, bound=1 << 20)
        loop = asyncio.new_event_loop()
        sink.attach(loop)
        for number in range(3_000):
            sink.write(f"{number} {'w' * 100}\n")
        os.set_blocking(pipe.reader, True)
        received = bytearray()
        reading = threading.Thread(target=lambda: _read_until(pipe.reader, received, b"\n2999 "))
        reading.start()
        sink.close(patience=10)
        reading.join()
        loop.close()
    assert [line.split()[0] for line in received.splitlines()] == [b"%d" % n for n in range(3_000)]
    assert sink.dropped == 0


def test_closing_does_not_wait_for_a_reader_that_never_comes():
    with a_pipe() as pipe:
        sink = LogSink(pipe.writer, bound=1 << 20)
        loop = asyncio.new_event_loop()
        sink.attach(loop)
        for _ in range(3_000):
            sink.write("w" * 99 + "\n")
        sink.close(patience=0)
        loop.close()
        assert 0 < len(pipe.read()) < 300_000


def test_a_closed_sink_takes_nothing_and_harms_nobody():
    """Its descriptor's number may belong to somebody else by then."""
    with a_pipe() as pipe, a_pipe() as other:
        sink = LogSink(pipe.writer)
        sink.write("one\n")
        sink.close()
        taken = os.dup(other.writer)  # the number that is free now
        sink.write("two\n")
        sink.flush()
        sink.close()
        os.close(taken)
        assert (pipe.read(), other.read()) == (b"one\n", b"")
        assert sink.dropped == 1


async def test_another_thread_may_write():
    with a_pipe() as pipe:
        sink = LogSink(pipe.writer)
        sink.attach(asyncio.get_running_loop())
        await asyncio.to_thread(sink.write, "from afar\n")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert pipe.read() == b"from afar\n"
        sink.close()


def _read_until(reader: int, received: bytearray, mark: bytes) -> None:
    while mark not in received or not received.endswith(b"\n"):
        received += os.read(reader, 1 << 16)


async def test_somebody_else_may_say_when_lines_are_written():
    with a_pipe() as pipe:
        sink = LogSink(pipe.writer)
        due: list[Callable[[], None]] = []
        sink.attach(asyncio.get_running_loop(), due.append)
        sink.write("one\n")
        sink.write("two\n")
        await asyncio.sleep(0)
        assert (pipe.read(), len(due)) == (b"", 1)
        due.pop()()
        assert pipe.read() == b"one\ntwo\n"
        sink.write("three\n")
        assert len(due) == 1
        sink.close()
        assert pipe.read() == b"three\n"


class Turns:
    """A loop whose time stands still: what is due, and when, is looked at."""

    def __init__(self) -> None:
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.cancelled = 0

    def call_later(self, delay: float, callback: Callable[[], None]) -> Turns:
        self.later.append((delay, callback))
        return self

    def cancel(self) -> None:
        self.cancelled += 1

    def pass_by(self) -> None:
        """The time of the only call to come."""
        [(delay, callback)] = self.later
        assert delay == GATHERED
        self.later.clear()
        callback()


@contextmanager
def gathering():
    """A pipe, a sink on a loop that stands still, that loop, and what is due at the end of the turn."""
    with a_pipe() as pipe:
        sink, turns = LogSink(pipe.writer, bound=1 << 20), Turns()
        due: list[Callable[[], None]] = []
        sink.attach(cast("asyncio.AbstractEventLoop", turns), due.append)
        yield pipe, sink, turns, due
        sink.close(patience=0)


def test_a_lone_line_of_many_is_out_with_its_turn_and_those_that_follow_wait_for_each_other():
    with gathering() as (pipe, sink, turns, due):
        sink.gather("one\n")
        due.pop()()
        assert pipe.read() == b"one\n"
        sink.gather("two\n")
        sink.gather("three\n")
        assert (pipe.read(), due) == (b"", [])
        turns.pass_by()
        assert pipe.read() == b"two\nthree\n"
        sink.gather("four\n")
        turns.pass_by()
        assert pipe.read() == b"four\n"
        turns.pass_by()
        assert turns.later == []  # it was quiet for as long: the next one is a lone one
        sink.gather("five\n")
        due.pop()()
        assert pipe.read() == b"five\n"


def test_what_is_said_in_between_goes_at_once_with_all_before_it():
    with gathering() as (pipe, sink, _, due):
        sink.gather("one\n")
        due.pop()()
        sink.gather("two\n")
        sink.write("a warning\n")
        due.pop()()
        assert pipe.read() == b"one\ntwo\na warning\n"


def test_many_gathered_lines_wait_no_longer():
    with gathering() as (pipe, sink, _, due):
        fcntl.fcntl(pipe.writer, fcntl.F_SETPIPE_SZ, 1 << 18)
        for _ in range(700):
            sink.gather("x" * 99 + "\n")
        assert len(due) == 1
        due.pop()()
        assert len(pipe.read()) > ATOMIC_WRITE
        sink.gather("one more\n")
        assert due == []


def test_gathered_lines_are_written_when_it_closes():
    with gathering() as (pipe, sink, turns, _):
        sink.gather("one\n")
        sink.gather("two\n")
        sink.close()
        assert (pipe.read(), turns.cancelled) == (b"one\ntwo\n", 1)
        sink.gather("three\n")
        assert sink.dropped == 1


def test_gathered_lines_outlive_whoever_forgot_to_close():
    """An exception that nobody expected ends the process."""
    program = (
        "import asyncio\nfrom mesh_py.telemetry.log_sink import LogSink\n"
        "async def main():\n"
        "    sink = LogSink(1)\n    sink.attach(asyncio.get_running_loop())\n"
        "    sink.gather('one\\n')\n    sink.gather('two\\n')\n    raise ValueError\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=False)
    assert (done.stdout, done.returncode) == (b"one\ntwo\n", 1)
