"""What a sidecar's process and a waypoint's are put together from alike."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from mesh_py.identity.choice import open_certificates
from mesh_py.identity.local_ca import LocalCa
from mesh_py.process.release import release
from mesh_py.process.waiting import done_before
from mesh_py.tracing import resource
from mesh_py.tracing.process import Tracing

if TYPE_CHECKING:
    import asyncio
    from typing import Protocol

    from mesh_py.discovery.state import MeshState
    from mesh_py.identity.certificates import Certificates
    from mesh_py.proxy.directory import Directory
    from mesh_py.proxy.following import Following
    from mesh_py.settings.layer7 import Layer7Settings
    from mesh_py.telemetry.metrics import Metrics

    class Drained(Protocol):
        """A data plane at its end."""

        async def drain(self, seconds: float) -> bool:
            """Accept nothing more, and return when all is over or was cut after so many seconds; True if none was."""

        async def cut(self) -> None:
            """End what is still under way."""


def certificates_of(settings: Layer7Settings) -> Certificates:
    """Where the workload's certificate comes from. Raises StartError, TlsConfigError."""
    return open_certificates(
        settings.certificates,
        settings.tls,
        _utc_now,
        fake_ca=lambda: LocalCa.open(settings.fake_ca_folder, _utc_now()),
        mark=settings.socket_options.mark,
    )


def following_of(
    settings: Layer7Settings, state: MeshState, directory: Directory, metrics: Metrics
) -> Following | None:
    """The control plane, where there is one."""
    if settings.discovery is None:
        return None
    from mesh_py.proxy.following import Following  # its messages are many

    return Following(settings.discovery, settings.tls, state, directory, metrics)


def tracing_of(settings: Layer7Settings, state: MeshState, metrics: Metrics) -> Tracing | None:
    """The spans, where they are wanted."""
    if settings.tracing is None:
        return None
    info = settings.workload

    def who() -> dict[str, str]:
        workload = state.find_local_workload(info.name, info.namespace, info.service_account)
        return resource.of_proxy(info, workload)

    return Tracing(settings.tracing, metrics, who, release(), settings.socket_options.mark)


async def drain(plane: Drained, seconds: float, now: asyncio.Event) -> None:
    """Drain until it is done, or until a second signal says to stop at once."""
    if not await done_before(plane.drain(seconds), now):
        await plane.cut()


def _utc_now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
