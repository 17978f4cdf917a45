"""Two node proxies as operators run them: what they print and show, how they end, and who learns of their death."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.interop.callers import read_to_end, talk
from tests.support.pods import fields_of
from tests.support.processes import answers, eventually
from tests.support.tcp_apps import TcpApp, echo
from tests.ztunnel_py.nodes import Nodes, nodes_started

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.support.certificates import TestRoot
    from tests.ztunnel_py.nodes import Node

DENY_SLEEP = """
policies:
- name: no-sleep
  namespace: default
  scope: Namespace
  action: Deny
  dryRun: false
  rules:
  - - - principals: [!Exact cluster.local/ns/default/sa/sleep]
"""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, mesh_root: TestRoot) -> Iterator[Nodes]:
    with nodes_started(tmp_path_factory.mktemp("shared"), mesh_root) as running:
        yield running


@pytest.fixture
async def shared(both: Nodes) -> AsyncIterator[Nodes]:
    """For tests that leave both as they were; the next one begins when every connection is over and told."""
    yield both
    await all_closed(both)


@pytest.fixture(scope="module")
def mortals(tmp_path_factory: pytest.TempPathFactory, mesh_root: TestRoot) -> Iterator[Nodes]:
    folder = tmp_path_factory.mktemp("mortals")
    with nodes_started(folder, mesh_root, CONNECTION_TERMINATION_DEADLINE="1s") as running:
        yield running


@pytest.fixture
def nodes(mortals: Nodes) -> Nodes:
    """For tests that end one or the other, which is started again for the next; a second after a signal it ends."""
    mortals.revive()
    return mortals


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory, mesh_root: TestRoot) -> Iterator[Nodes]:
    folder = tmp_path_factory.mktemp("patients")
    with nodes_started(folder, mesh_root, CONNECTION_TERMINATION_DEADLINE="1h") as running:
        yield running


@pytest.fixture
def patient(patients: Nodes) -> Nodes:
    """The same, and they wait an hour for what is open."""
    patients.revive()
    return patients


def lines(node: Node, to: str = "") -> list[dict[str, str]]:
    """The fields of its access lines, or of those of connections to one application."""
    found = [fields_of(line) for line in node.log.splitlines() if "\taccess\tconnection complete\t" in line]
    return [line for line in found if not to or to in line.values()]


async def all_closed(nodes: Nodes) -> None:
    """Return when every connection is over and told."""
    for node in (nodes.sleep, nodes.server):
        await answers(partial(still_open, node), lambda count: count == 0, "all closed")


async def still_open(node: Node) -> int:
    return await summed(node, "istio_tcp_connections_opened_total") - await summed(
        node, "istio_tcp_connections_closed_total"
    )


async def summed(node: Node, metric: str, label: str = "") -> int:
    """What a counter shows, all its samples together; each of them has the label."""
    metrics = await asyncio.to_thread(node.get, "/metrics", 15020)
    found = [line for line in metrics.splitlines() if line.startswith(f"{metric}{{")]
    assert all(label in line for line in found)
    return sum(int(line.split()[-1]) for line in found)


async def test_what_they_show_of_a_connection(shared: Nodes) -> None:
    """The dump while it lives, metrics and log when it is over."""
    await carried_and_shown(shared)


async def test_the_plain_event_loop_serves_as_well(tmp_path: Path, mesh_root: TestRoot) -> None:
    with nodes_started(tmp_path, mesh_root, loop="asyncio") as nodes:
        await carried_and_shown(nodes)
        for node in (nodes.sleep, nodes.server):
            assert await asyncio.to_thread(node.process.end_with, signal.SIGTERM) == 0
            assert "shutdown complete" in node.log


async def carried_and_shown(nodes: Nodes) -> None:
    told = {"source": nodes.sleep, "destination": nodes.server}
    before = {reporter: await received(node, reporter) for reporter, node in told.items()}
    async with TcpApp(echo, nodes.server.address) as app:
        async with nodes.call(app.authority) as caller:
            await talk(caller, b"hello")
            for node, direction in ((nodes.sleep, "outbound"), (nodes.server, "inbound")):
                dump = json.loads(await asyncio.to_thread(node.get, "/config_dump"))
                [entry] = dump["workloadState"][f"cluster//Pod/default/{node.name}"]["connections"][direction]
                assert entry["protocol"] == "HBONE"
                assert "istio_tcp_sockets_open{" in await asyncio.to_thread(node.get, "/metrics", 15020)
        for reporter, node in told.items():
            await eventually(lambda: len(lines(node, to=app.authority)) == 1, "logged")  # noqa: B023
            assert await received(node, reporter) == before[reporter] + 5


async def received(node: Node, reporter: str) -> int:
    """Bytes it has counted, all of them as `reporter`."""
    return await summed(node, "istio_tcp_received_bytes_total", f'reporter="{reporter}"')


async def test_an_edit_of_the_mesh_file_cuts_whom_it_no_longer_allows(shared: Nodes) -> None:
    before = shared.mesh.read_text()
    async with TcpApp(echo, shared.server.address) as app, shared.call(app.authority) as caller:
        await talk(caller, b"hello")
        shared.append("nonsense: [\n")
        await eventually(lambda: "the last good state stays" in shared.server.log, "reported")
        await talk(caller, b"still here")
        shared.mesh.write_text(before + DENY_SLEEP)
        assert await read_to_end(caller) == (b"", "reset")
        await eventually(lambda: len(lines(shared.server, app.authority)) == 1, "logged")
        assert lines(shared.server, app.authority)[0]["error"] == "connection closed due to policy change"
        async with shared.call(app.authority) as refused:
            assert (await read_to_end(refused)).data == b""
        await policies_changed(shared, 1)  # by both: an edit undone between two looks is none
        shared.mesh.write_text(before)
        await policies_changed(shared, 2)


async def policies_changed(nodes: Nodes, times: int) -> None:
    for node in (nodes.sleep, nodes.server):
        await eventually(lambda: node.log.count(" 1 policies changed") == times, "taken over")  # noqa: B023


# Death ------------------------------------------------------------------------------------------------------------


async def test_the_destinations_proxy_is_killed(nodes: Nodes) -> None:
    """Two hundred busy connections learn that they were cut: nobody reads an end."""
    async with TcpApp(echo, nodes.server.address) as app:
        async with asyncio.TaskGroup() as group:
            begun = asyncio.Semaphore(0)
            tasks = [group.create_task(how_it_ended(nodes, app, begun)) for _ in range(200)]
            for _ in range(200):
                await begun.acquire()
            assert await sockets_open(nodes.sleep) == 200
            nodes.server.process.kill()
        assert [task.result() for task in tasks] == ["reset"] * 200
    await eventually(lambda: len(lines(nodes.sleep, app.authority)) == 200, "all logged")
    assert await sockets_open(nodes.sleep) == 0


async def sockets_open(node: Node) -> int:
    metrics = await asyncio.to_thread(node.get, "/metrics", 15020)
    return int(metrics.partition('istio_tcp_sockets_open{reporter="source"} ')[2].split()[0])


async def how_it_ended(nodes: Nodes, app: TcpApp, begun: asyncio.Semaphore) -> str:
    """Talk without end, and say how it ended all the same."""
    async with nodes.call(app.authority) as caller:
        await talk(caller, b"hello")
        begun.release()
        try:
            while True:
                await caller.send(b"and on")
                if not await caller.receive():
                    return "eof"
        except ConnectionError:
            return "reset"


async def test_the_sources_proxy_is_killed(nodes: Nodes) -> None:
    """The application behind the other proxy must not take what came for all there was."""
    async with TcpApp(echo, nodes.server.address) as app, nodes.call(app.authority) as caller:
        await talk(caller, b"half of a message")
        nodes.sleep.process.kill()
        assert await app.ended() == "reset"
    await eventually(lambda: len(lines(nodes.server, app.authority)) == 1, "logged")
    assert lines(nodes.server, app.authority)[0]["level"] == "error"


async def test_a_peer_that_comes_back_is_used_again(nodes: Nodes) -> None:
    """What was pooled to the dead process is not kept."""
    async with TcpApp(echo, nodes.server.address) as app:
        async with nodes.call(app.authority) as caller:
            await talk(caller, b"hello")
        nodes.server.process.kill()
        async with nodes.call(app.authority) as caller:
            assert (await read_to_end(caller)).data == b""
        nodes.server.start()
        await eventually(nodes.server.is_ready, "ready again", 30)
        async with nodes.call(app.authority) as caller:
            await talk(caller, b"hello")


# The end of service -----------------------------------------------------------------------------------------------


async def test_an_open_connection_is_waited_for(patient: Nodes) -> None:
    sleep = patient.sleep
    async with TcpApp(echo, patient.server.address) as app, patient.call(app.authority) as caller:
        await talk(caller, b"hello")
        sleep.process.signal(signal.SIGTERM)
        await eventually(lambda: "draining" in sleep.log, "draining")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(sleep.address, 15001)
        await talk(caller, b"still here")
        await caller.send_eof()
        assert await caller.receive() == b""
        assert await asyncio.to_thread(sleep.process.end) == 0


async def test_at_the_deadline_it_ends_all_the_same(nodes: Nodes) -> None:
    async with TcpApp(echo, nodes.server.address) as app, nodes.call(app.authority) as caller:
        await talk(caller, b"hello")
        assert await asyncio.to_thread(nodes.sleep.process.end_with, signal.SIGTERM) == 0
        assert await read_to_end(caller) == (b"", "reset")
        assert await app.ended() == "reset"
    await eventually(lambda: len(lines(nodes.sleep, app.authority)) == 1, "logged")
    assert lines(nodes.sleep, app.authority)[0]["error"] == "connection closed due to connection drain"


async def test_the_second_signal_ends_it_at_once(patient: Nodes) -> None:
    server = patient.server
    async with TcpApp(echo, server.address) as app, patient.call(app.authority) as caller:
        await talk(caller, b"hello")
        server.process.signal(signal.SIGTERM)
        await eventually(lambda: "draining" in server.log, "draining")
        assert await asyncio.to_thread(server.process.end_with, signal.SIGTERM) == 0
        assert await read_to_end(caller) == (b"", "reset")
        assert await app.ended() == "reset"


async def test_quitquitquit_drains_too(nodes: Nodes) -> None:
    async with TcpApp(echo, nodes.server.address) as app, nodes.call(app.authority) as caller:
        await talk(caller, b"hello")
        await asyncio.to_thread(nodes.sleep.get, "/quitquitquit", 15000, "POST")
        assert await read_to_end(caller) == (b"", "reset")
        assert await asyncio.to_thread(nodes.sleep.process.end) == 0


# Certificates -----------------------------------------------------------------------------------------------------


async def test_certificates_are_renewed_under_load(shared: Nodes, mesh_root: TestRoot) -> None:
    """Open tunnels go on; the next connection shows the new certificate."""
    async with TcpApp(echo, shared.server.address) as app, shared.call(app.authority) as old:
        await talk(old, b"hello")
        for name in ("sleep", "server"):
            renew(shared.certificates, mesh_root, name)
        for node in (shared.sleep, shared.server):
            await eventually(lambda: "is renewed" in node.log, "renewed")  # noqa: B023
        await talk(old, b"still here")
        async with shared.call(app.authority) as new:
            await talk(new, b"hello")


def renew(folder: Path, root: TestRoot, name: str) -> None:
    files = root.issue(f"{name}-new-{folder.parent.name}", f"default/{name}")
    shutil.copy(files.key, folder / "default" / name / "key.pem")
    shutil.copy(files.chain, folder / "default" / name / "cert-chain.pem")
