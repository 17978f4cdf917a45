"""One discovery stream from its first request to its end: a reader and a writer over the same subscriptions.

The writer takes what a client lacks only when the client has taken what came before. So a slow one costs one answer
in memory, however often the mesh changes meanwhile; one that takes nothing for too long is cut off.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import h2.exceptions
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from istiod_py.metrics import short_type
from istiod_py.nonces import Reply
from istiod_py.subscription import TooManyNamesError
from mesh_py.rpc.peer import peer_of
from mesh_py.telemetry.log_format import fields
from mesh_py.xds import types

if TYPE_CHECKING:
    from collections.abc import Callable

    from istiod_py.clients import Client
    from istiod_py.dialects import Dialect, Subscription
    from istiod_py.metrics import IstiodMetrics
    from istiod_py.snapshot import Collection

log = logging.getLogger("ads")

PUSH_ORDER = (
    types.CLUSTER,
    types.ENDPOINTS,
    types.LISTENER,
    types.ROUTE,
    types.SECRET,
    types.ADDRESS,
    types.WORKLOAD,
    types.AUTHORIZATION,
)
"""A proxy must know a cluster before a route leads to it (hbone-controlplane 2.8); other types come last."""

WARMED_BY = {types.CLUSTER: types.ENDPOINTS}
"""An Envoy does not use a cluster that has changed before it has heard of its endpoints once more, and it does not ask
for those whose name it has asked for before."""

GONE = (h2.exceptions.ProtocolError, ConnectionError)
"""What sending meets when the client has left in that moment: no fault of anybody."""

MOST_TYPES = 16
"""Types that one stream may subscribe to."""


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """How long a client may leave us waiting, in seconds."""

    first_request: float = 20.0
    send: float = 20.0
    """To take one answer off our hands."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every session works with."""

    collection: Callable[[str, Client], Collection]
    """What a client may see of a type now."""
    changed_at: Callable[[], float]
    """When the present state was asked for, by `time.monotonic`."""
    metrics: IstiodMetrics
    limits: SessionLimits


class Session:
    """One stream whose client is known."""

    def __init__(self, stream: Any, dialect: Dialect, client: Client, around: Surroundings) -> None:
        self._stream = stream
        self._dialect = dialect
        self._client = client
        self._around = around
        self._converged = around.changed_at()

    async def run(self, first: Any) -> None:
        """Serve until the client closes its side, or we end the stream; what it still lacks is sent first.

        A stream ends by itself when its connection is to end, so that the client comes back at once and anew
        (hbone-controlplane 2.6): cut off in the middle, it would take that for a failure.

        Raises:
            GRPCError: the client is at fault.
        """
        self._receive(first)
        try:
            async with asyncio.TaskGroup() as group:
                beside = [group.create_task(one) for one in (self._read(), self._hear_farewell())]
                await group.create_task(self._write())
                for task in beside:
                    task.cancel()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _read(self) -> None:
        async for request in self._stream:
            self._receive(request)
        self._client.end()

    async def _hear_farewell(self) -> None:
        await peer_of(self._stream).draining.wait()
        self._client.end()

    def _receive(self, request: Any) -> None:
        subscription = self._subscription(request.type_url)
        before = subscription.cost
        try:
            reply = subscription.receive(self._dialect.read(request))
            self._client.remember(subscription.cost - before)
        except TooManyNamesError as error:
            self._give_up("names", str(error))
        self._note(request.type_url, reply, subscription)
        self._client.wake()

    def _subscription(self, type_url: str) -> Subscription:
        subscriptions = self._client.subscriptions
        if (known := subscriptions.get(type_url)) is not None:
            return known
        if len(subscriptions) >= MOST_TYPES:
            self._give_up("types", f"more than {MOST_TYPES} types on one stream")
        if len(type_url) > 256:
            self._give_up("types", "a type URL of more than 256 characters")
        found = subscriptions[type_url] = self._dialect.subscription(type_url, self._client.node.node)
        return found

    def _note(self, type_url: str, reply: Reply, subscription: Subscription) -> None:
        short, metrics = short_type(type_url), self._around.metrics
        match reply:
            case Reply.NACK:
                metrics.rejects.increase((short,))
                reason = subscription.nonces.refusal
                log.warning("NACK %s from %s", short, self._client.id, extra=fields(reason=reason[:2048]))
            case Reply.STALE:
                metrics.expired_nonces.increase((short,))
                log.debug("stale nonce for %s from %s", short, self._client.id)
            case Reply.FIRST:
                wanted = "everything" if subscription.is_wildcard else f"{len(subscription.asked)} names"
                log.debug("%s subscribes to %s: %s", self._client.id, short, wanted)

    async def _write(self) -> None:
        is_last = False
        while not is_last:
            await self._client.woken()
            is_last = self._client.is_ending
            try:
                await self._push()
            except GONE:
                return

    async def _push(self) -> None:
        """Send what is lacking, types in their order."""
        started = self._around.changed_at()
        for type_url in _ordered(self._client.subscriptions):
            subscription = self._client.subscriptions[type_url]
            update = subscription.take(self._around.collection(type_url, self._client))
            if update is None:
                continue
            for message in self._dialect.messages(type_url, update, subscription.nonces):
                await self._send(type_url, message)
            if (warming := self._client.subscriptions.get(WARMED_BY.get(type_url, ""))) is not None:
                warming.send_again(one.name for one in update.resources)
        if started != self._converged:
            self._converged = started
            self._around.metrics.convergence.observe(time.monotonic() - started)

    async def _send(self, type_url: str, message: Any) -> None:
        short, metrics = short_type(type_url), self._around.metrics
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._around.limits.send):
                await self._stream.send_message(message)
        except TimeoutError:
            self._cut_off(short)
        metrics.send_time.observe(time.monotonic() - began)
        metrics.pushes.increase((short,))
        metrics.config_bytes.increase((short,), message.ByteSize())
        self._client.pushes += 1
        log.debug("%s: %d %s to %s", short, len(message.resources), "resources", self._client.id)

    def _cut_off(self, short: str) -> NoReturn:
        """It does not read. If not even its kernel takes our bytes any more, no status reaches it either."""
        seconds = self._around.limits.send
        self._around.metrics.write_timeouts.increase()
        log.warning("cut off %s: %s not read in %g s", self._client.id, short, seconds)
        peer = peer_of(self._stream)
        if peer.unsent:
            peer.cut()
        raise GRPCError(Status.DEADLINE_EXCEEDED, f"{short} not read in {seconds:g} s")

    def _give_up(self, reason: str, text: str) -> NoReturn:
        self._around.metrics.turned_away.increase((reason,))
        log.warning("cut off %s: %s", self._client.id, text)
        raise GRPCError(Status.RESOURCE_EXHAUSTED, text)


def _ordered(type_urls: dict[str, Any]) -> list[str]:
    known = [type_url for type_url in PUSH_ORDER if type_url in type_urls]
    return known + [type_url for type_url in type_urls if type_url not in PUSH_ORDER]
