"""Our server towards grpcio's own client, with and without TLS; who calls, what is too much, and how it ends."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import AsyncExitStack

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from hbone_py.tls import TlsSettings
from mesh_py.rpc.contexts import server_context
from mesh_py.rpc.protocol import StreamLimits
from mesh_py.rpc.server import RpcServer, ServerLimits
from mesh_py.rpc.tls import LinkLimits
from tests.support.certificates import TestRoot
from tests.support.processes import eventually, run_tool
from tests.support.rpc import CHAT, HANG, SAY, Talk, credentials_of, said, serving

pytestmark = pytest.mark.interop


class GrpcioClient:
    """grpcio's asyncio client of `Talk`."""

    def __init__(self, target: str, root: TestRoot | None, pair: tuple[bytes, bytes] | None = None, **options) -> None:
        given = [(name.replace("_", "."), value) for name, value in options.items()]
        if root is None:
            self.channel = grpc.aio.insecure_channel(target, options=given)
        else:
            key, chain = pair or (None, None)
            credentials = grpc.ssl_channel_credentials(root.roots.read_bytes(), key, chain)
            self.channel = grpc.aio.secure_channel(target, credentials, options=given)
        codec = (StringValue.SerializeToString, StringValue.FromString)
        self.say = self.channel.unary_unary(SAY, *codec)
        self.chat = self.channel.stream_stream(CHAT, *codec)
        self.hang = self.channel.unary_unary(HANG, *codec)

    async def said(self, text: str = "hello", **more):
        return json.loads((await self.say(StringValue(value=text), timeout=10, **more)).value)


@pytest.fixture
async def grpcio_client(address, root):
    made: list[GrpcioClient] = []

    def make(port: int, *, secure: bool = True, pair: tuple[bytes, bytes] | None = None, **options) -> GrpcioClient:
        made.append(GrpcioClient(f"{address}:{port}", root if secure else None, pair, **options))
        return made[-1]

    yield make
    for client in made:
        await client.channel.close()


async def status_of(call) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details() or ""


async def test_grpcio_calls_us(grpcio_client, address, server_files):
    async with serving(address, server_files) as (server, port):
        client = grpcio_client(port)
        assert (await client.said())[:2] == ["hello", []]
        assert (await client.said("x" * 300_000, metadata=[("x-tenant", "blue")]))[2]["x-tenant"] == "blue"
        assert (server.connections, server.counts.accepted) == (1, 1)


async def test_grpcio_talks_both_ways_at_once(grpcio_client, address, server_files):
    async with serving(address, server_files) as (_, port):
        call = grpcio_client(port).chat()
        for word in ("a", "b" * 100_000, "c"):
            await call.write(StringValue(value=word))
            assert (await call.read()).value == word
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF


async def test_plaintext_where_it_is_asked_for(grpcio_client, address):
    async with serving(address, None) as (_, port):
        assert (await grpcio_client(port, secure=False).said())[:2] == ["hello", []]


async def test_a_client_may_show_its_workload_certificate(grpcio_client, address, root, server_files):
    envoy = root.issue("envoy", "shop/cart")
    async with serving(address, server_files) as (_, port):
        client = grpcio_client(port, pair=(envoy.key.read_bytes(), envoy.chain.read_bytes()))
        assert (await client.said())[1] == ["spiffe://cluster.local/ns/shop/sa/cart"]


async def test_a_certificate_nobody_vouches_for_ends_it(grpcio_client, address, server_files, tmp_path):
    alien = TestRoot(tmp_path / "alien").issue("alien", "shop/cart")
    async with serving(address, server_files) as (server, port):
        client = grpcio_client(port, pair=(alien.key.read_bytes(), alien.chain.read_bytes()))
        code, _ = await status_of(client.said())
        assert code is grpc.StatusCode.UNAVAILABLE
        await eventually(lambda: server.counts.failed >= 1, "counted")


async def test_tls12_is_refused_unless_asked_for(address, root, server_files):
    for tls, works in ((TlsSettings(), False), (TlsSettings(tls12=True), True)):
        async with serving(address, server_files, tls=tls) as (_, port):
            command = ["openssl", "s_client", "-connect", f"{address}:{port}", "-tls1_2", "-alpn", "h2"]
            done = await run_tool(*command, "-CAfile", str(root.roots), "-brief")
            assert (done.returncode == 0) is works, done.stderr


async def test_a_method_nobody_serves(grpcio_client, address, server_files):
    async with serving(address, server_files) as (_, port):
        client = grpcio_client(port)
        call = client.channel.unary_unary("/test.Talk/Nothing")
        assert await status_of(call(b"", timeout=10)) == (grpc.StatusCode.UNIMPLEMENTED, "Method not found")


async def test_a_message_over_the_limit_ends_its_call_alone(grpcio_client, address, server_files):
    limits = ServerLimits(streams=StreamLimits(message=1000))
    async with serving(address, server_files, limits=limits) as (server, port):
        client = grpcio_client(port)
        code, text = await status_of(client.said("x" * 2000))
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "more than the limit of 1000" in text
        await client.said()
        assert server.counts.accepted == 1


async def test_what_is_no_message_is_the_clients_fault(grpcio_client, address, server_files, caplog):
    async with serving(address, server_files) as (_, port):
        call = grpcio_client(port).channel.unary_unary(SAY)
        code, text = await status_of(call(b"\xff\xff", timeout=10))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert text.startswith("not a google.protobuf.StringValue")
    assert "Traceback" not in caplog.text


async def test_a_compressed_message_is_refused(grpcio_client, address, server_files):
    async with serving(address, server_files) as (_, port):
        code, text = await status_of(grpcio_client(port).said("x" * 5000, compression=grpc.Compression.Gzip))
        assert code is grpc.StatusCode.UNIMPLEMENTED
        assert "compressed" in text


async def test_more_calls_than_allowed_wait_for_their_turn(grpcio_client, address, server_files):
    limits = ServerLimits(streams=StreamLimits(streams=3))
    talk = Talk()
    async with serving(address, server_files, talk, limits=limits) as (_, port):
        client = grpcio_client(port)
        calls = [client.hang(StringValue(), timeout=20) for _ in range(7)]
        await eventually(lambda: talk.hanging == 3, "three calls running")
        talk.gate.set()
        for call in calls:
            await call
        assert talk.most_hanging == 3


async def test_connections_over_the_limit_are_turned_away(grpcio_client, address, server_files):
    talk = Talk()
    async with serving(address, server_files, talk, limits=ServerLimits(connections=1)) as (server, port):
        call = grpcio_client(port).hang(StringValue(), timeout=20)
        await eventually(lambda: talk.hanging == 1, "a call running")
        with socket.create_connection((address, port)) as second:
            second.settimeout(10)
            assert await asyncio.to_thread(second.recv, 1) == b""
        assert (server.counts.turned_away, server.counts.displaced) == (1, 0)
        assert server.connections == 1
        talk.gate.set()
        await call


@pytest.mark.parametrize("is_tls", [True, False])
async def test_who_holds_connections_without_a_call_keeps_nobody_out(grpcio_client, address, server_files, is_tls):
    files = server_files if is_tls else None
    async with serving(address, files, limits=ServerLimits(connections=3)) as (server, port), AsyncExitStack() as held:
        silent: list[socket.socket] = []
        while len(silent) < 4:  # one by one: what comes at once may be accepted in any order
            if len(silent) == 3:
                await eventually(lambda: [one.is_idle for one in server._connections] == [True] * 3, "all places taken")
            silent.append(held.enter_context(socket.create_connection((address, port))))
            await eventually(lambda: server.counts.accepted == len(silent), "accepted")
        assert (await grpcio_client(port, secure=is_tls).said("hello"))[0] == "hello"
        assert (server.connections, server.counts.displaced, server.counts.turned_away) == (3, 2, 0)
        for one in silent:
            one.setblocking(False)
        left = [one for one in silent if not is_ended(one)]
        assert left == silent[2:]  # the first to come were the first to go


def is_ended(sock: socket.socket) -> bool:
    try:
        while sock.recv(65536):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        pass
    return True


async def test_who_does_not_shake_hands_is_cut_off(address, server_files):
    limits = ServerLimits(link=LinkLimits(handshake=0.1))
    async with serving(address, server_files, limits=limits) as (server, port):
        with socket.create_connection((address, port)):
            await eventually(lambda: server.counts.failed == 1, "the silent client cut off")
        assert server.connections == 0


async def test_a_connection_without_calls_is_ended_after_a_while(open_channel, address, server_files):
    async with serving(address, server_files, limits=ServerLimits(idle=0.1)) as (server, port):
        await said(open_channel(port))
        await eventually(lambda: server.connections == 0, "the idle connection ended")


async def test_an_old_connection_is_drained_and_then_cut(grpcio_client, address, server_files):
    talk = Talk()
    limits = ServerLimits(age=0.3, grace=0.3)
    async with serving(address, server_files, talk, limits=limits) as (server, port):
        client = grpcio_client(port)
        call = client.hang(StringValue(), timeout=20)
        await eventually(lambda: talk.hanging == 1, "the call running")
        code, _ = await status_of(call)
        assert code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        assert talk.cancelled == 1
        await client.said()  # on a new connection
        assert server.counts.accepted == 2


async def test_a_drain_lets_running_calls_end(grpcio_client, address, server_files):
    async with serving(address, server_files) as (server, port):
        call = grpcio_client(port).chat(timeout=20)
        await call.write(StringValue(value="before"))
        assert (await call.read()).value == "before"
        async with asyncio.TaskGroup() as group:
            drain = group.create_task(server.drain(10))
            await eventually(lambda: all(c.protocol.processor.is_draining for c in server._connections), "GOAWAY said")
            await call.write(StringValue(value="during"))
            assert (await call.read()).value == "during"
            await call.done_writing()
            assert await call.code() is grpc.StatusCode.OK
        assert drain.result() is True


async def test_a_drain_has_an_end(grpcio_client, address, server_files):
    talk = Talk()
    async with serving(address, server_files, talk) as (server, port):
        call = grpcio_client(port).hang(StringValue(), timeout=20)
        await eventually(lambda: talk.hanging == 1, "the call running")
        assert await server.drain(0.1) is False
        assert talk.cancelled == 1
        with pytest.raises(grpc.aio.AioRpcError):
            await call
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((address, port))


async def test_a_new_certificate_is_shown_to_the_next_client(address, root, server_files):
    current = [server_context(credentials_of(server_files), TlsSettings())]
    sock = socket.socket()
    sock.bind((address, 0))
    port = sock.getsockname()[1]
    server = RpcServer([Talk()])
    await server.listen(sock, lambda: current[0])
    command = ["openssl", "s_client", "-connect", f"{address}:{port}", "-CAfile", str(root.roots)]
    shown = []
    for name in ("one.example", "two.example"):
        current[0] = server_context(credentials_of(root.issue_server(name, name, common_name=name)), TlsSettings())
        done = await run_tool(*command, "-alpn", "h2")
        shown.append(f"subject=CN = {name}" in done.stdout.decode())
    await server.aclose()
    assert shown == [True, True]
