"""The map of the process: everything is built here, started here, and drained here.

tunnel ══ 15008 terminate ─┬─ http_proxy ─ chains (tokens, policies, filters) ─ forward ─┬─ HBONE ══════════════ a pod
                           └─ byte_proxy ─ policies ─ TCPRoute ────────────────────────┼─ Istio mutual TLS ═══ a sidecar
                                                                                       └─ plain TCP
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from functools import partial
from typing import TYPE_CHECKING

from hbone_py.aio.reactor import Reactor
from mesh_py.admin.readiness import Readiness
from mesh_py.discovery.state import MeshState
from mesh_py.manifests.proxy_file import further_of, read_waypoint_file
from mesh_py.process.background import background
from mesh_py.process.listening import StartError, bind_all, listener_fields
from mesh_py.process.mesh_source import MeshPlace, MeshSource
from mesh_py.process.release import release
from mesh_py.process.signals import stop_signals
from mesh_py.proxy.assembly import certificates_of, drain, following_of, tracing_of
from mesh_py.proxy.directory import Directory
from mesh_py.telemetry.log_sink import LogSink
from mesh_py.telemetry.logs import Logs
from mesh_py.telemetry.metrics import Metrics
from mesh_py.tracing.process import exporting
from waypoint_py.data_plane import DataPlane
from waypoint_py.listening import data_addresses, surface_addresses
from waypoint_py.surfaces import Surfaces
from waypoint_py.user_filters import UserFilters

if TYPE_CHECKING:
    import socket

    from mesh_py.discovery.local_file import LocalConfig
    from waypoint_py.config import Settings

log = logging.getLogger("app")

STATE_MANAGER = "state manager"
"""What readiness waits for under ztunnel's name: that the mesh is known."""

__all__ = ["StartError", "run"]


async def run(settings: Settings) -> int:
    """Serve until told to stop; the exit status.

    Raises:
        StartError, ConfigError, TlsConfigError: nothing was started; the text is one line (ConfigError: one a fault).
    """
    sink = LogSink(1)
    logs = Logs(sink, filter=settings.log_filter, json=settings.log_json)
    stop, now = asyncio.Event(), asyncio.Event()
    state = MeshState(settings.network)
    directory = Directory(state, settings.cluster_domain, settings.root_namespace, is_gateway=True)
    user_filters = UserFilters()
    source = MeshSource.load(_place(settings), lambda config: _taken(config, directory, user_filters))
    certificates = certificates_of(settings)
    sockets, surface_sockets = _bound(settings)
    logs.install()
    sink.attach(asyncio.get_running_loop(), Reactor.current().at_batch_end)
    metrics = Metrics(release())
    metrics.count_lost_lines(lambda: sink.dropped)
    readiness = Readiness(STATE_MANAGER, "proxy")
    tracing = tracing_of(settings, state, metrics)
    with stop_signals(stop, now):
        source.apply(state)
        following = following_of(settings, state, directory, metrics)
        plane = DataPlane.build(
            settings, sockets, state, directory, certificates, logs, sink.gather, metrics, user_filters
        )
        plane.context.tracer = None if tracing is None else tracing.tracer
        surfaces = Surfaces(settings, plane, logs, metrics, readiness, stop)
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(exporting(tracing, now))
            await surfaces.serve(stack, surface_sockets)
            await stack.enter_async_context(background(source.follow(state), certificates.watch(), plane.background()))
            await plane.listening.wait()
            readiness.done("proxy")
            known = partial(readiness.done, STATE_MANAGER)
            if following is None:
                known()
            else:
                await stack.enter_async_context(background(following.run(known)))
            for name, sock in (sockets | surface_sockets).items():
                log.info("listener established", extra=listener_fields(name, sock))
            await stop.wait()
            log.info("shutting down: draining for at most %g s", settings.drain_deadline)
            await surfaces.stop_accepting()
            await drain(plane, settings.drain_deadline, now)
            surfaces.drained.set()
    Reactor.current().close()
    logs.uninstall()
    sink.close()
    return 0


def _place(settings: Settings) -> MeshPlace:
    return MeshPlace(
        settings.local_xds_path, settings.local_xds, settings.trust_domain, settings.watch_file, read_waypoint_file
    )


def _taken(config: LocalConfig, directory: Directory, user_filters: UserFilters) -> LocalConfig:
    """A version of the mesh file has been read and is right: its further keys take effect, too. Raises ConfigError."""
    further = further_of(config)
    user_filters.take(further.chain.filters)
    directory.take(further)
    return config


def _bound(settings: Settings) -> tuple[dict[str, socket.socket], dict[str, socket.socket]]:
    """The data sockets and the surfaces' sockets. Raises StartError; then none is left open."""
    sockets = bind_all(data_addresses(settings), settings.socket_options)
    try:
        return sockets, bind_all(surface_addresses(settings))
    except StartError:
        for sock in sockets.values():
            sock.close()
        raise


def all_addresses(settings: Settings) -> itertools.chain[tuple[str, str, int]]:
    """(name, host, port) of everything it listens on."""
    return itertools.chain(data_addresses(settings), surface_addresses(settings))
