"""The data plane: the listeners and what serves them, started together and drained together."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from hbone_py.aio.reactor import Reactor
from hbone_py.aio.tcp import Listener, transparent
from mesh_py.admin.config_dump import Json, workload_entry
from mesh_py.process.children import worker_number
from mesh_py.process.listening import StartError
from mesh_py.telemetry.facts import Parties
from ztunnel_py.capture import ProxyProtocolCapture
from ztunnel_py.certificate_keeper import Wanted, keep_certificates, wanted_of_node, wanted_of_one
from ztunnel_py.context import PodNetwork, ProxyContext
from ztunnel_py.inbound import Inbound, has_unsent
from ztunnel_py.inbound_passthrough import InboundPassthrough
from ztunnel_py.inbound_share import InboundShare
from ztunnel_py.listening import own_surfaces
from ztunnel_py.outbound import Outbound
from ztunnel_py.socks5 import Socks5

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mesh_py.discovery.state import MeshState
    from ztunnel_py.config import Settings
    from ztunnel_py.connections import Connections
    from ztunnel_py.foundation import Foundation

log = logging.getLogger("proxy")

_LOOK_SECONDS = 0.05
"""Between looks whether the last bytes have gone out."""


class LiveConnections(NamedTuple):
    """Entries of a dump."""

    inbound: list[Json]
    outbound: list[Json]


@dataclass(slots=True)
class DataPlane:
    """The listeners and what serves them."""

    context: ProxyContext
    outbound: Outbound
    inbound: Inbound
    passthrough: InboundPassthrough
    listeners: list[Listener]
    _hooks: tuple[Callable[[], None], ...]
    """What takes it out of the process, once it is over."""

    @staticmethod
    def start(foundation: Foundation, sockets: Mapping[str, socket.socket], pod: PodNetwork | None = None) -> DataPlane:
        """Serve on bound sockets: `outbound`, `inbound` (also `inbound IP`), `plaintext`, `socks5`, as far as they are.

        `pod` is the one pod that is served, whose network the sockets are in. Raises StartError.
        """
        settings, state, metrics = foundation.settings, foundation.state, foundation.metrics
        reactor = Reactor.current()
        reactor.ledger.set_limit(settings.unread_budget)
        reactor.watch.may_linger = settings.wait_awake
        metrics.traffic.sockets.are_counted = True
        context = ProxyContext(
            reactor=reactor,
            settings=settings,
            state=state,
            certificates=foundation.certificates,
            metrics=metrics,
            access=foundation.logs.access,
            parties=Parties(),
            illegal_ports=illegal_ports(settings, sockets),
            surfaces=own_surfaces(settings) if pod is None else frozenset(),
            preserves_source=_try_transparent(settings, sockets),
            may_grow=foundation.may_grow,
            names=foundation.names,
            revocation=foundation.revocation,
            tracer=foundation.tracer,
            pod=pod,
        )
        outbound, inbound, passthrough = Outbound(context), Inbound(context), InboundPassthrough(context)
        if settings.same_node_inside:
            context.inside = inbound.take
        listeners = _listen_for_captured(context, outbound, passthrough, sockets)
        listeners += [inbound.listen(sock) for name, sock in sockets.items() if name.partition(" ")[0] == "inbound"]
        if "socks5" in sockets:
            listeners.append(Socks5(context, outbound).listen(sockets["socks5"]))
        hooks = (
            metrics.before_snapshot(context.connections.settle),
            state.watch(_recheck(state, context.connections)),
        )
        return DataPlane(context, outbound, inbound, passthrough, listeners, hooks)

    def share_inbound(self, worker: Path, workers: int) -> None:
        """Be one of `workers` on the same ports; `worker` is the path where our parent asks us. Raises StartError."""
        inbound = self.inbound
        number = worker_number(worker)
        try:
            inbound.share = InboundShare(self.context.reactor, worker.parent, number, workers, inbound.take)
        except OSError as error:
            raise StartError(f"{worker.parent}: workers cannot share connections there: {error.strerror}") from error

    async def background(self) -> None:
        """What the data plane needs tasks for, until cancelled."""
        context = self.context
        revocation = context.revocation
        async with asyncio.TaskGroup() as group:
            group.create_task(self.outbound.names.serve())
            group.create_task(keep_certificates(context.state, context.certificates, self._wanted))
            if revocation is not None:
                group.create_task(revocation.file.watch(revocation.recheck))

    def _wanted(self) -> Wanted:
        context = self.context
        if context.workload is None:
            return wanted_of_node(context.state)
        return wanted_of_one(context.dedicated_workload())

    async def drain(self, seconds: float) -> bool:
        """Stop accepting at once, let connections end, cut what is left (hbone-dataplane 6.2). True if none was cut."""
        context = self.context
        for listener in self.listeners:
            listener.close()
        self.inbound.drain()
        empty = asyncio.Event()
        context.connections.when_empty(empty.set)
        try:
            async with asyncio.timeout(seconds):
                await empty.wait()
                await self._delivered()
        except TimeoutError:
            log.warning("drain duration expired with pending connections, forcefully shutting down")
            context.connections.cut_all()
            clean = False
        else:
            clean = True
        self._end()
        log.info("shutdown complete")
        return clean

    async def _delivered(self) -> None:
        """Tunnels are over for us before their last bytes are with the other side."""
        while any(has_unsent(peer) for peer in self.context.reactor.peers):  # noqa: ASYNC110 - the kernel tells nobody
            await asyncio.sleep(_LOOK_SECONDS)

    def cut(self) -> None:
        """End everything now."""
        for listener in self.listeners:
            listener.close()
        self.context.connections.cut_all()
        self._end()

    def _end(self) -> None:
        self.outbound.close()
        self.inbound.close()
        for forget in self._hooks:
            forget()
        self._hooks = ()

    def connections(self) -> LiveConnections:
        """All live connections, as the dump shows them (hbone-controlplane 7.3)."""
        live = LiveConnections([], [])
        for one in self.context.connections.live:
            lists = live.inbound if one.reporter == "destination" else live.outbound
            lists.append(one.describe())
        return live

    def workload_state(self) -> dict[str, Json]:
        """Our workloads with their live connections, in the dump's shape (hbone-controlplane 7.3)."""
        context = self.context
        inbound: dict[str, list[Json]] = {}
        outbound: dict[str, list[Json]] = {}
        for one in context.connections.live:
            if one.workload is not None:
                lists = inbound if one.reporter == "destination" else outbound
                lists.setdefault(one.workload.uid, []).append(one.describe())
        return {
            workload.uid: workload_entry(
                workload.name,
                workload.namespace,
                workload.service_account,
                inbound=inbound.get(workload.uid, []),
                outbound=outbound.get(workload.uid, []),
            )
            for workload in context.state.workloads
            if context.state.is_local(workload)
        }


def _listen_for_captured(
    context: ProxyContext, outbound: Outbound, passthrough: InboundPassthrough, sockets: Mapping[str, socket.socket]
) -> list[Listener]:
    """On 15001 and 15006, where they are bound: nothing is captured on its way to a proxy itself."""
    takers: dict[str, Outbound | InboundPassthrough | ProxyProtocolCapture]
    takers = {"outbound": outbound, "plaintext": passthrough}
    if context.settings.proxy_protocol_capture:
        takers = {
            "outbound": ProxyProtocolCapture(context, outbound.carry, "source"),
            "plaintext": ProxyProtocolCapture(context, passthrough.carry, "destination"),
        }
    return [taker.listen(sockets[name]) for name, taker in takers.items() if name in sockets]


def _recheck(state: MeshState, connections: Connections) -> Callable[[], None]:
    """Judge all connections again after a change, if it was one that may alter a verdict."""
    judged = state.verdict_version

    def changed() -> None:
        nonlocal judged
        if state.verdict_version != judged:
            judged = state.verdict_version
            connections.recheck()

    return changed


def illegal_ports(settings: Settings, sockets: Mapping[str, socket.socket]) -> frozenset[int]:
    """The proxy's own ports, where nothing is ever sent on somebody's behalf (hbone-dataplane 0)."""
    names = {"outbound", "inbound", "plaintext"} | ({"socks5"} if settings.socks5_enabled else set())
    return frozenset(sock.getsockname()[1] for name, sock in sockets.items() if name in names)


def _try_transparent(settings: Settings, sockets: Mapping[str, socket.socket]) -> bool:
    """ENABLE_ORIG_SRC: unset tries, true insists, false does not (3.6).

    Only a transparent listener is given what TPROXY brings (redirection d.5), whosever addresses we borrow.
    """
    tried = [transparent(sockets[name]) for name in ("outbound", "inbound", "plaintext") if name in sockets]
    if settings.preserve_source is False:
        return False
    works = all(tried)
    if settings.preserve_source and not works:
        raise StartError("ENABLE_ORIG_SRC=true needs the right CAP_NET_ADMIN to borrow source addresses")
    return works
