"""A break on one side is a break on the other: our two sides with Envoy, and every code from a raw peer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hbone_py.errors import HboneError, StreamReset, TunnelRefused
from tests.interop.callers import BROKEN, Caller, read_to_end, talk
from tests.interop.pairs import HBONE_PORT, OurClient, our_credentials, our_server
from tests.support.processes import free_port
from tests.support.raw_peer import Code, Kind, client_tls, data, raw_client, rst_stream
from tests.support.tcp_apps import TcpApp, echo, reset_after

if TYPE_CHECKING:
    from tests.interop.pairs import Pair
    from tests.support.certificates import MeshCertificates
    from tests.support.envoy import Envoy

pytestmark = pytest.mark.interop


async def test_the_application_resets_and_its_caller_is_told(pair: Pair) -> None:
    """But for two Envoys: the server says CONNECT_ERROR, and that code the client takes for an end."""
    async with TcpApp(reset_after(5), pair.address) as app, pair.call(app.authority) as caller:
        await caller.send(b"hello")
        assert (await read_to_end(caller)).ended == ("eof" if pair.is_reference else "reset")


async def test_the_caller_resets_and_its_application_is_told(pair: Pair) -> None:
    """But for Envoy's server, which tells its application of every break as of an end."""
    async with TcpApp(echo, pair.address) as app, pair.call(app.authority) as caller:
        await talk(caller, b"hello")
        caller.abort()
        assert await app.ended() == ("reset" if pair.server == "ours" else "eof")


async def test_nobody_listens(pair: Pair) -> None:
    authority = f"{pair.address}:{free_port(pair.address)}"
    with pytest.raises(BROKEN) as refusal:
        async with pair.call(authority) as caller:
            await hear_of_it(caller)
    if isinstance(refusal.value, HboneError):
        assert isinstance(refusal.value, TunnelRefused)
        assert refusal.value.answered == 503


async def test_our_client_hears_envoys_code(envoy_server: Envoy, certificates: MeshCertificates) -> None:
    async with (
        TcpApp(reset_after(5), envoy_server.address) as app,
        OurClient(our_credentials(certificates.client)).call(app.authority) as caller,
    ):
        await caller.send(b"hello")
        with pytest.raises(StreamReset) as reset:
            await caller.receive()
    assert (reset.value.code, reset.value.by_peer) == (Code.CONNECT_ERROR, True)


async def test_our_server_tells_the_downstream_internal_error(certificates: MeshCertificates, pod_address: str) -> None:
    async with (
        our_server(pod_address, certificates.server),
        TcpApp(reset_after(5), pod_address) as app,
        raw_client(pod_address, HBONE_PORT, client_tls(certificates.client)) as peer,
    ):
        stream = await peer.open_tunnel(app.authority)
        await peer.send(data(stream, b"hello"))
        assert await peer.read_stream(stream) == (b"", Code.INTERNAL_ERROR)


@pytest.mark.parametrize("code", list(Code), ids=lambda code: code.name)
async def test_every_code_before_the_end_is_a_reset_for_the_application(
    certificates: MeshCertificates, pod_address: str, code: Code
) -> None:
    async with (
        our_server(pod_address, certificates.server),
        TcpApp(echo, pod_address) as app,
        raw_client(pod_address, HBONE_PORT, client_tls(certificates.client)) as peer,
    ):
        stream = await peer.open_tunnel(app.authority)
        await app.connection()
        await peer.send(rst_stream(stream, code))
        assert await app.ended() == "reset"


async def test_a_reset_stream_leaves_its_neighbours_alone(certificates: MeshCertificates, pod_address: str) -> None:
    async with (
        our_server(pod_address, certificates.server),
        TcpApp(echo, pod_address) as app,
        raw_client(pod_address, HBONE_PORT, client_tls(certificates.client)) as peer,
    ):
        streams = [await peer.open_tunnel(app.authority) for _ in range(4)]
        await peer.send(rst_stream(streams[1], Code.CANCEL), data(streams[1], b"late, on its way already"))
        await peer.send(data(streams[2], b"hello"))
        assert (await peer.expect(Kind.DATA, stream=streams[2])).payload == b"hello"


async def hear_of_it(caller: Caller) -> None:
    """Envoy tells an application of a refused tunnel by RST, or by FIN when all was read: both are a refusal."""
    outcome = await read_to_end(caller)
    assert outcome.data == b""
    raise ConnectionRefusedError
