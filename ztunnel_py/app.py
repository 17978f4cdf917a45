"""The map of the process: everything is built here, started here, and drained here.

    15001 outbound ──┐                             ┌── 15008 inbound (HBONE)
    15080 SOCKS5  ───┴─ resolve ─ pool ─ tunnel ═══┴─ policy ─ application      15006 plaintext ─ policy ─ application
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hbone_py.aio.reactor import Reactor
from hbone_py.aio.tcp import Listener, SocketOptions, listening_socket, show, transparent
from mesh_py.discovery.state import MeshState
from mesh_py.telemetry.facts import Parties
from mesh_py.telemetry.metrics import Metrics
from ztunnel_py.capture import ProxyProtocolCapture
from ztunnel_py.context import ProxyContext
from ztunnel_py.inbound import Inbound
from ztunnel_py.inbound_passthrough import InboundPassthrough
from ztunnel_py.outbound import Outbound
from ztunnel_py.socks5 import Socks5

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping

    from mesh_py.identity.store import CertificateStore
    from mesh_py.telemetry.logs import Logs
    from ztunnel_py.config import Settings

log = logging.getLogger("app")


class StartError(Exception):
    """The process cannot start: what, where, what to do, in one line."""


@dataclass(slots=True)
class DataPlane:
    """The listeners and what serves them."""

    context: ProxyContext
    outbound: Outbound
    inbound: Inbound
    passthrough: InboundPassthrough
    listeners: list[Listener]

    @staticmethod
    def start(
        settings: Settings,
        sockets: Mapping[str, socket.socket],
        state: MeshState,
        certificates: CertificateStore,
        logs: Logs,
        metrics: Metrics,
    ) -> DataPlane:
        """Serve on bound sockets: `outbound`, `inbound`, `plaintext`, and `socks5` where it is on."""
        reactor = Reactor.current()
        reactor.ledger.set_limit(settings.unread_budget)
        context = ProxyContext(
            reactor=reactor,
            settings=settings,
            state=state,
            certificates=certificates,
            metrics=metrics,
            access=logs.access,
            parties=Parties(),
            illegal_ports=illegal_ports(settings, sockets),
            preserves_source=_try_transparent(settings, sockets),
        )
        outbound, inbound, passthrough = Outbound(context), Inbound(context), InboundPassthrough(context)
        if settings.proxy_protocol_capture:
            capture_out = ProxyProtocolCapture(context, outbound.carry)
            capture_in = ProxyProtocolCapture(context, passthrough.carry)
            listeners = [capture_out.listen(sockets["outbound"]), capture_in.listen(sockets["plaintext"])]
        else:
            listeners = [outbound.listen(sockets["outbound"]), passthrough.listen(sockets["plaintext"])]
        listeners.append(inbound.listen(sockets["inbound"]))
        if "socks5" in sockets:
            listeners.append(Socks5(context, outbound).listen(sockets["socks5"]))
        metrics.before_snapshot(context.connections.settle)
        state.watch(context.connections.recheck)
        return DataPlane(context, outbound, inbound, passthrough, listeners)

    async def drain(self, seconds: float) -> bool:
        """Stop accepting at once, let connections end, cut what is left (hbone-dataplane 6.2). True if none was cut."""
        context = self.context
        context.is_draining = True
        for listener in self.listeners:
            listener.close()
        self.inbound.drain()
        empty = asyncio.Event()
        context.connections.when_empty(empty.set)
        try:
            async with asyncio.timeout(seconds):
                await empty.wait()
        except TimeoutError:
            log.warning("drain duration expired with pending connections, forcefully shutting down")
            context.connections.cut_all()
            clean = False
        else:
            clean = True
        self.outbound.close()
        self.inbound.close()
        log.info("shutdown complete")
        return clean

    def connection_lists(self) -> dict[str, list[dict[str, str | None]]]:
        """Live connections in the dump's shape (hbone-controlplane 7.3)."""
        live = self.context.connections.live
        return {
            "inbound": [one.describe() for one in live if one.reporter == "destination"],
            "outbound": [one.describe() for one in live if one.reporter == "source"],
        }


def illegal_ports(settings: Settings, sockets: Mapping[str, socket.socket]) -> frozenset[int]:
    """The proxy's own ports, where nothing is ever sent on somebody's behalf (hbone-dataplane 0)."""
    names = {"outbound", "inbound", "plaintext"} | ({"socks5"} if settings.socks5_enabled else set())
    return frozenset(sock.getsockname()[1] for name, sock in sockets.items() if name in names)


def _try_transparent(settings: Settings, sockets: Mapping[str, socket.socket]) -> bool:
    """ENABLE_ORIG_SRC: unset tries, true insists, false does not (3.6)."""
    if settings.preserve_source is False:
        return False
    works = all(transparent(sockets[name]) for name in ("inbound", "plaintext"))
    if settings.preserve_source and not works:
        raise StartError("ENABLE_ORIG_SRC=true needs the right CAP_NET_ADMIN to borrow source addresses")
    return works


def data_addresses(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """(name, host, port) of every data listener."""
    host, ports = settings.bind_address, settings.ports
    yield "outbound", host, ports.outbound
    yield "inbound", host, ports.inbound
    yield "plaintext", host, ports.plaintext
    if settings.socks5_enabled:
        yield "socks5", settings.local_bind, ports.socks5


def surface_addresses(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """(name, host, port) of every admin listener."""
    yield "admin", settings.local_bind, settings.ports.admin
    yield "stats", settings.bind_address, settings.ports.stats
    yield "readiness", settings.bind_address, settings.ports.readiness


_KEPT_ALIVE = ("outbound", "plaintext")
"""Listeners whose connections get TCP keepalive (hbone-dataplane 8.1)."""


def bind_all(
    addresses: Iterator[tuple[str, str, int]], options: SocketOptions | None = None, *, reuse_port: bool = False
) -> dict[str, socket.socket]:
    """Bind every listener, or none. Raises StartError naming the address that cannot be had."""
    sockets: dict[str, socket.socket] = {}
    for name, host, port in addresses:
        try:
            sockets[name] = listening_socket(
                host,
                port,
                options=options,
                keepalive=name in _KEPT_ALIVE,
                reuse_port=reuse_port,
                dual_stack=host == "::",
            )
        except OSError as error:
            for sock in sockets.values():
                sock.close()
            reason = (error.strerror or str(error)).lower()
            where = show((host, port))
            raise StartError(
                f"cannot listen on {where} ({name}): {reason}; see who holds it with `ss -ltnp 'sport = :{port}'`, "
                f"or choose another address with --bind"
            ) from error
    return sockets


@contextlib.contextmanager
def stop_signals(stop: asyncio.Event, now: asyncio.Event) -> Iterator[None]:
    """SIGTERM or SIGINT sets `stop`, a second one sets `now`."""
    loop = asyncio.get_running_loop()

    def received() -> None:
        (now if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, received)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
