"""What a data plane under test writes and counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.telemetry.exposition import render
from tests.support.processes import answers

if TYPE_CHECKING:
    from mesh_py.telemetry.metrics import Metrics


class LineSink:
    """In the place of a log's file: keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.write = self.gather = self.lines.append
        self.lost: object = None


class Observed:
    """Its log and its counters. Both are written after the answer they tell of, so a test waits for them."""

    lines: list[str]
    metrics: Metrics

    async def logged(self, *words: str) -> str:
        """The first line with all these words."""

        def meant(lines: list[str]) -> list[str]:
            return [line for line in lines if all(word in line for word in words)]

        async def written() -> list[str]:
            return [*self.lines]

        await answers(written, lambda lines: bool(meant(lines)), f"a line with {words}")
        return meant(self.lines)[0]

    async def counts(self, wanted: int, name: str, **labels: str) -> None:
        """Return when a counter's samples with these labels come to `wanted`."""

        async def shown() -> int:
            return self.counted(name, **labels)

        await answers(shown, lambda count: count == wanted, f"{wanted} of {name} with {labels}")

    def counted(self, name: str, **labels: str) -> int:
        """The sum of a counter's samples with these labels, now."""
        text = "".join(render(self.metrics.snapshot()))
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        lines = [line for line in text.splitlines() if line.startswith(f"{name}{{")]
        return sum(int(float(line.rpartition(" ")[2])) for line in lines if all(label in line for label in wanted))
