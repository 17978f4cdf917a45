"""The map of the process: everything is built here, started here, and drained here.

tunnel ══ 15008 terminate ─┬─ http_proxy ─ chains (tokens, policies, filters) ─ forward ─┬─ HBONE ══════════════ a pod
                           └─ byte_proxy ─ policies ─ TCPRoute ────────────────────────┼─ Istio mutual TLS ═══ a sidecar
                                                                                       └─ plain TCP
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import itertools
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from hbone_py.aio.reactor import Reactor
from hbone_py.aio.tcp import show
from mesh_py.admin.readiness import Readiness
from mesh_py.discovery.state import MeshState
from mesh_py.identity.choice import open_certificates
from mesh_py.identity.local_ca import LocalCa
from mesh_py.manifests.proxy_file import further_of, read_waypoint_file
from mesh_py.process.background import background
from mesh_py.process.listening import StartError, bind_all
from mesh_py.process.mesh_source import MeshPlace, MeshSource
from mesh_py.process.signals import stop_signals
from mesh_py.proxy.directory import Directory
from mesh_py.telemetry.log_format import fields
from mesh_py.telemetry.log_sink import LogSink
from mesh_py.telemetry.log_text import Bare
from mesh_py.telemetry.logs import Logs
from mesh_py.telemetry.metrics import Metrics
from mesh_py.tracing import resource
from mesh_py.tracing.process import Tracing, exporting
from waypoint_py.data_plane import DataPlane
from waypoint_py.listening import data_addresses, surface_addresses
from waypoint_py.surfaces import Surfaces
from waypoint_py.user_filters import UserFilters

if TYPE_CHECKING:
    import socket

    from mesh_py.discovery.local_file import LocalConfig
    from mesh_py.identity.certificates import Certificates
    from mesh_py.proxy.following import Following
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
    directory = Directory(state, settings.cluster_domain, settings.root_namespace)
    user_filters = UserFilters()
    source = MeshSource.load(_place(settings), lambda config: _taken(config, directory, user_filters))
    certificates = _certificates(settings)
    sockets, surface_sockets = _bound(settings)
    logs.install()
    sink.attach(asyncio.get_running_loop(), Reactor.current().at_batch_end)
    metrics = Metrics(_version())
    metrics.count_lost_lines(lambda: sink.dropped)
    readiness = Readiness(STATE_MANAGER, "proxy")
    tracing = _tracing(settings, state, metrics)
    with stop_signals(stop, now):
        source.apply(state)
        following = _following(settings, state, directory, metrics)
        plane = DataPlane.build(
            settings, sockets, state, directory, certificates, logs, sink.write, metrics, user_filters
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
                log.info("listener established", extra=_listener_fields(name, sock))
            await stop.wait()
            log.info("shutting down: draining for at most %g s", settings.drain_deadline)
            await surfaces.stop_accepting()
            await _drain(plane, settings.drain_deadline, now)
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


async def _drain(plane: DataPlane, seconds: float, now: asyncio.Event) -> None:
    """Drain until it is done, or until a second signal says to stop at once."""
    async with asyncio.TaskGroup() as group:
        draining = group.create_task(plane.drain(seconds), name="drain")
        impatience = group.create_task(now.wait(), name="second signal")
        await asyncio.wait({draining, impatience}, return_when=asyncio.FIRST_COMPLETED)
        if not draining.done():
            draining.cancel()
            await plane.cut()
        impatience.cancel()


def _following(settings: Settings, state: MeshState, directory: Directory, metrics: Metrics) -> Following | None:
    """The control plane, where there is one."""
    if settings.discovery is None:
        return None
    from mesh_py.proxy.following import Following  # its messages are many

    return Following(settings.discovery, settings.tls, state, directory, metrics)


def _certificates(settings: Settings) -> Certificates:
    return open_certificates(
        settings.certificates,
        settings.tls,
        _utc_now,
        fake_ca=lambda: LocalCa.open(settings.fake_ca_folder, _utc_now()),
        mark=settings.socket_options.mark,
    )


def _tracing(settings: Settings, state: MeshState, metrics: Metrics) -> Tracing | None:
    """The spans, where they are wanted."""
    if settings.tracing is None:
        return None
    info = settings.workload

    def who() -> dict[str, str]:
        workload = state.find_local_workload(info.name, info.namespace, info.service_account)
        return resource.of_proxy(info, workload)

    return Tracing(settings.tracing, metrics, who, _version(), settings.socket_options.mark)


def _utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("hbone-mesh")
    except PackageNotFoundError:
        return "unknown"


def _listener_fields(name: str, sock: socket.socket) -> dict[str, Any]:
    host, port = sock.getsockname()[:2]
    return fields(address=Bare(show((host, port))), component=name)
