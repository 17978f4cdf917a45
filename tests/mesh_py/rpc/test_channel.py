"""Our channel towards grpcio's own server: names, roots, tokens, and what a failed dial says."""

from __future__ import annotations

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError

from mesh_py.rpc.bearer import BearerToken
from mesh_py.rpc.channel import ChannelLimits
from mesh_py.rpc.endpoint import Address, Endpoint
from mesh_py.rpc.errors import DialFailed, TokenError
from mesh_py.rpc.roots import Roots
from tests.support.certificates import TestRoot
from tests.support.processes import eventually
from tests.support.rpc import GrpcioTalk, chat, endpoint_of, grpcio_credentials, grpcio_server, hang, said, say, serving

pytestmark = pytest.mark.interop


@pytest.fixture
def talk():
    return GrpcioTalk()


@pytest.fixture
def port(talk, address, server_files):
    """Where grpcio serves with TLS."""
    with grpcio_server(talk, address=address, credentials=grpcio_credentials(server_files)) as port:
        yield port


async def refusal(channel) -> str:
    with pytest.raises(DialFailed) as caught:
        await said(channel)
    return str(caught.value)


async def test_calls_reach_grpcio(open_channel, port, talk):
    channel = open_channel(port)
    assert (await said(channel))[0] == "hello"
    assert (await said(channel, "x" * 300_000))[0] == "x" * 300_000
    assert len(set(talk.peers)) == 1  # one connection carries all


async def test_messages_go_both_ways_at_once(open_channel, port):
    async with chat(open_channel(port)).open(timeout=10) as stream:
        for word in ("a", "b" * 100_000, "c"):
            await stream.send_message(StringValue(value=word))
            assert await stream.recv_message() == StringValue(value=word)
        await stream.end()
        assert await stream.recv_message() is None


async def test_every_call_shows_the_token_as_it_is_then(open_channel, port, tmp_path):
    file = tmp_path / "istio-token"
    file.write_text("first\n")
    channel = open_channel(port, token=BearerToken.of(str(file)), cluster_id="Kubernetes", headers={"x-tenant": "blue"})
    _, _, metadata = await said(channel)
    assert metadata["authorization"] == "Bearer first"
    assert metadata["clusterid"] == "Kubernetes"
    assert metadata["x-tenant"] == "blue"
    file.write_text("second")
    assert (await said(channel))[2]["authorization"] == "Bearer second"
    file.write_text("\n")
    with pytest.raises(TokenError, match="the token is empty"):
        await said(channel)
    file.unlink()
    with pytest.raises(TokenError, match="no token: No such file or directory"):
        await said(channel)


async def test_without_a_token_no_cluster_is_told(open_channel, port):
    _, _, metadata = await said(open_channel(port, cluster_id="Kubernetes"))
    assert not {"authorization", "clusterid"} & metadata.keys()


async def test_a_status_of_the_server_is_what_the_call_raises(open_channel, port):
    with pytest.raises(GRPCError) as caught:
        await hang(open_channel(port))(StringValue())
    assert caught.value.status is Status.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("hosts", "alternative", "problem"),
    [
        ((), "", "it names nobody.invalid"),
        (("istiod.istio-system.svc",), "", "it names istiod.istio-system.svc"),
        (("istiod.istio-system.svc",), "istiod.istio-system.svc", None),
        (("*.istio-system.svc",), "istiod.istio-system.svc", None),
    ],
)
async def test_the_certificate_must_name_the_server(open_channel, root, address, talk, hosts, alternative, problem):
    files = root.issue_server("other", *hosts, common_name=address)
    with grpcio_server(talk, address=address, credentials=grpcio_credentials(files)) as port:
        channel = open_channel(port, alternative_host=alternative)
        if problem is None:
            assert (await said(channel))[0] == "hello"
        else:
            text = await refusal(channel)
            assert text.startswith(f"no secure connection to {address}:{port}: the server's certificate is not for")
            assert text.endswith(problem)


async def test_a_server_of_an_unknown_root_is_refused(open_channel, port, address, tmp_path):
    stranger = TestRoot(tmp_path / "elsewhere")
    endpoint = Endpoint(Address(address, port), Roots(str(stranger.roots)))
    assert "certificate verify failed" in await refusal(open_channel(0, endpoint=endpoint))


async def test_the_roots_are_read_at_each_dial(open_channel, port, address, root, tmp_path):
    file = tmp_path / "root-cert.pem"
    channel = open_channel(0, endpoint=Endpoint(Address(address, port), Roots(str(file))))
    assert f"XDS_ROOT_CA: {file}: No such file or directory: mount it there" in await refusal(channel)
    file.write_bytes(root.roots.read_bytes())
    assert (await said(channel))[0] == "hello"


async def test_roots_may_be_given_as_text(open_channel, port, address, root):
    endpoint = Endpoint(Address(address, port), Roots(root.roots.read_text()))
    assert (await said(open_channel(0, endpoint=endpoint)))[0] == "hello"


async def test_a_name_is_looked_up_and_sent(open_channel, server_files, talk, root):
    with grpcio_server(talk, address="localhost", credentials=grpcio_credentials(server_files)) as port:
        assert (await said(open_channel(0, endpoint=endpoint_of("localhost", port, server_files))))[0] == "hello"


async def test_loopback_may_do_without_tls(open_channel, address, talk):
    with grpcio_server(talk, address=address) as port:
        endpoint = Endpoint(Address(address, port, is_plaintext=True), Roots())
        assert (await said(open_channel(0, endpoint=endpoint)))[0] == "hello"


async def test_a_dial_in_vain_says_what_it_tried(open_channel, address):
    text = await refusal(open_channel(1))
    assert text == f"cannot connect to {address}:1 ({address}: Connection refused): is the control plane up?"


async def test_a_name_nobody_knows(open_channel):
    text = await refusal(open_channel(0, endpoint=Endpoint(Address("istiod.invalid", 15012), Roots())))
    assert text.startswith("cannot connect to istiod.invalid:15012: no such name")


async def test_a_server_that_does_not_speak_tls(open_channel, address, talk):
    with grpcio_server(talk, address=address) as port:
        text = await refusal(open_channel(port))
    assert text.startswith(f"no secure connection to {address}:{port}: ")


async def test_after_a_loss_the_next_call_dials_anew(open_channel, address, server_files):
    async with serving(address, server_files) as (server, port):
        channel = open_channel(port)
        await said(channel)
        for connection in list(server._connections):
            connection.protocol.transport.abort()
        await eventually(lambda: not channel._connected, "the loss noticed")
        await said(channel)
        assert server.counts.accepted == 2


async def test_a_message_over_the_limit_ends_its_call_alone(open_channel, port):
    channel = open_channel(port, limits=ChannelLimits(message=1000))
    with pytest.raises(GRPCError) as caught:
        await said(channel, "x" * 2000)
    assert caught.value.status is Status.RESOURCE_EXHAUSTED
    assert "more than the limit of 1000" in (caught.value.message or "")
    assert (await said(channel))[0] == "hello"


async def test_a_deadline_ends_a_call(open_channel, address, server_files):
    async with serving(address, server_files) as (_, port):
        with pytest.raises(TimeoutError):
            await hang(open_channel(port))(StringValue(), timeout=0.2)


async def test_a_server_that_answers_no_ping_is_given_up(open_channel, port, talk):
    """A frozen server: the connection is up, and nobody reads it."""
    channel = open_channel(port, limits=ChannelLimits(ping_interval=0.1, ping_timeout=0.2))
    await said(channel)
    protocol = channel._protocol
    protocol.transport.pause_reading()  # what it answers is not heard, which is the same to us
    async with chat(channel).open(timeout=10) as stream:
        await stream.send_request()
        with pytest.raises(StreamTerminatedError, match=r"connection lost: no answer to a PING within 0\.2 s"):
            await stream.recv_message()
    assert (await say(channel)(StringValue(value="again"), timeout=10)).value
