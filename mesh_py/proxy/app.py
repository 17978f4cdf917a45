"""A sidecar or a waypoint as a process: everything is built here, started here, and drained here.

Both do the same in the same order; what each does in its own way is its `Role`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hbone_py.aio.reactor import Reactor
from mesh_py.admin.readiness import Readiness
from mesh_py.discovery.state import MeshState
from mesh_py.manifests.proxy_file import further_of
from mesh_py.process.background import background
from mesh_py.process.listening import StartError, bind_all, listener_fields
from mesh_py.process.mesh_source import MeshPlace, MeshSource
from mesh_py.process.release import release
from mesh_py.process.signals import stop_signals
from mesh_py.proxy.assembly import certificates_of, drain, following_of, tracing_of
from mesh_py.proxy.directory import Directory
from mesh_py.proxy.foundation import Foundation, SettingsT
from mesh_py.proxy.plane import Layer7Plane
from mesh_py.telemetry.log_sink import LogSink
from mesh_py.telemetry.logs import Logs
from mesh_py.telemetry.metrics import Metrics
from mesh_py.tracing.process import exporting

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Collection, Iterable, Mapping

    from mesh_py.admin.layer7_surfaces import Layer7Surfaces
    from mesh_py.discovery.local_file import LocalConfig
    from mesh_py.manifests.proxy_file import Further
    from mesh_py.process.mesh_source import Read
    from mesh_py.proxy.following import Following
    from mesh_py.settings.layer7 import Layer7Settings

    Address = tuple[str, str, int]
    """A listener's name, host and port."""
    Sockets = Mapping[str, socket.socket]
    """Bound sockets by name."""

PlaneT = TypeVar("PlaneT", bound=Layer7Plane[Any])

log = logging.getLogger("app")

STATE_MANAGER = "state manager"
"""What readiness waits for under ztunnel's name: that the mesh is known."""


@dataclass(frozen=True, slots=True)
class Role(Generic[SettingsT, PlaneT]):
    """What a sidecar and a waypoint do each in its own way."""

    read_mesh: Read
    data_addresses: Callable[[SettingsT], Iterable[Address]]
    """Where it serves, ..."""
    surface_addresses: Callable[[SettingsT], Iterable[Address]]
    """... and where it shows itself: `admin`, `stats`, `readiness`."""
    build: Callable[[Foundation[SettingsT]], PlaneT]
    """Its data plane."""
    surfaces: type[Layer7Surfaces[SettingsT, PlaneT]]
    take: Callable[[Further], None] = lambda further: None
    """What it makes of a mesh file's further keys beside the rest of the process. May raise ConfigError."""
    kept_alive: Collection[str] = ()
    """Names of the listeners whose connections get TCP keepalive."""
    is_gateway: bool = False
    """Whether it serves others than its own workload."""


async def run_proxy(role: Role[SettingsT, PlaneT], settings: SettingsT) -> int:
    """Serve until told to stop; the exit status.

    Raises:
        StartError, ConfigError, TlsConfigError: nothing was started; the text is one line (ConfigError: one a fault).
    """
    sink = LogSink(1)
    logs = Logs(sink, filter=settings.log_filter, json=settings.log_json)
    stop, now = asyncio.Event(), asyncio.Event()
    state = MeshState(settings.network)
    directory = Directory(state, settings.cluster_domain, settings.root_namespace, is_gateway=role.is_gateway)
    source = MeshSource.load(_place(settings, role.read_mesh), partial(_taken, role, directory))
    certificates = certificates_of(settings)
    sockets, surface_sockets = _bound(role, settings)
    logs.install()
    sink.attach(asyncio.get_running_loop(), Reactor.current().at_batch_end)
    metrics = Metrics(release(), component="proxy")
    metrics.count_lost_lines(lambda: sink.dropped)
    tracing = tracing_of(settings, state, metrics)
    tracer = None if tracing is None else tracing.tracer
    with stop_signals(stop, now):
        source.apply(state)
        foundation = Foundation(settings, sockets, state, directory, certificates, logs, sink.gather, metrics, tracer)
        async with exporting(tracing, now):
            await _serve(role, foundation, source, surface_sockets, (stop, now))
    Reactor.current().close()
    logs.uninstall()
    sink.close()
    return 0


async def _serve(
    role: Role[SettingsT, PlaneT],
    foundation: Foundation[SettingsT],
    source: MeshSource,
    surface_sockets: Sockets,
    signals: tuple[asyncio.Event, asyncio.Event],
) -> None:
    """From the first listener to the end of draining. `signals`: the first one asks for an end, the second hurries."""
    stop, now = signals
    settings, state = foundation.settings, foundation.state
    readiness = Readiness(STATE_MANAGER, "proxy")
    following = following_of(settings, state, foundation.directory, foundation.metrics)
    plane = role.build(foundation)
    surfaces = role.surfaces(settings, plane, foundation.logs, foundation.metrics, readiness, stop)
    async with contextlib.AsyncExitStack() as stack:
        await surfaces.serve(stack, surface_sockets)
        certificates = foundation.certificates
        await stack.enter_async_context(background(source.follow(state), certificates.watch(), plane.background()))
        await plane.listening.wait()
        readiness.done("proxy")
        await _follow(stack, following, partial(readiness.done, STATE_MANAGER))
        for name, sock in (dict(foundation.sockets) | dict(surface_sockets)).items():
            log.info("listener established", extra=listener_fields(name, sock))
        await stop.wait()
        log.info("shutting down: draining for at most %g s", settings.drain_deadline)
        await surfaces.stop_accepting()
        await drain(plane, settings.drain_deadline, now)
        surfaces.drained.set()


async def _follow(stack: contextlib.AsyncExitStack, following: Following | None, known: Callable[[], None]) -> None:
    """Follow the control plane, where there is one. `known` is called once the mesh is."""
    if following is None:
        known()
    else:
        await stack.enter_async_context(background(following.run(known)))


def _place(settings: Layer7Settings, read: Read) -> MeshPlace:
    return MeshPlace(settings.local_xds_path, settings.local_xds, settings.trust_domain, settings.watch_file, read)


def _taken(role: Role[SettingsT, PlaneT], directory: Directory, config: LocalConfig) -> LocalConfig:
    """A version of the mesh file has been read and is right: its further keys take effect, too. Raises ConfigError."""
    further = further_of(config)
    role.take(further)
    directory.take(further)
    return config


def _bound(role: Role[SettingsT, PlaneT], settings: SettingsT) -> tuple[Sockets, Sockets]:
    """The data sockets and the surfaces' sockets. Raises StartError; then none is left open."""
    sockets = bind_all(role.data_addresses(settings), settings.socket_options, kept_alive=role.kept_alive)
    try:
        return sockets, bind_all(role.surface_addresses(settings))
    except StartError:
        for sock in sockets.values():
            sock.close()
        raise
