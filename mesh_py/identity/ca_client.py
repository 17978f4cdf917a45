"""Certificates from istiod's authority: IstioCertificateService over gRPC (hbone-controlplane 3.1).

A fresh key for each request, which never leaves this process; a request that names one identity and nothing else; and
an answer that is taken only if it is what was asked for.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from grpclib.client import UnaryUnaryMethod
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError

from hbone_py.errors import HboneError
from mesh_py.identity.signed_answer import credentials_of
from mesh_py.identity.signing_request import KeyAndRequest, new_request
from mesh_py.rpc.channel import ChannelLimits, RpcChannel
from mesh_py.rpc.dial import RPC_OPTIONS
from mesh_py.rpc.errors import RpcError

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Hashable

    from hbone_py.aio.tcp import SocketOptions
    from hbone_py.identity import SpiffeId
    from hbone_py.tls.context import TlsSettings
    from hbone_py.tls.credentials import Credentials
    from mesh_py.identity.sources import Clock
    from mesh_py.rpc.endpoint import Endpoint
    from mesh_py.xds.proto.citadel_pb2 import IstioCertificateRequest, IstioCertificateResponse

METHOD: Final = "/istio.v1.auth.IstioCertificateService/CreateCertificate"
IMPERSONATED: Final = "ImpersonatedIdentity"
CALL_SECONDS: Final = 10.0
"""For one request, dialling and a second try included. The real ztunnel waits for ever."""
LARGEST_MESSAGE: Final = 4 << 20
"""Bytes of an answer that are read at all: gRPC's usual limit. Eight may be under way at once."""

_ADVICE = {
    Status.UNAUTHENTICATED: (
        "the authority does not know us: is the token (AUTH_TOKEN) of this mesh, not expired, and of the audience "
        "istio-ca? To sign for others, our service account must be among its trusted node accounts and on their node"
    ),
    Status.PERMISSION_DENIED: (
        "the authority does not sign this for us: our service account must be among its trusted node accounts, and the "
        "workload must be on our node"
    ),
    Status.INVALID_ARGUMENT: "is SECRET_TTL longer than the authority allows?",
    Status.UNIMPLEMENTED: "whoever answers at CA_ADDRESS signs no certificates",
    Status.UNAVAILABLE: "the authority is not ready: this is tried again",
}
_AWAY = frozenset({Status.UNAVAILABLE, Status.CANCELLED, Status.ABORTED})


class SigningFailed(HboneError):
    """The authority gave no certificate. `is_outage`: it was away, which says nothing of the identity."""

    flag = "IDENTITY_ERROR"

    def __init__(self, text: str, *, is_outage: bool = False) -> None:
        super().__init__(text)
        self.is_outage = is_outage


@dataclass(frozen=True, slots=True)
class CaSettings:
    """How certificates are asked for."""

    endpoint: Endpoint
    lifetime: datetime.timedelta
    """Wanted (`SECRET_TTL`); the authority may give less."""
    impersonates: bool
    """We sign in the name of a node's workloads; else in our own, as a dedicated proxy does."""


class CaClient:
    """A `RemoteSource`: one long-lived channel, dialled by the first request and made anew when the roots change."""

    def __init__(
        self, settings: CaSettings, tls: TlsSettings, clock: Clock, options: SocketOptions = RPC_OPTIONS
    ) -> None:
        self._settings, self._clock = settings, clock
        limits = ChannelLimits(message=LARGEST_MESSAGE)
        self._make: Callable[[], RpcChannel] = lambda: RpcChannel(
            settings.endpoint, tls, limits=limits, options=options
        )
        self._channel: _Shared | None = None

    async def fetch(self, identity: SpiffeId) -> Credentials:
        """See `RemoteSource.fetch`.

        Raises:
            SigningFailed: the authority was not reached, or said no.
            TlsConfigError: what it answered cannot be used.
        """
        # Signing takes a tenth of a millisecond: a thousand identities must not hold up the loop.
        asked = await asyncio.to_thread(new_request, identity)
        chain = await self._signed(identity, asked)
        wanted = identity if self._settings.impersonates else None
        return await asyncio.to_thread(credentials_of, chain, asked.key_pem, wanted, self._clock())

    def close(self) -> None:
        """End the channel; calls that run fail."""
        if self._channel is not None:
            self._channel.channel.close()
            self._channel = None

    async def _signed(self, identity: SpiffeId, asked: KeyAndRequest) -> list[str]:
        request = self._request(identity, asked)
        deadline = asyncio.get_running_loop().time() + CALL_SECONDS
        try:
            return await self._call(request, CALL_SECONDS)
        except StreamTerminatedError as lost:
            # It was lost under us, or its server is leaving: nothing says that another try would fare as badly.
            return await self._retried(request, deadline - asyncio.get_running_loop().time(), lost)

    async def _retried(
        self, request: IstioCertificateRequest, seconds: float, lost: StreamTerminatedError
    ) -> list[str]:
        if seconds < CALL_SECONDS / 10:  # the server has kept the deadline for us
            raise self._no_answer() from lost
        try:
            return await self._call(request, seconds)
        except StreamTerminatedError as error:
            raise SigningFailed(f"the connection to the authority was lost: {error}", is_outage=True) from error

    async def _call(self, request: IstioCertificateRequest, seconds: float) -> list[str]:
        from mesh_py.xds.proto.citadel_pb2 import IstioCertificateRequest, IstioCertificateResponse

        shared = self._shared()
        shared.calls += 1
        method: UnaryUnaryMethod[IstioCertificateRequest, IstioCertificateResponse] = UnaryUnaryMethod(
            shared.channel, METHOD, IstioCertificateRequest, IstioCertificateResponse
        )
        try:
            answer = await method(request, timeout=seconds)
        except GRPCError as error:
            raise self._no_answer() if error.status is Status.DEADLINE_EXCEEDED else _refused(error) from error
        except TimeoutError as error:
            raise self._no_answer() from error
        except RpcError as error:
            raise SigningFailed(str(error), is_outage=True) from error
        finally:
            self._done(shared)
        return list(answer.cert_chain)

    def _no_answer(self) -> SigningFailed:
        where = self._settings.endpoint.address
        return SigningFailed(f"no answer from the authority at {where} within {CALL_SECONDS:g} s", is_outage=True)

    def _request(self, identity: SpiffeId, asked: KeyAndRequest) -> IstioCertificateRequest:
        from mesh_py.xds.proto.citadel_pb2 import IstioCertificateRequest

        seconds = int(self._settings.lifetime.total_seconds())
        request = IstioCertificateRequest(csr=asked.request_pem, validity_duration=seconds)
        if self._settings.impersonates:
            request.metadata[IMPERSONATED] = str(identity)
        return request

    def _shared(self) -> _Shared:
        """The channel as long as the roots are what it was made with: a connection that is up would never notice."""
        roots = self._settings.endpoint.roots.stamp()
        if self._channel is None or self._channel.roots != roots:
            old, self._channel = self._channel, _Shared(self._make(), roots)
            if old is not None and not old.calls:
                old.channel.close()
        return self._channel

    def _done(self, shared: _Shared) -> None:
        shared.calls -= 1
        if shared is not self._channel and not shared.calls:
            shared.channel.close()


@dataclass(slots=True, eq=False)
class _Shared:
    """A channel, and how many calls run on it."""

    channel: RpcChannel
    roots: Hashable
    calls: int = 0


def _refused(error: GRPCError) -> SigningFailed:
    """In the real ztunnel's words, and what to do about it."""
    name = "".join(word.capitalize() for word in error.status.name.split("_"))
    text = f"signing gRPC error ({name}): {error.message or 'no message'}"
    advice = _ADVICE.get(error.status)
    return SigningFailed(f"{text}: {advice}" if advice else text, is_outage=error.status in _AWAY)
