"""The shell of a delta discovery client: one stream after another, each on a new connection (hbone-controlplane 2).

Decisions are elsewhere: what to say in `delta`, how long to wait in `backoff`, what becomes of responses in `intake`,
who waits for names in `on_demand`. A dead server is noticed by the channel's PINGs; a quiet one is not at fault.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, TypeAlias

from grpclib.client import Stream, StreamStreamMethod
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError

from mesh_py.rpc.errors import DialFailed
from mesh_py.xds.backoff import Backoff, Ending
from mesh_py.xds.delta import DeltaState
from mesh_py.xds.messages import DeltaRequest, DeltaResponse, request_message, response_of
from mesh_py.xds.on_demand import OnDemand
from mesh_py.xds.time_slices import in_slices, without_collection
from mesh_py.xds.types import ADDRESS, DELTA_DISCOVERY

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any, NoReturn

    from grpclib.client import Channel

    from mesh_py.telemetry.metrics import Metrics
    from mesh_py.xds.delta import Interest, Request, Response
    from mesh_py.xds.holdings import HoldingLimits
    from mesh_py.xds.intake import Intake, Taken
    from mesh_py.xds.node import Node

Wire: TypeAlias = Stream[DeltaRequest, DeltaResponse]

log = logging.getLogger("xds")

SEND_SECONDS = 30.0
"""How long the server may leave unread what we say."""

UNKNOWN_TYPE = "unknown"
"""How metrics call all types that nobody asked for."""

# Servers that have said OK reset what is left of a stream with NO_ERROR (RFC 9113 8.1). grpclib tells of the reset
# only; any other status it finds behind one is raised as such.
_NO_ERROR = "error_code: 0"

# What istiod ends a stream with that asks for a type it has not; of ours these are the manifests of `PROXY_CONFIG`.
_NOT_SERVED = "the api generator is restricted"
_FOLLOW_OURS = (
    "this is Istio's control plane, which has no routes and policies for our sidecars and waypoints: "
    "follow ours (python -m istiod_py), or a mesh file (LOCAL_XDS_PATH, and XDS_ADDRESS empty)"
)


@dataclass(slots=True, eq=False)
class _Line:
    """The state of one stream."""

    is_open: bool = False
    """The server has begun to answer: what fails from here on is no failure to connect."""
    was_useful: bool = False
    """The server has said something."""
    sending: asyncio.Lock = field(default_factory=asyncio.Lock)


class DiscoveryClient:
    """Keeps a mesh up to date for as long as `run` runs. What it has brought stays when the server is gone.

    Args:
        dial: makes a channel, which serves one stream. It reads roots and token, each time anew.
        node: who we are.
        interests: the types to follow.
        intake: where responses go.
        metrics: what is counted.
        wait_seconds: how long somebody waits for a name that is asked for on demand.
        limits: how much the control plane may make us hold of each type.
    """

    def __init__(
        self,
        dial: Callable[[], Channel],
        node: Node,
        interests: Sequence[Interest],
        intake: Intake,
        metrics: Metrics,
        *,
        wait_seconds: float = 5.0,
        limits: HoldingLimits | None = None,
    ) -> None:
        self._dial, self._node, self._intake, self._metrics = dial, node, intake, metrics
        self._random = Random().random
        self._delta = DeltaState(interests, limits)
        self._unsaid: list[Request] | None = None  # none is kept while there is no stream
        self._has_unsaid = asyncio.Event()
        self.ready = asyncio.Event()
        """Set once each type that is not on demand has been acknowledged; never taken back (2.5)."""
        self.names = OnDemand(
            lambda names: self._say(self._delta.subscribe(ADDRESS, names)),
            lambda names: self._say(self._delta.unsubscribe(ADDRESS, names)),
            asyncio.get_running_loop(),
            wait_seconds,
        )
        """Addresses by name, where they are followed on demand."""

    async def run(self) -> NoReturn:
        """Follow the control plane until cancelled."""
        backoff, now = Backoff(), asyncio.get_running_loop().time
        while True:
            line, began = _Line(), now()
            ending, reason = await self._one_stream(line)
            self._metrics.xds_terminations.increase((ending.value,))
            wait, backoff = backoff.after(ending, self._random, was_useful=line.was_useful, lasted=now() - began)
            level = logging.INFO if ending is Ending.COMPLETE else logging.WARNING
            log.log(level, "discovery stream ended (%s): %s; next attempt in %.2g s", ending.value, reason, wait)
            await asyncio.sleep(wait)

    # One stream

    async def _one_stream(self, line: _Line) -> tuple[Ending, str]:
        """Open one stream and follow it to its end; returns how it ended, and why."""
        channel = self._dial()
        method = StreamStreamMethod(channel, DELTA_DISCOVERY, DeltaRequest, DeltaResponse)
        try:
            async with method.open() as wire:
                await self._open(wire, line)
                await _first_of(self._listen(wire, line), self._keep_asking(wire, line))
        except Exception as error:
            return _ending_of(error, line), _told(error)
        finally:
            self._unsaid = None
            channel.close()
        return Ending.COMPLETE, "the server ended it"

    async def _open(self, wire: Wire, line: _Line) -> None:
        self._unsaid = []  # from now on: the first requests name everything that is waited for
        for request in self._delta.open({ADDRESS: self.names.waiting}):
            await self._send(wire, line, request)

    async def _listen(self, wire: Wire, line: _Line) -> None:
        """Take in responses and answer each, until the server ends the stream in order."""
        await wire.recv_initial_metadata()
        line.is_open = True
        log.info("discovery stream established")
        while (message := await wire.recv_message()) is not None:
            line.was_useful = True
            with without_collection(len(message.resources)):
                answer = await self._take(await response_of(message))
            await self._send(wire, line, answer)
            self._announce()
        await wire.end()
        await wire.recv_trailing_metadata()

    async def _keep_asking(self, wire: Wire, line: _Line) -> None:
        """Say what is asked for while the stream is open."""
        while await self._has_unsaid.wait():
            self._has_unsaid.clear()
            unsaid, self._unsaid = self._unsaid, []
            for request in unsaid or ():
                await self._send(wire, line, request)

    async def _send(self, wire: Wire, line: _Line, request: Request) -> None:
        async with asyncio.timeout(SEND_SECONDS), line.sending:
            await wire.send_message(request_message(request, self._node))

    def _say(self, request: Request) -> None:
        if self._unsaid is not None:
            self._unsaid.append(request)
            self._has_unsaid.set()

    # One response

    async def _take(self, response: Response) -> Request:
        """Apply a response; what to answer."""
        # The server must not make a series of each type that it can think of.
        url = (response.type_url if self._delta.knows(response.type_url) else UNKNOWN_TYPE,)
        self._metrics.xds_messages.increase(url)
        self._metrics.xds_bytes.increase(url, sum(len(resource.data) for resource in response.resources))
        response, refused = await self._admitted(response)
        taken = await self._intake.take(response)
        answer = self._delta.answer(response, refused | taken.rejected)
        if answer.error is not None:
            log.warning("resources of type %s rejected: %s", response.type_url, answer.error)
        if response.type_url == ADDRESS:
            self._wake(response, taken)
        return answer

    async def _admitted(self, response: Response) -> tuple[Response, dict[str, str]]:
        """The part of a response that we have room for, and why not for the rest, by name."""
        admission = self._delta.admission(response)
        refused: dict[str, str] = {}
        if admission is None:
            return response, refused
        async for resource in in_slices(response.resources):
            if reason := admission.reason_against(resource):
                refused[resource.name] = reason
        if refused:
            response = response._replace(resources=[one for one in response.resources if one.name not in refused])
        return response, refused

    def _wake(self, response: Response, taken: Taken) -> None:
        for resource, found in taken.addresses:
            self.names.brought(found, (resource.name, *resource.aliases))
        self.names.removed(response.removed)

    def _announce(self) -> None:
        if not self.ready.is_set() and not self._delta.waiting_for():
            log.info("discovery is complete: every type has been answered once")
            self.ready.set()


async def _first_of(*actions: Coroutine[Any, Any, None]) -> None:
    """Run them until one is over, and raise what it raised; the first named counts where several are."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_failure_of(action)) for action in actions]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        failure = next(task.result() for task in tasks if task.done())
        for task in tasks:
            task.cancel()
    if failure is not None:
        raise failure


async def _failure_of(action: Coroutine[Any, Any, None]) -> Exception | None:
    try:
        await action
    except Exception as error:
        return error
    return None


def _ending_of(error: Exception, line: _Line) -> Ending:
    """How it counts (2.6)."""
    if isinstance(error, GRPCError | StreamTerminatedError | DialFailed | OSError | TimeoutError) and not line.is_open:
        return Ending.CONNECTION_ERROR
    if isinstance(error, GRPCError):
        return Ending.RECONNECT if _lets_go(error) else Ending.ERROR
    if isinstance(error, StreamTerminatedError) and str(error).endswith(_NO_ERROR):
        return Ending.COMPLETE
    return Ending.RECONNECT if isinstance(error, StreamTerminatedError) else Ending.ERROR


def _lets_go(error: GRPCError) -> bool:
    """Whether a server, or a proxy before it, says no more than that it gives up an old connection."""
    if error.status is Status.UNAVAILABLE:
        text = (error.message or "").lower()
        return "transport is closing" in text or "received prior goaway" in text
    return error.status in (Status.UNKNOWN, Status.CANCELLED, Status.DEADLINE_EXCEEDED)


def _told(error: Exception) -> str:
    if isinstance(error, GRPCError):
        reason = error.message or "no reason given"
        return f"{error.status.name}: {reason}{f' ({_FOLLOW_OURS})' if _NOT_SERVED in reason else ''}"
    if isinstance(error, TimeoutError):
        return f"the server has not read for {SEND_SECONDS:g} s"
    return str(error) or repr(error)
