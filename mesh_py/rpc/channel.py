"""Calls to a control plane: a grpclib channel over our TLS, which shows a token and notices a dead peer.

    async with RpcChannel(endpoint, tls) as channel:
        stub = IstioCertificateServiceStub(channel)
        answer = await stub.CreateCertificate(request, timeout=10)

The connection is made by the first call and again after it was lost, each time with the roots as they are then. A call
raises grpclib's `GRPCError` (a status came back) or `StreamTerminatedError` (the connection was lost under it), our
`RpcError` (there was none, or nothing to prove who we are), or TimeoutError.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, cast

from grpclib import client
from grpclib.config import Configuration
from grpclib.events import SendRequest, listen

from hbone_py.errors import HboneError
from mesh_py.rpc.contexts import client_context
from mesh_py.rpc.dial import RPC_OPTIONS, connected_socket
from mesh_py.rpc.errors import DialFailed, RpcError
from mesh_py.rpc.protocol import BoundedCodec, RpcProtocol, StreamLimits
from mesh_py.rpc.server_name import verify_server
from mesh_py.rpc.tls import LinkLimits, TlsLink

if TYPE_CHECKING:
    import socket

    from hbone_py.aio.tcp import SocketOptions
    from hbone_py.tls import TlsEngine, TlsSettings
    from mesh_py.rpc.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class ChannelLimits:
    """Times in seconds and sizes in bytes; the defaults are the real ztunnel's (hbone-controlplane 2.1)."""

    connect: float = 5.0
    handshake: float = 5.0
    ping_interval: float = 30.0
    ping_timeout: float = 10.0
    message: int = 200 << 20
    """The largest answer that is taken in."""


class RpcChannel(client.Channel):
    """A grpclib channel to one endpoint; generated stubs take it as they take grpclib's own."""

    def __init__(
        self,
        endpoint: Endpoint,
        tls: TlsSettings,
        *,
        limits: ChannelLimits | None = None,
        options: SocketOptions = RPC_OPTIONS,
    ) -> None:
        self.endpoint = endpoint
        self._tls, self._options = tls, options
        self._limits = limits or ChannelLimits()
        address = endpoint.address
        super().__init__(address.host, address.port, codec=BoundedCodec(), config=_configuration(self._limits))
        self._scheme = "http" if address.is_plaintext else "https"
        self._authority = address.authority
        listen(self, SendRequest, self._add_metadata)

    async def __aenter__(self) -> Self:
        return self

    async def _create_connection(self) -> RpcProtocol:
        """grpclib asks for a connection, one at a time.

        Raises:
            DialFailed: there is none to be had; the text says at which step it failed.
        """
        address = self.endpoint.address
        sock = await connected_socket(address, self._options, self._limits.connect)
        if address.is_plaintext:
            _, protocol = await asyncio.get_running_loop().create_connection(self._protocol_factory, sock=sock)
            return protocol
        try:
            return await self._secured(sock)
        except (HboneError, RpcError) as error:
            raise DialFailed(f"no secure connection to {address}: {error}") from error

    def _protocol_factory(self) -> RpcProtocol:
        limits = StreamLimits(message=self._limits.message)
        return RpcProtocol(client.Handler(), self._config, limits, is_client=True)

    async def _secured(self, sock: socket.socket) -> RpcProtocol:
        try:
            context = client_context(self.endpoint.address.host, self.endpoint.roots, self._tls)
        except BaseException:
            sock.close()
            raise
        dialled = _Dialled()
        limits = LinkLimits(handshake=self._limits.handshake)
        link = TlsLink(context, self._protocol_factory, dialled, check=self._check_server, limits=limits)
        await asyncio.get_running_loop().create_connection(lambda: link, sock=sock)
        try:
            await dialled.outcome
        except BaseException:
            link.abort()
            raise
        return cast("RpcProtocol", link.above)

    def _check_server(self, engine: TlsEngine) -> None:
        verify_server(engine.peer_chain()[0], self.endpoint.accepted_names)

    async def _add_metadata(self, event: SendRequest) -> None:
        event.metadata.update(self.endpoint.metadata())


class _Dialled:
    """Waits for the end of a handshake (LinkOwner)."""

    def __init__(self) -> None:
        self.outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def link_up(self, link: TlsLink) -> None:
        """It went well."""
        if not self.outcome.done():
            self.outcome.set_result(None)

    def link_lost(self, link: TlsLink, error: BaseException | None) -> None:
        """It did not, or the connection was up and has ended: then its calls know already."""
        if not self.outcome.done():
            failure = error if isinstance(error, HboneError) else DialFailed(f"the connection was lost ({error})")
            self.outcome.set_exception(failure)


def _configuration(limits: ChannelLimits) -> Configuration:
    return Configuration(
        _keepalive_time=limits.ping_interval,
        _keepalive_timeout=limits.ping_timeout,
        # An idle connection is left alone, as by the real ztunnel: grpc-go's servers end those that ping while idle.
        _keepalive_permit_without_calls=False,
        _http2_max_pings_without_data=0,  # no bound
        _http2_min_sent_ping_interval_without_data=limits.ping_interval / 2,
    )
