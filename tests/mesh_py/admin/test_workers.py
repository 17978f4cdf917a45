"""One view over real worker processes."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest

from mesh_py.admin.profile import ProfileRequest
from mesh_py.admin.worker_link import WorkerLinkError
from mesh_py.admin.workers import Workers
from mesh_py.telemetry.facts import ConnectionFacts, Party
from mesh_py.telemetry.metrics import Metrics
from tests.support.processes import PeerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mesh_py.telemetry.snapshot import Snapshot

# A worker that has opened a number of connections, closed one of them, and drains when told to.
WORKER = """
import asyncio, sys
from pathlib import Path
from mesh_py.admin.config_dump import connection_entry, workload_entry
from mesh_py.admin.workers import WorkerSurface, serve_worker
from mesh_py.telemetry.facts import ConnectionFacts, Party
from mesh_py.telemetry.log_filter import LogFilter
from mesh_py.telemetry.metrics import Metrics

async def main(path, opened):
    metrics, drained, level = Metrics("test"), asyncio.Event(), [LogFilter.parse("info")]
    for _ in range(opened):
        series = metrics.traffic.open(ConnectionFacts("source", Party(workload="sleep"), None))
        series.received_bytes += 10
    series.close()

    def connections():
        entry = connection_entry(path.name, None, "127.0.0.1:1", "HBONE")
        return {"uid": workload_entry("sleep", "default", "sleep", inbound=[], outbound=[entry])}

    async def config_dump():
        return {"version": {"version": "test"}, "config": {"path": path}, "workloadState": connections()}

    def change_log_filter(clauses, reset):
        level[0] = level[0].with_clauses(clauses)
        print("level", level[0], reset, flush=True)
        return str(level[0])

    async def profile(request):
        return {("main", "work"): int(request.seconds) * 1000 + request.frequency}

    surface = WorkerSurface(
        metrics.snapshot, connections, list, config_dump, change_log_filter, drained.set, profile
    )
    async with serve_worker(path, surface):
        print("ready", flush=True)
        await drained.wait()
    print("drained", flush=True)

asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
"""


class Worker:
    def __init__(self, folder: Path, name: str, opened: int) -> None:
        self.path = folder / f"{name}.sock"
        command = [sys.executable, "-c", WORKER, str(self.path), str(opened)]
        self.process = PeerProcess(command, folder / f"{name}.out")

    def wait_for(self, text: str) -> None:
        self.process.wait_until(lambda: text in self.process.output, text, seconds=30)


@pytest.fixture
def two_workers(tmp_path: Path) -> Iterator[list[Worker]]:
    tmp_path.chmod(0o700)
    workers = [Worker(tmp_path, "one", opened=3), Worker(tmp_path, "two", opened=4)]
    try:
        for worker in workers:
            worker.wait_for("ready")
        yield workers
    finally:
        for worker in workers:
            worker.process.kill()


@pytest.fixture
def view(two_workers: list[Worker]) -> Workers:
    view = Workers(deadline=10)
    for worker in two_workers:
        view.add(worker.path)
    return view


def nothing() -> Snapshot:
    return Metrics("test").snapshot()


def totals(snapshot: Snapshot) -> tuple[int, int, int]:
    """Opened, closed, received bytes."""
    closed = sum(sum(series.closed.values()) for series in snapshot.traffic)
    opened = sum(series.opened for series in snapshot.traffic)
    return opened, closed, sum(series.received_bytes for series in snapshot.traffic)


async def test_numbers_add_up(view: Workers):
    own = Metrics("test")
    own.traffic.open(ConnectionFacts("source", Party(workload="sleep"), None))
    snapshot = await view.snapshot(own.snapshot())
    assert totals(snapshot) == (8, 2, 70)
    assert len(snapshot.traffic) == 1
    builds = [family.samples for family in snapshot.families if family.name == "istio_build"]
    assert builds == [{("ztunnel", "test"): [1]}]


async def test_open_files_are_those_of_all_processes(view: Workers):
    alone = {family.name: family.samples for family in nothing().families}
    together = {family.name: family.samples for family in (await view.snapshot(nothing())).families}
    assert together["process_open_fds"][()][0] > alone["process_open_fds"][()][0]


async def test_one_dump_with_the_connections_of_all(view: Workers, two_workers: list[Worker]):
    dump = await view.config_dump()
    assert dump["version"] == {"version": "test"}
    assert dump["config"] == {"path": str(two_workers[0].path)}
    outbound = dump["workloadState"]["uid"]["connections"]["outbound"]
    assert {entry["src"] for entry in outbound} == {"one.sock", "two.sock"}


async def test_a_level_is_set_in_all(view: Workers, two_workers: list[Worker]):
    await view.change_log_filter("access=debug", reset=True)
    for worker in two_workers:
        worker.wait_for("level access=debug,info True")


async def test_a_stopped_worker_counts_as_it_last_did(two_workers: list[Worker], caplog):
    view = Workers(deadline=1)
    for worker in two_workers:
        view.add(worker.path)
    before = totals(await view.snapshot(nothing()))
    two_workers[0].process._process.send_signal(signal.SIGSTOP)
    assert totals(await view.snapshot(nothing())) == before
    assert "worker one.sock: no answer to snapshot" in caplog.text


async def test_a_killed_worker_stays_counted_and_its_connections_are_closed(view: Workers, two_workers: list[Worker]):
    await view.snapshot(nothing())
    two_workers[0].process.kill()
    view.remove(two_workers[0].path)
    assert totals(await view.snapshot(nothing())) == (7, 4, 70)
    assert totals(await view.snapshot(nothing())) == (7, 4, 70)  # counted once


async def test_the_dump_comes_from_whoever_answers(view: Workers, two_workers: list[Worker]):
    two_workers[0].process.kill()
    dump = await view.config_dump()
    assert dump["config"] == {"path": str(two_workers[1].path)}
    two_workers[1].process.kill()
    with pytest.raises(WorkerLinkError, match="no worker answers"):
        await view.config_dump()


async def test_profiles_name_the_worker(view: Workers):
    profile = await view.profile(ProfileRequest(seconds=2, frequency=50))
    assert profile == {("one", "main", "work"): 2050, ("two", "main", "work"): 2050}


async def test_drain_reaches_all(view: Workers, two_workers: list[Worker]):
    await view.drain()
    for worker in two_workers:
        worker.wait_for("drained")
