"""The map of the process: everything is built here, started here, and drained here.

15001 outbound ──┐                             ┌── 15008 inbound (HBONE)
15080 SOCKS5  ───┴─ resolve ─ pool ─ tunnel ═══┴─ policy ─ application      15006 plaintext ─ policy ─ application
15053 DNS: names of the mesh, others forwarded
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import itertools
import logging
import platform
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from hbone_py.aio.native import FORM
from hbone_py.aio.reactor import Reactor
from mesh_py.admin.readiness import Readiness
from mesh_py.discovery.state import MeshState
from mesh_py.identity.choice import open_certificates
from mesh_py.identity.local_ca import LocalCa
from mesh_py.identity.revocation import CrlError, RevocationFile
from mesh_py.process.background import background
from mesh_py.process.listening import StartError, bind_all, bind_datagrams, listener_fields
from mesh_py.process.mesh_source import MeshSource
from mesh_py.process.release import release
from mesh_py.process.signals import stop_signals
from mesh_py.process.waiting import done_before
from mesh_py.telemetry.log_sink import LogSink
from mesh_py.telemetry.logs import Logs
from mesh_py.telemetry.metrics import Metrics
from mesh_py.tracing import resource
from mesh_py.tracing.process import Tracing, exporting
from ztunnel_py.data_plane import DataPlane
from ztunnel_py.foundation import Foundation
from ztunnel_py.listening import (
    DNS,
    KEPT_ALIVE,
    STUB_INBOUND,
    data_addresses,
    dns_addresses,
    surface_addresses,
)
from ztunnel_py.mode import Mode
from ztunnel_py.pod_proxy import require_rights
from ztunnel_py.pods import Pods
from ztunnel_py.revocation import RevocationGuard
from ztunnel_py.surfaces import Surfaces

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mesh_py.identity.certificates import Certificates
    from ztunnel_py.config import Settings
    from ztunnel_py.dns_proxy import DnsServer
    from ztunnel_py.following import Following
    from ztunnel_py.stub_backends import StubBackends

log = logging.getLogger("app")

_COMPONENTS = {"plaintext": "inbound plaintext"}
"""Listeners whose logs have the real ztunnel's name for them."""

__all__ = ["StartError", "run"]

STATE_MANAGER = "state manager"
"""What readiness waits for under ztunnel's name: that the mesh is known."""


async def run(settings: Settings, *, worker: Path | None = None, stubs: StubBackends | None = None) -> int:
    """Serve until told to stop; the exit status.

    With `worker` this is one of several processes on the same ports: instead of the admin ports it answers its
    parent's questions on the UNIX socket at that path. With `stubs` the mesh is theirs, and every workload's address
    on loopback is listened on.

    Raises:
        StartError, ConfigError, TlsConfigError: nothing was started; the text is one line (ConfigError: one a fault).
    """
    if settings.mode is Mode.SHARED:
        require_rights(settings.socket_options)
    sink = LogSink(1)
    logs = Logs(sink, filter=settings.log_filter, json=settings.log_json)
    source = MeshSource.load(settings.mesh) if stubs is None else stubs.source
    certificates = _certificates(settings)
    revoked = _revoked(settings)
    sockets, surface_sockets = _bound(settings, worker, stubs)
    logs.install()
    sink.attach(asyncio.get_running_loop(), Reactor.current().at_batch_end)
    metrics = Metrics(release())
    metrics.count_lost_lines(lambda: sink.dropped)
    tracing = _tracing(settings, metrics)
    stop, now = asyncio.Event(), asyncio.Event()
    with stop_signals(stop, now):
        state = MeshState(settings.network, settings.node)
        source.apply(state)
        following = _following(settings, state, metrics)
        foundation = Foundation(
            settings,
            state,
            certificates,
            logs,
            metrics,
            may_grow=following is not None,
            names=None if following is None else following.names,
            revocation=None if revoked is None else RevocationGuard(revoked, metrics),
            tracer=None if tracing is None else tracing.tracer,
        )
        process = _Process(foundation, source, following, worker, stubs, stop, now)
        async with exporting(tracing, now):
            status = await process.serve(sockets, surface_sockets)
    Reactor.current().close()
    logs.uninstall()
    sink.close()
    return status


def _bound(
    settings: Settings, worker: Path | None, stubs: StubBackends | None
) -> tuple[dict[str, socket.socket], dict[str, socket.socket]]:
    """The data sockets, DNS among them, and the surfaces' sockets. Raises StartError; then none is left open."""
    is_shared = worker is not None
    addresses = itertools.chain(
        data_addresses(settings), dns_addresses(settings), () if stubs is None else stubs.addresses()
    )
    sockets = bind_all(addresses, settings.socket_options, kept_alive=KEPT_ALIVE, reuse_port=is_shared)
    try:
        askable = {name: sock for name, sock in sockets.items() if name.startswith(DNS)}
        sockets |= bind_datagrams(askable, reuse_port=is_shared, flag="--dns-proxy-addr")
        return sockets, {} if is_shared else bind_all(surface_addresses(settings))
    except StartError:
        for sock in sockets.values():
            sock.close()
        raise


@dataclass(frozen=True, slots=True)
class _Process:
    """What `run` has made, from the first listener to the end of draining."""

    foundation: Foundation
    source: MeshSource
    following: Following | None
    worker: Path | None
    stubs: StubBackends | None
    stop: asyncio.Event
    """Set when the process is to end, ..."""
    now: asyncio.Event
    """... and when it is to end at once."""

    async def serve(self, sockets: Mapping[str, socket.socket], surface_sockets: Mapping[str, socket.socket]) -> int:
        """Serve on bound sockets until told to stop; the exit status."""
        foundation, source, stubs = self.foundation, self.source, self.stubs
        settings, state = foundation.settings, foundation.state
        readiness = Readiness(STATE_MANAGER, "proxy", *(["dns proxy"] if settings.dns else []))
        plane = self._plane(sockets, readiness)
        readiness.done("proxy")
        surfaces = Surfaces(foundation, plane, readiness, source, self.stop, stubs)
        async with contextlib.AsyncExitStack() as stack:
            await surfaces.serve(stack, surface_sockets, self.worker)
            dns = await _serve_names(stack, plane, sockets)
            readiness.done("dns proxy")
            await self._follow(stack, partial(readiness.done, STATE_MANAGER))
            work = source.follow(state), foundation.certificates.watch(), plane.background()
            await stack.enter_async_context(background(*work))
            _announce({**sockets, **surface_sockets})
            if stubs is not None:
                stubs.announce()
            await self.stop.wait()
            log.info("shutting down: draining for at most %g s", settings.drain_deadline)
            await surfaces.stop_accepting()
            if dns is not None:
                dns.close()
            await _drain(plane, settings.drain_deadline, self.now)
            surfaces.drained.set()
        return 1 if isinstance(plane, Pods) and plane.is_broken else 0

    def _plane(self, sockets: Mapping[str, socket.socket], readiness: Readiness) -> DataPlane | Pods:
        """Who serves: one proxy for all that reaches this process, or one for each pod."""
        settings = self.foundation.settings
        if settings.mode is Mode.SHARED:
            return Pods(self.foundation, sockets, readiness, self._end_at_once)
        plane = DataPlane.start(self.foundation, sockets)
        if self.worker is not None:
            plane.share_inbound(self.worker, settings.workers)
        return plane

    def _end_at_once(self) -> None:
        self.now.set()
        self.stop.set()

    async def _follow(self, stack: contextlib.AsyncExitStack, known: Callable[[], None]) -> None:
        """Follow the control plane, where there is one. `known` is called once the mesh is."""
        if self.following is None:
            known()
        else:
            await stack.enter_async_context(background(self.following.run(known)))


def _following(settings: Settings, state: MeshState, metrics: Metrics) -> Following | None:
    """The control plane, where there is one."""
    if settings.discovery is None:
        return None
    from ztunnel_py.following import Following  # its messages are many

    return Following(settings.discovery, settings.tls, state, metrics, settings.state_wait)


async def _serve_names(
    stack: contextlib.AsyncExitStack, plane: DataPlane | Pods, sockets: Mapping[str, socket.socket]
) -> DnsServer | None:
    """15053, where it is on; pods have their own."""
    if isinstance(plane, Pods) or plane.context.settings.dns is None:
        return None
    context = plane.context
    from ztunnel_py.dns_proxy import serve_dns  # its library is not small

    ours = [sock for name, sock in sockets.items() if name.startswith(DNS)]
    return await stack.enter_async_context(serve_dns(context, plane.context.settings.dns, ours))


async def _drain(plane: DataPlane | Pods, seconds: float, now: asyncio.Event) -> None:
    """Drain until it is done, or until a second signal says to stop at once."""
    if not await done_before(plane.drain(seconds), now):
        plane.cut()


def _certificates(settings: Settings) -> Certificates:
    return open_certificates(
        settings.certificates,
        settings.tls,
        _utc_now,
        fake_ca=lambda: LocalCa.open(settings.fake_ca_folder, _utc_now()),
        embedded_ca=LocalCa.throw_away(_utc_now()) if settings.stub_backends else None,
        mark=settings.socket_options.mark,
    )


def _revoked(settings: Settings) -> RevocationFile | None:
    if settings.crl_path is None:
        return None
    file = RevocationFile(settings.crl_path)
    try:
        file.load()
    except CrlError as error:
        raise StartError(f"{error}: mend it, or leave CRL_PATH out") from error
    return file


def _tracing(settings: Settings, metrics: Metrics) -> Tracing | None:
    """The spans of tunnels, where they are wanted."""
    if settings.tracing is None:
        return None

    def who() -> dict[str, str]:
        return resource.of_node(settings.node or "", settings.cluster_id)

    return Tracing(settings.tracing, metrics, who, release(), settings.socket_options.mark)


def _utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _announce(sockets: Mapping[str, socket.socket]) -> None:
    """Who serves, and where."""
    log.info("version %s, Python %s, hot modules %s", release(), platform.python_version(), FORM)
    for name, sock in sockets.items():
        if not name.startswith(STUB_INBOUND):
            log.info("listener established", extra=listener_fields(_COMPONENTS.get(name, name), sock))
