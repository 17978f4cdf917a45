"""The spans of one process: where they begin, where they wait, and how they leave; and the end of it all."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from mesh_py.telemetry.instruments import Counter
from mesh_py.tracing.queue import SpanQueue
from mesh_py.tracing.tracer import Tracer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from mesh_py.settings.tracing import TracingSettings
    from mesh_py.telemetry.metrics import Metrics
    from mesh_py.tracing.exporter import SpanExporter

DRAIN_SECONDS = 5.0
"""What is left when the process ends may take so long."""


class Tracing:
    """Built where spans are wanted at all: then its exporter's messages are loaded, too."""

    def __init__(
        self,
        settings: TracingSettings,
        metrics: Metrics,
        who: Callable[[], Mapping[str, str]],
        version: str,
        mark: int | None,
    ) -> None:
        """`who` tells the resource, as far as it is known now; `mark` is SO_MARK of the exporter's connection."""
        from mesh_py.tracing.exporter import SpanExporter

        self._settings, self._who, self._version = settings, who, version
        self.queue = SpanQueue(settings.most_waiting, settings.batch)
        self.tracer = Tracer(settings.sampler, self.queue.put)
        self.exporter: SpanExporter = SpanExporter(settings, self.queue, self.resource, version, mark=mark)
        self._count(metrics)

    def resource(self) -> dict[str, str]:
        """Who records: what is known, what was set, and the name that was set before all."""
        sdk = {
            "telemetry.sdk.name": "hbone-mesh",
            "telemetry.sdk.language": "python",
            "telemetry.sdk.version": self._version,
        }
        found = dict(self._who()) | sdk | dict(self._settings.resource)
        return found | ({"service.name": self._settings.service_name} if self._settings.service_name else {})

    def _count(self, metrics: Metrics) -> None:
        exported = metrics.register(Counter("hbone_spans_exported", "Spans that a collector took"))
        dropped = metrics.register(Counter("hbone_spans_dropped", "Spans that nobody took, by reason", ("reason",)))

        def refresh() -> None:
            exported.family.samples[()] = [self.queue.exported]
            for reason, count in self.queue.dropped.items():
                dropped.family.samples[(reason,)] = [count]

        metrics.before_snapshot(refresh)


@contextlib.asynccontextmanager
async def exporting(
    tracing: Tracing | None, hurry: asyncio.Event, seconds: float = DRAIN_SECONDS
) -> AsyncIterator[None]:
    """Export spans beside the body; what is left behind it has so many seconds, none if somebody is in a `hurry`."""
    if tracing is None:
        yield
        return
    async with asyncio.TaskGroup() as group:
        export = group.create_task(tracing.exporter.run(), name="spans")
        impatience = group.create_task(hurry.wait(), name="second signal")
        try:
            yield
            tracing.exporter.finish()
            await asyncio.wait({export, impatience}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            export.cancel()
            impatience.cancel()
