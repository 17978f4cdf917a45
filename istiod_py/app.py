"""The map of the process: everything is built here, started here, and drained here.

folder ─ registry ─ publisher ─ world ─┬─ views ─ sessions ═══ 15012 (TLS), 15010 (plaintext): proxies
                                       └─ debug pages ─────── 15014
authority's folder ─ certificates ──────────────────────────── 15012: CreateCertificate, and SDS
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from istiod_py.ads import AdsService
from istiod_py.authority import FolderAuthority
from istiod_py.banner import announce
from istiod_py.ca import CaPolicy, CaService
from istiod_py.clients import Clients
from istiod_py.debug_server import DebugSurface, serve_debug
from istiod_py.folder import FolderError
from istiod_py.guard import Guard
from istiod_py.metrics import IstiodMetrics
from istiod_py.publisher import Debounce, Publisher
from istiod_py.registry import Registry, RegistrySettings
from istiod_py.secrets import Secrets
from istiod_py.server_certificate import ServerCertificate
from istiod_py.session import SessionLimits, Surroundings
from istiod_py.views import Views
from mesh_py.identity.signing import CaError
from mesh_py.identity.tokens import TokenError, TokenKey
from mesh_py.process.background import background
from mesh_py.process.listening import StartError, bind_all, listener_fields
from mesh_py.process.reason import reason_of
from mesh_py.process.release import release
from mesh_py.process.signals import stop_signals
from mesh_py.process.waiting import done_before
from mesh_py.rpc.protocol import StreamLimits
from mesh_py.rpc.server import RpcServer, ServerLimits
from mesh_py.telemetry.log_sink import LogSink
from mesh_py.telemetry.logs import Logs

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from istiod_py.config import Settings
    from mesh_py.process.console import Console
    from mesh_py.rpc.server import Service

log = logging.getLogger("app")

LARGEST_REQUEST = 16 << 20
"""Bytes: after a reconnect a proxy names the version of everything that it has kept."""

RENEWAL_SECONDS = 1.0
"""Between looks at the authority's folder and at certificates of ours that fall due."""


async def run(settings: Settings, console: Console) -> int:
    """Serve until told to stop; the exit status.

    Raises:
        StartError, ConfigError, TlsConfigError: nothing was started; the text is one line (ConfigError: one a fault).
    """
    sink = LogSink(1)
    logs = Logs(sink, filter=settings.log_filter, json=settings.log_json)
    logs.install()
    stop, now = asyncio.Event(), asyncio.Event()
    try:
        control = _prepare(settings)
        sockets = bind_all(settings.addresses())
        sink.attach(asyncio.get_running_loop())
        with stop_signals(stop, now):
            await _serve(control, sockets, console, stop, now)
    finally:
        logs.uninstall()
        sink.close()
    return 0


@dataclass(frozen=True)
class ControlPlane:
    """All parts, made and not yet started."""

    settings: Settings
    metrics: IstiodMetrics
    registry: Registry
    clients: Clients
    publisher: Publisher
    authority: FolderAuthority
    certificate: ServerCertificate
    secrets: Secrets
    views: Views
    server: RpcServer

    async def renew(self) -> None:
        """Follow the authority's folder and the clock, for ever."""
        while True:
            await asyncio.sleep(RENEWAL_SECONDS)
            try:
                has_changed = self.authority.refresh()
                self.certificate.renew(at_once=has_changed)
                if self.secrets.renew(all=has_changed):
                    self.clients.wake_all()
            except Exception:  # the next look must find somebody who looks
                log.exception("! certificates: unexpected error")


def _prepare(settings: Settings) -> ControlPlane:
    """Read what there is and make everything. Raises as `run`."""
    metrics, clients = IstiodMetrics(release()), Clients()
    tokens, authority = _keys(settings)
    registry = _registry(settings)
    publisher = Publisher(lambda: registry.manifests, settings.options, clients, metrics, Debounce(*settings.debounce))
    registry.subscribe(lambda _: publisher.changed())
    secrets = Secrets(authority, settings.lifetime, utc_now)
    views = Views(lambda: publisher.world, settings.mesh, secrets)
    guard = Guard(tokens, settings.mesh.trust_domain, metrics, time.time, checks_identity=settings.checks_identity)
    around = Surroundings(
        views.collection, lambda: publisher.pushed_at, metrics, SessionLimits(send=settings.send_deadline)
    )
    policy = CaPolicy(
        settings.mesh.trust_domain,
        settings.node_accounts,
        settings.lifetime,
        settings.longest,
        settings.mesh.cluster_id,
    )
    runs_on = lambda *place: publisher.world.runs_on(settings.mesh.cluster_id, *place)  # noqa: E731 - as it is then
    services: list[Service] = [
        AdsService(guard, clients, around, lambda: publisher.world.number > 0),
        CaService(authority, guard, policy, runs_on, metrics, time.monotonic),
    ]
    certificate = _certificate(settings, authority)
    server = RpcServer(services, limits=_limits(settings))
    _count_elsewhere(metrics, registry, authority, server)
    return ControlPlane(
        settings,
        metrics,
        registry,
        clients,
        publisher,
        authority,
        certificate,
        secrets,
        views,
        server,
    )


def _keys(settings: Settings) -> tuple[TokenKey, FolderAuthority]:
    try:
        tokens = TokenKey.open(settings.state_folder, settings.audiences)
        return tokens, FolderAuthority(settings.ca_folder, utc_now, intermediate=settings.intermediate)
    except (TokenError, CaError) as error:
        raise StartError(str(error)) from error
    except OSError as error:
        raise StartError(
            f"{error.filename or settings.state_folder}: {reason_of(error)}: name a folder to write to with --state-dir"
        ) from error


def _certificate(settings: Settings, authority: FolderAuthority) -> ServerCertificate:
    try:
        return ServerCertificate(authority, settings.names, settings.lifetime, settings.tls, utc_now)
    except CaError as error:
        raise StartError(f"no certificate for our own port: {error}") from error


def _registry(settings: Settings) -> Registry:
    try:
        return Registry.load(RegistrySettings(settings.folder, settings.mesh.trust_domain, settings.ranges))
    except FolderError as error:
        raise StartError(str(error)) from error


def _limits(settings: Settings) -> ServerLimits:
    return ServerLimits(
        connections=settings.connections, streams=StreamLimits(message=LARGEST_REQUEST), age=settings.age
    )


def _count_elsewhere(metrics: IstiodMetrics, registry: Registry, authority: FolderAuthority, server: RpcServer) -> None:
    def refresh() -> None:
        metrics.count_connections(server.connections, dataclasses.asdict(server.counts))
        metrics.config_errors.set(len(registry.problems))
        metrics.root_expiry.set(authority.signer.root.not_valid_after_utc.timestamp())
        metrics.chain_expiry.set(authority.signer.certificate.not_valid_after_utc.timestamp())

    metrics.before_reading(refresh)


async def _serve(
    control: ControlPlane,
    sockets: Mapping[str, socket.socket],
    console: Console,
    stop: asyncio.Event,
    now: asyncio.Event,
) -> None:
    surface = DebugSurface(
        world=lambda: control.publisher.world,
        faults=lambda: control.registry.problems,
        clients=control.clients,
        collection=control.views.collection,
        metrics=control.metrics,
        is_ready=lambda: control.publisher.world.number > 0,
        version=release(),
    )
    control.publisher.publish()
    async with contextlib.AsyncExitStack() as stack:
        monitoring = await stack.enter_async_context(serve_debug([sockets["monitoring"]], surface))
        await control.server.listen(sockets["secure"], control.certificate.context)
        if "plaintext" in sockets:
            await control.server.listen(sockets["plaintext"], None)
        for name, sock in sockets.items():
            log.info("listener established", extra=listener_fields(name, sock))
        workloads = control.publisher.world.mesh.workloads.values()
        announce(control.settings, sockets, control.authority.roots_file, workloads, console)
        work = (control.registry.follow(), control.publisher.follow(), control.renew())
        async with background(*work):
            await stop.wait()
            log.info("shutting down: draining for at most %g s", control.settings.drain_deadline)
        await monitoring.drain()
        await _drain(control, now)


async def _drain(control: ControlPlane, now: asyncio.Event) -> None:
    """End streams politely, then wait for what is still being answered; a second signal ends that, too."""
    control.clients.end_all()
    await done_before(control.server.drain(control.settings.drain_deadline), now)
    await control.server.aclose()


def utc_now() -> datetime.datetime:
    """Now."""
    return datetime.datetime.now(datetime.UTC)
