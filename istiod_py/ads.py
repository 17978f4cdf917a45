"""AggregatedDiscoveryService: how a stream begins, in either form (hbone-controlplane 2).

Who calls is found out before a byte is read, who the proxy claims to be by its first request; then a `Session` takes
over.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from typing import TYPE_CHECKING, Any

from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError

from istiod_py.clients import TooManyClientsError
from istiod_py.dialects import DeltaDialect, StateDialect, metadata_of
from istiod_py.node import InvalidNodeError, read_node
from istiod_py.session import Session
from istiod_py.subscription import TooManyNamesError
from mesh_py.rpc.peer import peer_of

LARGEST_NODE = 512 << 10
"""Bytes of id and metadata, kept for as long as the stream. Kubernetes allows a pod 256 KiB of annotations."""

if TYPE_CHECKING:
    from collections.abc import Callable

    from istiod_py.clients import Client, Clients
    from istiod_py.dialects import Dialect
    from istiod_py.guard import Guard
    from istiod_py.node import ProxyNode
    from istiod_py.session import Surroundings
    from mesh_py.identity.tokens import Caller

log = logging.getLogger("ads")

FORMS: dict[str, Dialect] = {"delta": DeltaDialect(), "state": StateDialect()}


class AdsService:
    """Both methods. `is_ready` says whether there is a state to serve yet."""

    def __init__(
        self, guard: Guard, clients: Clients, around: Surroundings, is_ready: Callable[[], bool] = lambda: True
    ) -> None:
        self._guard = guard
        self._clients = clients
        self._around = around
        self._is_ready = is_ready

    def __mapping__(self) -> dict[str, Handler]:
        return {
            dialect.method: Handler(
                functools.partial(self._serve, form, dialect),
                Cardinality.STREAM_STREAM,
                dialect.request_type,
                dialect.response_type,
            )
            for form, dialect in FORMS.items()
        }

    async def _serve(self, form: str, dialect: Dialect, stream: Any) -> None:
        if not self._is_ready():
            raise GRPCError(Status.UNAVAILABLE, "server is not ready to serve discovery information")
        caller = self._guard.visitor_of(stream)
        first = await self._first_request(stream)
        if first is None:
            return
        node = self._node(first)
        self._guard.check_node(node, caller)
        client = self._join(node, caller, str(peer_of(stream)), form)
        try:
            await Session(stream, dialect, client, self._around).run(first)
        except GRPCError:
            raise
        except Exception:
            self._around.metrics.internal_errors.increase()
            raise
        finally:
            self._leave(client)

    async def _first_request(self, stream: Any) -> Any | None:
        seconds = self._around.limits.first_request
        try:
            async with asyncio.timeout(seconds):
                return await stream.recv_message()
        except TimeoutError:
            raise GRPCError(Status.DEADLINE_EXCEEDED, f"no request in {seconds:g} s") from None

    def _node(self, request: Any) -> ProxyNode:
        try:
            if request.node.ByteSize() > LARGEST_NODE:
                raise InvalidNodeError(f"a node of {request.node.ByteSize()} bytes: at most {LARGEST_NODE} are kept")
            return read_node(request.node.id, metadata_of(request.node))
        except InvalidNodeError as error:
            self._around.metrics.turned_away.increase(("node",))
            raise GRPCError(Status.INVALID_ARGUMENT, str(error)) from error

    def _join(self, node: ProxyNode, caller: Caller | None, address: str, form: str) -> Client:
        try:
            client = self._clients.join(node, caller, address, form, time.time())
        except TooManyClientsError:
            self._around.metrics.turned_away.increase(("clients",))
            raise GRPCError(Status.UNAVAILABLE, "no more discovery streams are taken: try again") from None
        except TooManyNamesError as error:
            self._around.metrics.turned_away.increase(("node",))
            raise GRPCError(Status.RESOURCE_EXHAUSTED, str(error)) from None
        self._around.metrics.connected(1)
        log.info("new %s connection for node %s from %s", form, client.id, address)
        return client

    def _leave(self, client: Client) -> None:
        self._clients.leave(client)
        self._around.metrics.connected(-1)
        log.info("connection of node %s ended", client.id)
