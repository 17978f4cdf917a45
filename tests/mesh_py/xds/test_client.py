"""The discovery client in conversation with grpcio's server, which records what it is told (hbone-controlplane 2)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc
import pytest

from hbone_py.tls import TlsSettings
from mesh_py.discovery.state import MeshState
from mesh_py.model.authorization import Action, Policy, Scope
from mesh_py.rpc.bearer import BearerToken
from mesh_py.rpc.channel import RpcChannel
from mesh_py.rpc.endpoint import Address, Endpoint
from mesh_py.rpc.roots import Roots
from mesh_py.telemetry.metrics import Metrics
from mesh_py.xds.backoff import Backoff
from mesh_py.xds.client import DiscoveryClient
from mesh_py.xds.delta import Interest
from mesh_py.xds.encode import encode_authorization, encode_service, encode_workload
from mesh_py.xds.holdings import HoldingLimits
from mesh_py.xds.intake import Intake
from mesh_py.xds.node import Node
from mesh_py.xds.types import ADDRESS, AUTHORIZATION
from tests.support.certificates import TestRoot
from tests.support.discovery_judge import DiscoveryJudge, JudgedStream, named
from tests.support.processes import eventually, free_port, loopback_address, settled
from tests.support.rpc import endpoint_of, grpcio_credentials, grpcio_server
from tests.support.world import ip, service, workload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from mesh_py.model.workload import Workload

pytestmark = pytest.mark.interop

NODE = Node.of("ztunnel", name="z", namespace="istio-system", ip="10.0.0.7", metadata={"NODE_NAME": "a", "X": {"n": 1}})
POLICY = Policy("p", "default", Scope.NAMESPACE, Action.DENY, (((),),))


def pod(name: str, *ips: str) -> Workload:
    return workload(name, *ips, workload_type="pod", cluster_id="c")


def told(request) -> set[str]:
    """The fields that are set."""
    return {field.name for field, _ in request.ListFields()}


class Proxy:
    """A client and the mesh it feeds."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        on_demand: bool = False,
        wait_seconds: float = 30.0,
        limits: HoldingLimits | None = None,
    ) -> None:
        self.state = MeshState()
        self.metrics = Metrics()
        self.client = DiscoveryClient(
            lambda: RpcChannel(endpoint, TlsSettings()),
            NODE,
            [Interest(ADDRESS, on_demand), Interest(AUTHORIZATION)],
            Intake(self.state),
            self.metrics,
            wait_seconds=wait_seconds,
            limits=limits,
        )

    def counted(self, name: str) -> dict[str, float]:
        """A counter's values by its label."""
        [family] = [family for family in self.metrics.snapshot().families if family.name == name]
        return {labels[0]: values[0] for labels, values in family.samples.items()}

    def terminations(self) -> dict[str, float]:
        """How streams have ended so far."""
        return self.counted("istio_xds_connection_terminations")


@pytest.fixture(scope="module")
def address() -> str:
    return loopback_address()


@pytest.fixture
def judge() -> DiscoveryJudge:
    return DiscoveryJudge()


@pytest.fixture
def endpoint(judge: DiscoveryJudge, address: str) -> Iterator[Endpoint]:
    with grpcio_server(judge, address=address) as port:
        yield plain(address, port)


def plain(address: str, port: int) -> Endpoint:
    return Endpoint(Address(address, port, is_plaintext=True), Roots())


class running:
    """A proxy that follows the judge while the block runs."""

    def __init__(self, endpoint: Endpoint, **more) -> None:
        self._endpoint, self._more = endpoint, more
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Proxy:
        proxy = Proxy(self._endpoint, **self._more)
        await self._group.__aenter__()
        self._task = self._group.create_task(proxy.client.run())
        return proxy

    async def __aexit__(self, *details) -> None:
        self._task.cancel()
        await self._group.__aexit__(*details)


@pytest.fixture
async def proxy(endpoint: Endpoint) -> AsyncIterator[Proxy]:
    async with running(endpoint) as proxy:
        yield proxy


@pytest.fixture
async def stream(judge: DiscoveryJudge, proxy: Proxy) -> JudgedStream:
    """The first stream, its opening heard."""
    stream = await judge.stream()
    await stream.heard(2)
    return stream


# The opening.


async def test_the_first_requests_say_who_we_are_and_want_everything(stream: JudgedStream) -> None:
    first, second = stream.requests
    assert (first.type_url, second.type_url) == (ADDRESS, AUTHORIZATION)
    for request in (first, second):
        assert request.node.id == "ztunnel~10.0.0.7~z.istio-system~istio-system.svc.cluster.local"
        assert request.node.metadata["NODE_NAME"] == "a"
        assert request.node.metadata["X"]["n"] == 1
        assert told(request) == {"type_url", "node"}
    assert "authorization" not in stream.metadata


async def test_tls_a_token_and_headers(judge: DiscoveryJudge, address: str, tmp_path) -> None:
    files = TestRoot(tmp_path).issue_server("istiod", address)
    token = tmp_path / "token"
    token.write_text("first")
    credentials = grpcio_credentials(files)
    with grpcio_server(judge, address=address, credentials=credentials) as port:
        more = {"token": BearerToken.of(str(token)), "cluster_id": "c1", "headers": {"x-tenant": "blue"}}
        async with running(endpoint_of(address, port, files, **more)):
            first = await judge.stream()
            assert {key: first.metadata[key] for key in ("authorization", "clusterid", "x-tenant")} == {
                "authorization": "Bearer first",
                "clusterid": "c1",
                "x-tenant": "blue",
            }
            token.write_text("second")  # read anew for each stream
            first.say(ADDRESS)
            first.end()
            second = await judge.stream(2)
            assert second.metadata["authorization"] == "Bearer second"


# Answers.


async def test_what_is_sent_becomes_the_mesh_and_is_acknowledged(proxy: Proxy, stream: JudgedStream) -> None:
    stream.say(ADDRESS, named("cluster//Pod/default/w", encode_workload(pod("w", "10.0.0.1"))), nonce="n1")
    ack = (await stream.heard(3))[2]
    assert (ack.type_url, ack.response_nonce) == (ADDRESS, "n1")
    assert told(ack) == {"type_url", "response_nonce"}
    assert proxy.state.workloads.at("", ip("10.0.0.1")) == pod("w", "10.0.0.1")
    stream.say(ADDRESS, removed=["cluster//Pod/default/w"], nonce="n2")
    assert (await stream.heard(4))[3].response_nonce == "n2"
    assert len(proxy.state.workloads) == 0


async def test_the_good_are_applied_and_the_bad_refused_by_name(proxy: Proxy, stream: JudgedStream) -> None:
    good = named("default/h", encode_service(service("h", "10.96.0.1")))
    stream.say(ADDRESS, named("bad", b""), good, named("worse", b"\xff"), nonce="n1")
    nack = (await stream.heard(3))[2]
    assert (nack.type_url, nack.response_nonce) == (ADDRESS, "n1")
    assert nack.HasField("error_detail")
    assert nack.error_detail.code == 0
    assert nack.error_detail.message.startswith(
        "bad: the address is neither a workload nor a service; worse: not a message of type istio.workload.Address"
    )
    assert not nack.error_detail.details
    assert proxy.state.find_address("", ip("10.96.0.1")) is not None


async def test_what_there_is_no_room_for_is_refused_and_the_rest_stays(judge, endpoint: Endpoint, caplog) -> None:
    async with running(endpoint, limits=HoldingLimits(resources=2)) as proxy:
        stream = await judge.stream()
        await stream.heard(2)
        one, two, three = (named(w.uid, encode_workload(w), "v1") for w in map(pod, ("w1", "w2", "w3")))
        stream.say(ADDRESS, one, two)
        stream.say(ADDRESS, three, named(one.name, encode_workload(pod("w1", "10.0.0.1")), "v2"))
        nack = (await stream.heard(4))[3]
        assert nack.error_detail.message.startswith(f"{three.name}: there are 2 resources of this type")
        assert proxy.state.workloads.by_uid == {one.name: pod("w1", "10.0.0.1"), two.name: pod("w2")}
        stream.say(ADDRESS, three, removed=[two.name])
        assert not (await stream.heard(5))[4].HasField("error_detail")
        stream.end()
        opening = (await (await judge.stream(2)).heard(2))[0]
        assert dict(opening.initial_resource_versions) == {one.name: "v2", three.name: "v1"}
    assert f"resources of type {ADDRESS} rejected: {three.name}: there are 2" in caplog.text


async def test_a_type_nobody_asked_for_is_acknowledged(proxy: Proxy, stream: JudgedStream) -> None:
    stream.say("type.googleapis.com/x.Y", named("r", b""), nonce="n7")
    ack = (await stream.heard(3))[2]
    assert (ack.type_url, ack.response_nonce, ack.HasField("error_detail")) == ("type.googleapis.com/x.Y", "n7", False)
    stream.say("type.googleapis.com/x.Z")
    await stream.heard(4)
    assert proxy.counted("istio_xds_message") == {"unknown": 2}


async def test_messages_and_bytes_are_counted(proxy: Proxy, stream: JudgedStream) -> None:
    resource = named("cluster//Pod/default/w", encode_workload(pod("w")))
    stream.say(ADDRESS, resource)
    stream.say(ADDRESS)
    await stream.heard(4)
    assert proxy.counted("istio_xds_message") == {ADDRESS: 2}
    assert proxy.counted("istio_xds_message_bytes") == {ADDRESS: len(resource.resource.value)}


async def test_ten_thousand_workloads(proxy: Proxy, stream: JudgedStream) -> None:
    pods = [pod(f"w{n}", f"10.{n >> 16}.{(n >> 8) & 255}.{n & 255}") for n in range(10_000)]
    stream.say(ADDRESS, *(named(one.uid, encode_workload(one)) for one in pods))
    await stream.heard(3)
    assert len(proxy.state.workloads) == 10_000
    assert proxy.state.version == 1


# Readiness.


async def test_ready_once_each_type_was_acknowledged(proxy: Proxy, stream: JudgedStream) -> None:
    stream.say(AUTHORIZATION)
    stream.say(ADDRESS, named("bad", b""))
    await stream.heard(4)
    assert not proxy.client.ready.is_set()
    stream.say(ADDRESS)
    await proxy.client.ready.wait()


# The next stream.


async def test_the_next_stream_tells_what_is_held(judge: DiscoveryJudge, proxy: Proxy, stream: JudgedStream) -> None:
    stream.say(ADDRESS, named("uid-a", encode_workload(pod("a")), "v1"), named("bad", b"", "v1"))
    stream.say(ADDRESS, named("default/h", encode_service(service("h")), "v2"))
    stream.say(AUTHORIZATION, named("default/p", encode_authorization(POLICY), ""))
    await stream.heard(5)
    stream.end()
    second = await judge.stream(2)
    addresses, policies = (await second.heard(2))[:2]
    assert dict(addresses.initial_resource_versions) == {"uid-a": "v1", "default/h": "v2"}
    assert dict(policies.initial_resource_versions) == {"default/p": ""}
    assert (addresses.node.id, policies.node.id) == (NODE.id, NODE.id)
    assert len(proxy.state.workloads) == 1
    assert proxy.terminations() == {"Complete": 1}


@pytest.mark.parametrize(
    ("code", "text", "reason"),
    [
        pytest.param(grpc.StatusCode.UNKNOWN, "", "Reconnect", id="unknown"),
        pytest.param(grpc.StatusCode.CANCELLED, "", "Reconnect", id="cancelled"),
        pytest.param(grpc.StatusCode.DEADLINE_EXCEEDED, "", "Reconnect", id="deadline"),
        pytest.param(grpc.StatusCode.UNAVAILABLE, "transport is closing", "Reconnect", id="closing"),
        pytest.param(grpc.StatusCode.UNAVAILABLE, "x received prior goaway y", "Reconnect", id="goaway"),
        pytest.param(grpc.StatusCode.UNAVAILABLE, "push queue is full", "Error", id="unavailable"),
        pytest.param(grpc.StatusCode.INTERNAL, "", "Error", id="internal"),
        pytest.param(grpc.StatusCode.PERMISSION_DENIED, "", "Error", id="denied"),
    ],
)
async def test_how_a_stream_ended_is_counted(judge, proxy: Proxy, stream: JudgedStream, code, text, reason) -> None:
    stream.say(ADDRESS)
    await stream.heard(3)
    stream.end(code, text)
    await judge.stream(2)
    assert proxy.terminations() == {reason: 1}


async def test_a_server_that_refuses_is_asked_again_and_heard(
    judge: DiscoveryJudge, endpoint: Endpoint, caplog
) -> None:
    judge.refuses_with = (grpc.StatusCode.UNAUTHENTICATED, "token expired")
    async with running(endpoint) as proxy:
        await judge.stream(2)
        judge.refuses_with = None
        await eventually(lambda: any(stream.requests for stream in judge.streams), "a stream that is served")
        assert proxy.terminations().keys() == {"ConnectionError"}
    assert "discovery stream ended (ConnectionError): UNAUTHENTICATED: token expired; next attempt in" in caplog.text


async def test_a_control_plane_that_has_not_what_we_ask_for_is_told_from_a_wrong_token(
    judge: DiscoveryJudge, endpoint: Endpoint, caplog
) -> None:
    """The words are istiod's, to a type that is ours alone."""
    text = "the api generator is restricted to the control-plane (root) namespace"
    judge.refuses_with = (grpc.StatusCode.PERMISSION_DENIED, text)
    async with running(endpoint):
        await judge.stream(2)
    assert f"PERMISSION_DENIED: {text} (this is Istio's control plane, which has no routes and policies" in caplog.text


async def test_a_server_that_dies_leaves_the_mesh_and_is_followed_when_it_is_back(address: str) -> None:
    port = free_port(address)
    async with running(plain(address, port)) as proxy:
        await eventually(lambda: "ConnectionError" in proxy.terminations(), "a failure")
        for life in (1, 2):
            judge = DiscoveryJudge()
            with grpcio_server(judge, address=address, port=port):
                stream = await judge.stream()
                opening = (await stream.heard(2))[0]
                assert dict(opening.initial_resource_versions) == ({} if life == 1 else {"uid": "v1"})
                stream.say(ADDRESS, named("uid", encode_workload(pod("w")), f"v{life}"))
                await stream.heard(3)
            assert len(proxy.state.workloads) == 1


async def test_between_two_attempts_it_waits_as_long_as_it_should(address: str, monkeypatch) -> None:
    began, lasted = asyncio.get_running_loop().time(), []

    def an_hour(backoff: Backoff, *_, **how) -> tuple[float, Backoff]:
        lasted.append(how["lasted"])
        return 3600.0, backoff

    monkeypatch.setattr(Backoff, "after", an_hour)
    async with running(plain(address, free_port(address))) as proxy:
        await eventually(lambda: "ConnectionError" in proxy.terminations(), "a failure")
        assert await settled(lambda: len(lasted)) == 1
    assert 0 <= lasted[0] <= asyncio.get_running_loop().time() - began


async def test_without_a_token_file_nothing_is_dialled_busily(judge, endpoint: Endpoint, tmp_path, caplog) -> None:
    lost = Endpoint(endpoint.address, Roots(), token=BearerToken.of(str(tmp_path / "token")))
    async with running(lost) as proxy:
        await eventually(lambda: proxy.terminations().get("Error", 0) >= 2, "two failures")
    assert "no token: No such file or directory" in caplog.text
    assert judge.streams == []


# On demand.


@pytest.fixture
async def asking(endpoint: Endpoint) -> AsyncIterator[Proxy]:
    async with running(endpoint, on_demand=True) as proxy:
        yield proxy


async def found(proxy: Proxy, *names: str) -> None:
    """Wait as a connection does that needs these."""
    answered = asyncio.Event()
    proxy.client.names.find(names, answered.set)
    await answered.wait()


async def test_on_demand_asks_for_nothing_first(judge: DiscoveryJudge, asking: Proxy) -> None:
    stream = await judge.stream()
    first, second = (await stream.heard(2))[:2]
    assert (list(first.resource_names_subscribe), list(first.resource_names_unsubscribe)) == (["*"], ["*"])
    assert (second.type_url, list(second.resource_names_subscribe)) == (AUTHORIZATION, [])
    stream.say(AUTHORIZATION)
    await asking.client.ready.wait()  # addresses are not waited for


async def test_a_name_is_asked_for_and_answered_under_its_true_name(judge: DiscoveryJudge, asking: Proxy) -> None:
    stream = await judge.stream()
    await stream.heard(2)
    async with asyncio.TaskGroup() as group:
        group.create_task(found(asking, "/10.0.0.1"))
        ask = (await stream.heard(3))[2]
        assert (ask.type_url, list(ask.resource_names_subscribe)) == (ADDRESS, ["/10.0.0.1"])
        assert told(ask) == {"type_url", "resource_names_subscribe"}
        stream.say(ADDRESS, named("uid", encode_workload(pod("w", "10.0.0.1")), aliases=["/10.0.0.1"]))
    assert asking.state.workloads.at("", ip("10.0.0.1")) is not None


async def test_a_name_that_is_nobodys_is_answered_by_its_removal(judge: DiscoveryJudge, asking: Proxy) -> None:
    stream = await judge.stream()
    await stream.heard(2)
    async with asyncio.TaskGroup() as group:
        group.create_task(found(asking, "/1.2.3.4"))
        await stream.heard(3)
        stream.say(ADDRESS, removed=["/1.2.3.4"])
    await found(asking, "/1.2.3.4")  # known by now
    await stream.heard(4)
    assert len(stream.of_type(ADDRESS)) == 3  # opening, question, ACK


async def test_a_new_stream_asks_again_for_what_is_waited_for(judge: DiscoveryJudge, asking: Proxy) -> None:
    stream = await judge.stream()
    await stream.heard(2)
    stream.say(ADDRESS, named("uid", encode_workload(pod("w")), "v1"))
    await stream.heard(3)
    async with asyncio.TaskGroup() as group:
        group.create_task(found(asking, "/10.0.0.9"))
        await stream.heard(4)
        stream.end()
        second = await judge.stream(2)
        first = (await second.heard(2))[0]
        assert list(first.resource_names_subscribe) == ["*", "uid", "/10.0.0.9"]
        assert list(first.resource_names_unsubscribe) == ["*"]
        assert dict(first.initial_resource_versions) == {"uid": "v1"}
        second.say(ADDRESS, removed=["/10.0.0.9"])


async def test_what_was_asked_before_anybody_listened_is_said_once(address: str) -> None:
    port, judge = free_port(address), DiscoveryJudge()
    async with running(plain(address, port), on_demand=True) as proxy, asyncio.TaskGroup() as group:
        group.create_task(found(proxy, "/10.0.0.1"))
        group.create_task(found(proxy, "/10.0.0.2"))
        await eventually(lambda: "ConnectionError" in proxy.terminations(), "a failure")
        with grpcio_server(judge, address=address, port=port):
            stream = await judge.stream()
            assert list((await stream.heard(2))[0].resource_names_subscribe) == ["*", "/10.0.0.1", "/10.0.0.2"]
            stream.say(ADDRESS, removed=["/10.0.0.1", "/10.0.0.2"])
            await stream.heard(3)
            assert [list(request.resource_names_subscribe) for request in stream.requests[1:]] == [[], []]


async def test_a_wait_ends_in_time_with_no_control_plane_at_all(address: str) -> None:
    async with running(plain(address, free_port(address)), on_demand=True, wait_seconds=0.05) as proxy:
        await found(proxy, "/10.0.0.1")
