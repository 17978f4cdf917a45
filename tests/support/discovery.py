"""A control plane's discovery service as it stands, and grpcio's plain stubs as its independent clients."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
from cryptography.hazmat.primitives.asymmetric import ec
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from google.protobuf.struct_pb2 import Struct
from google.rpc.status_pb2 import Status

from istiod_py.ads import AdsService
from istiod_py.clients import Clients
from istiod_py.guard import Guard
from istiod_py.metrics import IstiodMetrics
from istiod_py.session import SessionLimits, Surroundings
from istiod_py.snapshot import NOTHING, Collection, Resource
from mesh_py.identity.tokens import Caller, TokenKey
from tests.support.rpc import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from mesh_py.rpc.server import ServerLimits
    from tests.support.certificates import CertificateFiles

SECONDS = 10.0
ZTUNNEL_ID = "ztunnel~10.0.0.9~ztunnel-x.istio-system~istio-system.svc.cluster.local"
SIDECAR_ID = "sidecar~10.0.0.1~cart-1.shop~shop.svc.cluster.local"
ZTUNNEL = Caller("istio-system", "ztunnel", "ztunnel-x", "uid", "node-a")


@dataclass
class Discovery:
    """The service on `port`, and what it serves: `publish` changes it."""

    clients: Clients = field(default_factory=Clients)
    metrics: IstiodMetrics = field(default_factory=lambda: IstiodMetrics("test"))
    tokens: TokenKey = field(default_factory=lambda: TokenKey(ec.generate_private_key(ec.SECP256R1())))
    limits: SessionLimits = field(default_factory=SessionLimits)
    collections: dict[str, Collection] = field(default_factory=dict)
    is_ready: bool = True
    changed_at: float = 0.0
    port: int = 0

    def publish(self, type_url: str, *resources: Resource) -> None:
        """From now on these are all of the type."""
        self.collections[type_url] = Collection(resources)
        self.changed_at = time.monotonic()
        self.clients.wake_all()

    @property
    def guard(self) -> Guard:
        return Guard(self.tokens, "cluster.local", self.metrics, time.time)

    def service(self) -> AdsService:
        around = Surroundings(
            lambda type_url, _: self.collections.get(type_url, NOTHING),
            lambda: self.changed_at,
            self.metrics,
            self.limits,
        )
        return AdsService(self.guard, self.clients, around, lambda: self.is_ready)

    @contextlib.asynccontextmanager
    async def on(
        self, address: str, files: CertificateFiles | None = None, limits: ServerLimits | None = None
    ) -> AsyncIterator[Discovery]:
        """Serve it there; without files in plaintext."""
        async with serving(address, files, self.service(), limits=limits) as (_, self.port):
            yield self

    def count(self, metric: str, *labels: str) -> float:
        """What a counter shows; 0 before it has counted anything."""
        wanted = f"{metric}{{" if labels else f"{metric} "
        for line in "".join(self.metrics.text()).splitlines():
            if line.startswith(wanted) and all(f'"{label}"' in line for label in labels):
                return float(line.rpartition(" ")[2])
        return 0.0


def node_of(id: str = ZTUNNEL_ID, **metadata: Any) -> dict[str, Any]:
    struct = Struct()
    struct.update(metadata)
    return {"id": id, "metadata": struct}


class Conversation:
    """One stream of a grpcio client."""

    def __init__(self, call: Any, type_url: str, request_type: Any) -> None:
        self._call = call
        self._type_url = type_url
        self._request_type = request_type

    async def says(self, *, node: Any = None, nonce: str = "", refusal: str | None = None, **more: Any) -> None:
        """A request, of the stream's type unless `type_url` is among `more`."""
        detail = None if refusal is None else Status(message=refusal)  # the code stays 0, as the real ztunnel has it
        request = self._request_type(
            node=node, response_nonce=nonce, error_detail=detail, **{"type_url": self._type_url, **more}
        )
        await self._call.write(request)

    async def hears(self) -> Any:
        """The next answer."""
        async with asyncio.timeout(SECONDS):
            answer = await self._call.read()
        assert answer is not grpc.aio.EOF, "the server ended the stream"
        return answer

    async def acknowledges(self) -> Any:
        """Hear the next answer and accept it."""
        answer = await self.hears()
        await self.says(nonce=answer.nonce)
        return answer

    async def ends(self) -> None:
        await self._call.done_writing()

    async def status(self) -> tuple[grpc.StatusCode, str]:
        """How the stream ended, after all that was still to be heard."""
        async with asyncio.timeout(SECONDS):
            with contextlib.suppress(grpc.aio.AioRpcError):
                while await self._call.read() is not grpc.aio.EOF:
                    pass
            return await self._call.code(), await self._call.details() or ""

    def drop(self) -> None:
        self._call.cancel()


class GrpcioProxy:
    """A proxy made of grpcio's stubs."""

    def __init__(self, target: str, root: bytes | None = None, pair: tuple[bytes, bytes] | None = None) -> None:
        # A connection of its own for each, whose windows do not grow: what is not read is soon not taken.
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.http2.bdp_probe", 0)]
        if root is None:
            self.channel = grpc.aio.insecure_channel(target, options)
        else:
            key, chain = pair or (None, None)
            credentials = grpc.ssl_channel_credentials(root, key, chain)
            self.channel = grpc.aio.secure_channel(target, credentials, options)
        self._stub = ads_pb2_grpc.AggregatedDiscoveryServiceStub(self.channel)

    def delta(self, type_url: str, token: str | None = None) -> Conversation:
        call = self._stub.DeltaAggregatedResources(metadata=_headers(token))
        return Conversation(call, type_url, discovery_pb2.DeltaDiscoveryRequest)

    def state(self, type_url: str, token: str | None = None) -> Conversation:
        call = self._stub.StreamAggregatedResources(metadata=_headers(token))
        return Conversation(call, type_url, discovery_pb2.DiscoveryRequest)


def _headers(token: str | None) -> list[tuple[str, str]]:
    return [] if token is None else [("authorization", f"Bearer {token}")]


def names(answer: Any) -> set[str]:
    """Of a delta answer's resources."""
    return {resource.name for resource in answer.resources}


def bodies(answer: Any) -> Mapping[str, bytes]:
    """What a delta answer's resources hold."""
    return {resource.name: resource.resource.value for resource in answer.resources}
