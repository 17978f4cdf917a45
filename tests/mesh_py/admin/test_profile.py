"""The sampler finds who used the processor."""

from __future__ import annotations

import asyncio
import json
import signal
import threading

import pytest
import uvloop

from mesh_py.admin.profile import (
    OTHER_THREADS,
    Profile,
    ProfileError,
    ProfileRequest,
    collapsed,
    profile_this_process,
    speedscope,
)

PROFILE = {("main", "a"): 30, ("main", "b", "c"): 10}


def burn_some() -> int:
    return sum(range(2_000))


async def burn_until(done: asyncio.Event) -> None:
    while not done.is_set():
        burn_some()
        await asyncio.sleep(0)


async def profile_of_a_busy_loop() -> Profile:
    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(burn_until(done))
        profile = await profile_this_process(ProfileRequest(seconds=1, frequency=200))
        done.set()
    return profile


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_the_busy_function_is_found(loop_factory):
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        profile = runner.run(profile_of_a_busy_loop())
    guilty = sum(cpu for stack, cpu in profile.items() if any("burn_" in frame for frame in stack))
    assert guilty > sum(profile.values()) / 2


async def test_an_idle_process_uses_little_and_outlives_a_late_signal():
    profile = await profile_this_process(ProfileRequest(seconds=1))
    assert sum(profile.values()) < 500_000
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
    signal.raise_signal(signal.SIGPROF)


async def test_other_threads_are_told_apart():
    stop = threading.Event()

    def burn() -> None:
        while not stop.is_set():
            burn_some()

    thread = threading.Thread(target=burn)
    thread.start()
    try:
        profile = await profile_this_process(ProfileRequest(seconds=1))
    finally:
        stop.set()
        thread.join()
    assert profile[OTHER_THREADS] > sum(profile.values()) / 2


def test_a_loop_in_another_thread_cannot_be_sampled():
    errors: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(profile_this_process(ProfileRequest(seconds=1)))
        except ProfileError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert [str(error) for error in errors] == ["the event loop does not run in the main thread"]


async def test_cancelling_stops_the_timer():
    async with asyncio.TaskGroup() as group:
        profiling = group.create_task(profile_this_process(ProfileRequest(seconds=300)))
        await asyncio.sleep(0)
        assert signal.getitimer(signal.ITIMER_PROF)[1] > 0
        profiling.cancel()
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


def test_collapsed_stacks():
    assert collapsed(PROFILE) == "main;a 30\nmain;b;c 10\n"
    assert collapsed({}) == ""


def test_speedscope():
    file = json.loads(speedscope(PROFILE, "ztunnel"))
    names = [frame["name"] for frame in file["shared"]["frames"]]
    (sampled,) = file["profiles"]
    stacks = [tuple(names[index] for index in sample) for sample in sampled["samples"]]
    assert dict(zip(stacks, sampled["weights"], strict=True)) == PROFILE
    assert (sampled["unit"], sampled["endValue"]) == ("microseconds", 40)
