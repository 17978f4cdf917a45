"""Two node proxies that follow a control plane: grpcio's server, over TLS, which says what the test wants and records
what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from mesh_py.model.authorization import Action, Match, MatchKind, Policy, Scope, StringMatch
from mesh_py.xds.encode import encode_authorization, encode_workload
from mesh_py.xds.types import ADDRESS, AUTHORIZATION
from tests.interop.callers import read_to_end, talk
from tests.support.discovery_judge import DiscoveryJudge, named
from tests.support.pods import fields_of
from tests.support.processes import eventually, free_port, loopback_address
from tests.support.rpc import grpcio_credentials, grpcio_server
from tests.support.tcp_apps import TcpApp, echo
from tests.support.world import gateway, workload
from tests.ztunnel_py.nodes import Node, Nodes, nodes_started
from tests.ztunnel_py.worlds import START_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from pathlib import Path

    from tests.support.certificates import CertificateFiles, TestRoot
    from tests.support.discovery_judge import JudgedStream, Resource

pytestmark = pytest.mark.interop

DENY_SLEEP = Policy(
    "no-sleep",
    "default",
    Scope.NAMESPACE,
    Action.DENY,
    (((Match(principals=(StringMatch(MatchKind.EXACT, "cluster.local/ns/default/sa/sleep"),)),),),),
)


@dataclass
class ControlPlane:
    """Where the judge serves, or does not: it can be ended and begun again on the same port."""

    address: str
    port: int
    files: CertificateFiles

    @contextlib.contextmanager
    def serving(self, judge: DiscoveryJudge) -> Iterator[None]:
        credentials = grpcio_credentials(self.files)
        with grpcio_server(judge, address=self.address, port=self.port, credentials=credentials):
            yield

    def told(self, folder: Path) -> dict[str, str]:
        """What its proxies are told of it."""
        token = folder / "token"
        token.write_text("a.token\n")
        return {
            "LOCAL_XDS_PATH": "",
            "XDS_ADDRESS": f"{self.address}:{self.port}",
            "XDS_ROOT_CA": str(self.files.roots),
            "AUTH_TOKEN": str(token),
            "POD_NAMESPACE": "istio-system",
        }


@pytest.fixture
def control_plane(mesh_root: TestRoot) -> ControlPlane:
    return control_plane_on(mesh_root)


def control_plane_on(root: TestRoot) -> ControlPlane:
    """One that nobody else has."""
    address = loopback_address()
    return ControlPlane(address, free_port(address), root.issue_server(f"istiod-{address}", address))


@pytest.fixture
def judge() -> DiscoveryJudge:
    return DiscoveryJudge()


@dataclass
class World:
    """Two proxies, the control plane that they follow, and one stream each."""

    nodes: Nodes
    streams: list[JudgedStream]

    def pods(self) -> list[Resource]:
        return [pod(node) for node in (self.nodes.sleep, self.nodes.server)]

    async def tell(self, type_url: str, *resources: Resource, removed: tuple[str, ...] = ()) -> None:
        """Tell both, and wait until both have taken it."""
        before = [len(stream.of_type(type_url)) for stream in self.streams]
        for stream in self.streams:
            stream.say(type_url, *resources, removed=removed)
        for stream, count in zip(self.streams, before, strict=True):
            await eventually(lambda: len(stream.of_type(type_url)) > count, "acknowledged")  # noqa: B023
            assert not stream.of_type(type_url)[-1].HasField("error_detail")


def pod(node: Node, **fields) -> Resource:
    return named(
        f"cluster//Pod/default/{node.name}",
        encode_workload(workload(node.name, node.address, **{"node": node.name, "cluster_id": "c", **fields})),
    )


@contextlib.asynccontextmanager
async def following(
    control_plane: ControlPlane,
    judge: DiscoveryJudge,
    folder: Path,
    root: TestRoot,
    own: Mapping[str, Mapping[str, str]] | None = None,
    **environment: str,
) -> AsyncIterator[World]:
    """Both proxies, with their streams open and nothing told yet; `own` as in `nodes_started`."""
    told = control_plane.told(folder) | environment
    with nodes_started(folder, root, until_ready=False, own=own, **told) as nodes:
        for number in (1, 2):
            await eventually(lambda: len(judge.streams) >= number, "joined", START_SECONDS)  # noqa: B023
        yield World(nodes, judge.streams[:2])


@pytest.fixture
async def world(control_plane, judge, tmp_path, mesh_root) -> AsyncIterator[World]:
    with control_plane.serving(judge):
        async with following(control_plane, judge, tmp_path, mesh_root) as world:
            yield world


async def ready(*nodes: Node) -> None:
    for node in nodes:
        await eventually(node.is_ready, "ready", START_SECONDS)


async def test_they_join_become_ready_and_carry(world: World) -> None:
    for stream in world.streams:
        address, policies = (await stream.heard(2))[:2]
        assert (address.type_url, policies.type_url) == (ADDRESS, AUTHORIZATION)
        assert stream.metadata["authorization"] == "Bearer a.token"
        assert stream.metadata["clusterid"] == "Kubernetes"
    nodes = world.nodes
    assert {stream.requests[0].node.metadata["NODE_NAME"] for stream in world.streams} == {"sleep", "server"}
    await world.tell(ADDRESS, *world.pods())
    assert not nodes.sleep.is_ready()
    await world.tell(AUTHORIZATION)
    await ready(nodes.sleep, nodes.server)
    async with TcpApp(echo, nodes.server.address) as app, nodes.call(app.authority) as caller:
        await talk(caller, b"hello")
    metrics = await asyncio.to_thread(nodes.sleep.get, "/metrics", 15020)
    assert f'istio_xds_message_total{{url="{ADDRESS}"}} 1' in metrics
    dump = json.loads(await asyncio.to_thread(nodes.sleep.get, "/config_dump"))
    assert [found["name"] for found in dump["workloads"]] == ["server", "sleep"]
    assert "a.token" not in json.dumps(dump)


async def test_they_wait_for_a_control_plane_that_is_not_there_yet(control_plane, tmp_path, mesh_root) -> None:
    told = control_plane.told(tmp_path)
    with nodes_started(tmp_path, mesh_root, until_ready=False, **told) as nodes:
        await eventually(lambda: "cannot connect" in nodes.server.log, "tried", START_SECONDS)
        assert not nodes.server.is_ready()
        with control_plane.serving(DiscoveryJudge(mesh={})):
            await ready(nodes.sleep, nodes.server)


async def test_a_change_reaches_open_connections(world: World) -> None:
    nodes = world.nodes
    await world.tell(ADDRESS, *world.pods())
    await world.tell(AUTHORIZATION)
    async with TcpApp(echo, nodes.server.address) as app, nodes.call(app.authority) as caller:
        await talk(caller, b"hello")
        await world.tell(AUTHORIZATION, named("default/no-sleep", encode_authorization(DENY_SLEEP)))
        assert await read_to_end(caller) == (b"", "reset")
        await world.tell(AUTHORIZATION, removed=("default/no-sleep",))
        async with nodes.call(app.authority) as again:
            await talk(again, b"hello again")


async def test_nothing_is_judged_before_policies_have_been_told(world: World) -> None:
    nodes = world.nodes
    await world.tell(ADDRESS, *world.pods())
    async with (
        TcpApp(echo, nodes.server.address) as app,
        nodes.call(app.authority) as caller,
        asyncio.TaskGroup() as group,
    ):
        answer = group.create_task(talk(caller, b"hello"))
        asked = 'istio_tcp_sockets_open{reporter="destination"} 1'
        await eventually(lambda: asked in nodes.server.get("/metrics", 15020), "the tunnel waits")
        assert not answer.done()
        await world.tell(AUTHORIZATION)


async def test_without_policies_a_connection_is_refused_in_the_end(control_plane, judge, tmp_path, mesh_root) -> None:
    with control_plane.serving(judge):
        async with following(control_plane, judge, tmp_path, mesh_root, POLICY_WAIT="200ms") as world:
            nodes = world.nodes
            await world.tell(ADDRESS, *world.pods())
            async with TcpApp(echo, nodes.server.address) as app, nodes.call(app.authority) as caller:
                assert (await read_to_end(caller)).data == b""
            await eventually(lambda: "access\tconnection complete" in nodes.server.log, "logged")
            [line] = [line for line in nodes.server.log.splitlines() if "access\tconnection complete" in line]
            assert fields_of(line)["error"].endswith(
                "policy not known: those of the control plane, which has not told any yet"
            )


async def test_they_go_on_without_it_and_follow_when_it_is_back(control_plane, judge, tmp_path, mesh_root) -> None:
    async with contextlib.AsyncExitStack() as stack:
        with control_plane.serving(judge):
            world = await stack.enter_async_context(following(control_plane, judge, tmp_path, mesh_root))
            nodes = world.nodes
            await world.tell(ADDRESS, *world.pods())
            await world.tell(AUTHORIZATION)
            app = await stack.enter_async_context(TcpApp(echo, nodes.server.address))
            caller = await stack.enter_async_context(nodes.call(app.authority))
            await talk(caller, b"before")
        await eventually(lambda: "discovery stream ended" in nodes.server.log, "noticed")
        await talk(caller, b"meanwhile")
        async with nodes.call(app.authority) as fresh:
            await talk(fresh, b"a new one")
        assert nodes.server.is_ready()
        back = DiscoveryJudge()
        with control_plane.serving(back):
            await eventually(lambda: len(back.streams) == 2, "back")
            for stream in back.streams:
                opening = (await stream.heard(2))[0]
                assert dict(opening.initial_resource_versions) == {
                    "cluster//Pod/default/sleep": "1",
                    "cluster//Pod/default/server": "1",
                }
            world.streams = back.streams
            await world.tell(AUTHORIZATION)
            await talk(caller, b"after")
            await world.tell(AUTHORIZATION, named("default/no-sleep", encode_authorization(DENY_SLEEP)))
            assert await read_to_end(caller) == (b"", "reset")


async def test_every_worker_follows_for_itself(control_plane, judge, tmp_path, mesh_root) -> None:
    own = {"sleep": {"ZTUNNEL_WORKER_THREADS": "2"}}
    with control_plane.serving(judge):
        async with following(control_plane, judge, tmp_path, mesh_root, own) as world:
            await eventually(lambda: len(judge.streams) == 3, "all have joined", START_SECONDS)
            nodes = world.nodes
            for stream in judge.streams:
                await stream.heard(2)
            theirs = [stream for stream in judge.streams if stream.requests[0].node.metadata["NODE_NAME"] == "sleep"]
            assert len(theirs) == 2
            world.streams = theirs[:1]
            await world.tell(ADDRESS)
            await world.tell(AUTHORIZATION)
            assert not nodes.sleep.is_ready()
            world.streams = theirs[1:]
            await world.tell(ADDRESS)
            await world.tell(AUTHORIZATION)
            await ready(nodes.sleep)


# On demand.


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asking(tmp_path_factory, mesh_root) -> AsyncIterator[World]:
    """Proxies that ask for addresses; each knows its own pod, and what a test has told. Each test has its own ones."""
    control_plane, judge, folder = control_plane_on(mesh_root), DiscoveryJudge(), tmp_path_factory.mktemp("asking")
    with control_plane.serving(judge):
        async with following(control_plane, judge, folder, mesh_root, XDS_ON_DEMAND="true", STATE_WAIT="30s") as world:
            await world.tell(AUTHORIZATION)
            await ready(world.nodes.sleep, world.nodes.server)
            for node in (world.nodes.sleep, world.nodes.server):
                of(world, node).say(ADDRESS, pod(node))
            yield world


def of(world: World, node: Node) -> JudgedStream:
    """The stream of a node."""
    [found] = [stream for stream in world.streams if stream.requests[0].node.metadata["NODE_NAME"] == node.name]
    return found


async def asked_for(stream: JudgedStream, name: str) -> None:
    await eventually(
        lambda: any(name in request.resource_names_subscribe for request in stream.requests[1:]), f"asked for {name}"
    )


async def test_both_ends_are_asked_for_when_they_are_needed(asking: World) -> None:
    sleep, server = asking.nodes.sleep, asking.nodes.server
    async with TcpApp(echo, server.address) as app, asking.nodes.call(app.authority) as caller:
        async with asyncio.TaskGroup() as group:
            group.create_task(talk(caller, b"hello"))
            await asked_for(of(asking, sleep), f"/{server.address}")
            of(asking, sleep).say(ADDRESS, pod(server))
            await asked_for(of(asking, server), f"/{sleep.address}")
            of(asking, server).say(ADDRESS, pod(sleep))
        dump = json.loads(await asyncio.to_thread(sleep.get, "/config_dump"))
        [connection] = dump["workloadState"]["cluster//Pod/default/sleep"]["connections"]["outbound"]
        assert connection["protocol"] == "HBONE"


async def test_an_address_that_is_nobodys_is_passed_through(asking: World) -> None:
    sleep = asking.nodes.sleep
    async with TcpApp(echo, loopback_address()) as app:
        host = app.authority.partition(":")[0]
        async with asking.nodes.call(app.authority) as caller, asyncio.TaskGroup() as group:
            group.create_task(talk(caller, b"hello"))
            await asked_for(of(asking, sleep), f"/{host}")
            of(asking, sleep).say(ADDRESS, removed=[f"/{host}"])
        async with asking.nodes.call(app.authority) as caller:
            await talk(caller, b"again, at once")


async def test_a_waypoint_is_asked_for_by_name_and_not_gone_around(asking: World) -> None:
    sleep, address = asking.nodes.sleep, loopback_address()
    there = workload("elsewhere", address, node="far", waypoint=gateway("infra/wp.example.com"))
    async with TcpApp(echo, address) as app, asking.nodes.call(app.authority) as caller:
        async with asyncio.TaskGroup() as group:
            outcome = group.create_task(read_to_end(caller))
            await asked_for(of(asking, sleep), f"/{address}")
            of(asking, sleep).say(ADDRESS, named(there.uid, encode_workload(there)))
            await asked_for(of(asking, sleep), "infra/wp.example.com")
            of(asking, sleep).say(ADDRESS, removed=["infra/wp.example.com"])
        assert (outcome.result().data, app.connections) == (b"", [])
    await eventually(lambda: "unknown waypoint" in sleep.log, "logged")
