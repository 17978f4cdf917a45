"""The OpenTelemetry collector's own receiver as a collector of spans: tests/peers/collector, built."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from tests.support.collector import Collector, Recorded
from tests.support.processes import PeerProcess, loopback_address
from tests.support.require import real_collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

KINDS = {2: "server", 3: "client"}
ERROR = 2


class RealCollector(Collector):
    """What it says it has taken, in its own form of the spans (OTLP's JSON)."""

    def __init__(self, url: str, process: PeerProcess) -> None:
        super().__init__(url)
        self.process = process

    @property
    def spans(self) -> list[Recorded]:
        lines = self.process.output.splitlines()
        batches = (json.loads(line)["resourceSpans"] for line in lines if line.startswith("{"))
        return [span for batch in batches for group in batch for span in _spans(group)]

    @spans.setter
    def spans(self, _: list[Recorded]) -> None:
        """Only the process knows."""


def _spans(group: Any) -> Iterable[Recorded]:
    resource = _values(group["resource"])
    for scope in group["scopeSpans"]:
        for span in scope["spans"]:
            yield Recorded(
                service=str(resource["service.name"]),
                name=span["name"],
                kind=KINDS[span["kind"]],
                trace=span["traceId"],
                id=span["spanId"],
                parent=span.get("parentSpanId", ""),
                failed=span["status"].get("code") == ERROR,
                seconds=(int(span["endTimeUnixNano"]) - int(span["startTimeUnixNano"])) / 1e9,
                attributes=_values(span),
                resource=resource,
            )


def _values(holder: Any) -> dict[str, str | int]:
    return {
        one["key"]: int(one["value"]["intValue"]) if "intValue" in one["value"] else one["value"]["stringValue"]
        for one in holder.get("attributes", ())
    }


@contextlib.contextmanager
def start_real_collector(folder: Path) -> Iterator[RealCollector]:
    """It listens; ended with the context."""
    program = real_collector()
    where = f"{loopback_address()}:4318"
    process = PeerProcess([str(program), where], folder / "collector.log")
    try:
        process.wait_until(lambda: "ready\n" in process.output, "ready")
        yield RealCollector(f"http://{where}", process)
    finally:
        process.stop()
