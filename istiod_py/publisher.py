"""From changes of the folder to pushes: many changes make one state, and one state one round of pushes."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from istiod_py.ambient.build import Conversion
from istiod_py.ambient.notices import Severity
from istiod_py.world import World
from mesh_py.telemetry.log_format import fields

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from istiod_py.ambient.notices import Notice
    from istiod_py.ambient.options import AmbientOptions
    from istiod_py.clients import Clients
    from istiod_py.metrics import IstiodMetrics
    from mesh_py.manifests.objects import Manifests

log = logging.getLogger("state")

MOST_TOLD = 20
"""Notices logged for one state."""


@dataclass(frozen=True, slots=True)
class Debounce:
    """Seconds (hbone-controlplane 2.8)."""

    quiet: float = 0.1
    longest: float = 10.0


class Publisher:
    """Holds the state that is served. `manifests` gives the last good ones."""

    def __init__(
        self,
        manifests: Callable[[], Manifests],
        options: AmbientOptions,
        clients: Clients,
        metrics: IstiodMetrics,
        debounce: Debounce,
    ) -> None:
        self._manifests = manifests
        self._options = options
        self._clients = clients
        self._metrics = metrics
        self._debounce = debounce
        self._conversion: Conversion | None = None
        self._changed = asyncio.Event()
        self._changed_at = 0.0
        self.world = World()
        self.pushed_at = 0.0
        """When the change was noticed that led to the present state, by `time.monotonic`."""

    def changed(self) -> None:
        """Something in the folder is another."""
        if not self._changed.is_set():
            self._changed_at = self._changed_at or time.monotonic()
        self._metrics.inbound_updates.increase(("config",))
        self._changed.set()

    def publish(self) -> None:
        """Make a state of what there is now, before anybody is served."""
        began = time.monotonic()
        self._take(self._made(), began, time.monotonic() - began)

    async def _publish(self) -> None:
        """The same beside the loop: a large mesh takes a while, and proxies are not to wait for it."""
        began = time.monotonic()
        since, self._changed_at = self._changed_at or began, 0.0
        world = await asyncio.to_thread(self._made)
        self._take(world, since, time.monotonic() - began)

    def _made(self) -> World:
        manifests = self._manifests()
        self._conversion = conversion = Conversion(manifests, self._options, self._conversion)
        return self.world.after(manifests, conversion.mesh)

    def _take(self, world: World, since: float, took: float) -> None:
        """Serve another state, and wake whoever may lack it."""
        _tell(world.mesh.notices, self.world.mesh.notices)
        self.world, self.pushed_at = world, since
        self._count(took)
        mesh = self.world.mesh
        counts = {"workloads": len(mesh.workloads), "services": len(mesh.services), "policies": len(mesh.policies)}
        log.info("state %d", self.world.number, extra=fields(counts, proxies=len(self._clients), ms=round(took * 1e3)))
        self._clients.wake_all()

    async def follow(self) -> None:
        """Publish after every change, for ever."""
        while True:
            await self._changed.wait()
            await self._settle()
            try:
                await self._publish()
            except Exception:  # the next change must find somebody who follows
                self._metrics.internal_errors.increase()
                log.exception("! the state stays as it is: unexpected error")

    async def _settle(self) -> None:
        """Return when it has been quiet, or when that takes too long."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._debounce.longest
        while self._changed.is_set() and loop.time() < end:
            self._changed.clear()
            try:
                async with asyncio.timeout_at(min(loop.time() + self._debounce.quiet, end)):
                    await self._changed.wait()
            except TimeoutError:
                return
        self._changed.clear()

    def _count(self, took: float) -> None:
        metrics, mesh = self._metrics, self.world.mesh
        metrics.push_time.observe(took)
        metrics.push_triggers.increase(("config",))
        metrics.workloads.set(len(mesh.workloads))
        metrics.services.set(len(mesh.services))
        metrics.policies.set(len(mesh.policies))


def _tell(notices: Sequence[Notice], before: Sequence[Notice]) -> None:
    """Log what authors should know and have not been told."""
    known = set(before)
    fresh = [notice for notice in notices if notice not in known]
    for notice in fresh[:MOST_TOLD]:
        log.log(logging.ERROR if notice.severity is Severity.ERROR else logging.WARNING, "%s", notice)
    if len(fresh) > MOST_TOLD:
        log.warning("%d more of these; /debug/problems has all", len(fresh) - MOST_TOLD)
