"""Pods in real namespaces, in this process: starts that fail, starts that work later, and what is shown of them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from hbone_py.aio.namespace import NetworkNamespace
from hbone_py.aio.reactor import Reactor
from lab_py.agent import Agent, AnnouncedPod
from mesh_py.admin.readiness import Readiness
from mesh_py.discovery.state import MeshState
from mesh_py.settings.kinds import WorkloadInfo
from mesh_py.telemetry.metrics import Metrics
from mesh_py.zds.messages import Keep
from tests.support.pod_networks import PodNetwork, two_pods
from tests.support.processes import eventually, settled
from ztunnel_py import pods as pods_module
from ztunnel_py.config import from_env
from ztunnel_py.foundation import Foundation
from ztunnel_py.pods import TASK, Pods

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from mesh_py.identity.certificates import Certificates
    from mesh_py.telemetry.logs import Logs

pytestmark = [pytest.mark.lab, pytest.mark.privileged]

INFO = WorkloadInfo("default", "pod", "account")


@dataclass(slots=True)
class Node:
    """What serves pods, and the agent that names them."""

    pods: Pods
    agent: Agent
    metrics: Metrics
    readiness: Readiness
    ended: list[str] = field(default_factory=list)

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Active, pending, started, stopped: as metrics have it."""
        of = self.metrics
        all_four = (of.active_proxies, of.pending_proxies, of.proxies_started, of.proxies_stopped)
        return cast("tuple[int, int, int, int]", tuple(one.family.samples.get((), [0])[0] for one in all_four))

    @property
    def states(self) -> dict[str, str]:
        return {uid: one["state"] for uid, one in self.pods.workload_state().items()}


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PodNetwork, PodNetwork]]:
    with two_pods(tmp_path_factory.mktemp("pods")) as found:
        yield found


def announced(network: PodNetwork, uid: str = "u") -> AnnouncedPod:
    return AnnouncedPod(uid, INFO, NetworkNamespace.open(network.path))


def foundation(path: Path, **environment: str) -> Foundation:
    """Of a proxy whom nobody calls."""
    settings = from_env(
        {
            "INPOD_UDS": str(path),
            "LOCAL_XDS": "{}",
            "XDS_ADDRESS": "",
            "FAKE_CA": "true",
            "HOME": "/nonexistent",
            "DNS_CAPTURE": "false",
        }
        | environment
    )
    nobody = SimpleNamespace(keep_only=lambda _: None, prefetch=lambda _: None)
    logs = SimpleNamespace(access=None)
    return Foundation(settings, MeshState("", None), cast("Certificates", nobody), cast("Logs", logs), Metrics("test"))


@contextlib.asynccontextmanager
async def serving(path: Path, monkeypatch: pytest.MonkeyPatch, **environment: str) -> AsyncIterator[Node]:
    """Until the block ends; then nothing may be left."""
    monkeypatch.setattr(pods_module, "RETRY_SECONDS", 0.02)
    reactor, readiness = Reactor.current(), Readiness()
    of, agent, ended = foundation(path, **environment), Agent(), []
    pods = Pods(of, {}, readiness, lambda: ended.append("ended"))
    async with agent.listening(path), asyncio.TaskGroup() as group:
        background = group.create_task(pods.background())
        await eventually(lambda: readiness.is_ready, "ready")
        yield Node(pods, agent, of.metrics, readiness, ended)
        pods.cut()
        background.cancel()
    assert reactor.open_sockets == 0
    reactor.close()


@contextlib.contextmanager
def taken(network: PodNetwork, port: int) -> Iterator[None]:
    """Somebody else has a port of the pod."""
    namespace = NetworkNamespace.open(network.path)
    with namespace:
        sock = socket.socket()
    with sock:
        sock.bind(("0.0.0.0", port))
        sock.listen()
        yield
    namespace.close()


async def test_a_pod_comes_and_goes(networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path / "z", monkeypatch) as node:
        assert (node.counts, node.states) == ((0, 0, 0, 0), {})
        assert await node.agent.add(announced(networks[0])) == ""
        assert (node.counts, node.states) == ((1, 0, 1, 0), {"u": "Up"})
        assert await node.agent.add(announced(networks[0])) == ""
        assert node.counts == (1, 0, 1, 0)
        assert await node.agent.delete("u") == ""
        assert (node.counts, node.states) == ((0, 0, 1, 1), {})


async def test_whoever_comes_and_goes_leaves_nothing(networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path / "z", monkeypatch, DNS_CAPTURE="true") as node:
        for round_ in range(20):
            await node.agent.add(announced(networks[0], f"u{round_}"))
            await node.agent.delete(f"u{round_}")
            if round_ == 0:
                before = await settled(open_files)
        assert await settled(open_files) == before


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_a_pod_in_another_network_is_another(networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = networks
    async with serving(tmp_path / "z", monkeypatch) as node:
        await node.agent.add(announced(a))
        assert await node.agent.add(announced(b)) == ""
        assert node.counts == (1, 0, 2, 1)
        assert a.sockets("state", "listening") == []
        assert len(b.sockets("state", "listening")) == 3


async def test_what_cannot_be_served_is_served_once_it_can(
    networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path / "z", monkeypatch) as node:
        with taken(networks[0], 15006):
            problem = await node.agent.add(announced(networks[0]))
            assert problem.startswith(
                "failure to start proxy : cannot listen on [::]:15006 (plaintext): address already in use"
            )
            assert (node.counts, node.states) == ((0, 1, 0, 0), {"u": "Pending"})
            assert node.readiness.pending == [TASK]
            assert networks[0].sockets("state", "listening", "( sport = :15008 )") == []
        await eventually(lambda: node.readiness.is_ready, "served")
        assert (node.counts, node.states) == ((1, 0, 1, 0), {"u": "Up"})


async def test_who_is_gone_while_pending_is_not_tried_again(
    networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path / "z", monkeypatch) as node:
        with taken(networks[0], 15001):
            assert await node.agent.add(announced(networks[0])) != ""
            assert await node.agent.delete("u") == ""
            assert node.readiness.is_ready
        assert node.counts == (0, 0, 0, 0)


async def test_ports_are_shared_only_where_that_is_wanted(
    networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path / "1", monkeypatch) as node:
        assert await node.agent.add(announced(networks[0], "first")) == ""
        assert await node.agent.add(announced(networks[0], "second")) == ""
    async with serving(tmp_path / "2", monkeypatch, INPOD_PORT_REUSE="false") as node:
        assert await node.agent.add(announced(networks[0], "first")) == ""
        assert "address already in use" in await node.agent.add(announced(networks[0], "second"))


async def test_a_descriptor_of_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path / "z", monkeypatch) as node:
        problem = await node.agent.add(AnnouncedPod("u", INFO, NetworkNamespace.open(tmp_path)))
        assert problem == "failure to start proxy : cannot enter the pod's network namespace: Invalid argument"


async def test_nonsense_is_the_end(networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path / "z", monkeypatch) as node:
        assert await node.agent.connections[0].say(Keep("u")) == "protocol error : keep comes after SnapshotSent"
        await eventually(lambda: node.ended == ["ended"], "told")
        assert node.pods.is_broken


async def test_a_drain_gives_up_what_could_not_be_served(
    networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_tried_again() -> bool:
        return "pending pods" in {task.get_name() for task in asyncio.all_tasks()}

    async with serving(tmp_path / "z", monkeypatch) as node:
        with taken(networks[0], 15006):
            await node.agent.add(announced(networks[0]))
            assert is_tried_again()
            await node.pods.drain(3600)
        await eventually(lambda: not is_tried_again(), "given up")
        assert networks[0].sockets("state", "listening") == []


async def test_a_drain_ends_all_pods_and_hears_nothing_more(
    networks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path / "z", monkeypatch) as node:
        for uid, network in zip("ab", networks, strict=True):
            await node.agent.add(announced(network, uid))
        await node.pods.drain(3600)
        await eventually(lambda: node.agent.connections == [], "hung up")
        for network in networks:
            assert network.sockets("state", "listening") == []
