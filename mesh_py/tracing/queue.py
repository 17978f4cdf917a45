"""Spans between those who finish them and the exporter: bounded, and whoever finishes one never waits."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mesh_py.tracing.span import Span


class SpanQueue:
    """At most `most` spans; further ones are dropped and counted."""

    def __init__(self, most: int, batch: int) -> None:
        """`batch`: with so many waiting, `filled` is set."""
        self.filled = asyncio.Event()
        self.exported = 0
        self.dropped: Counter[str] = Counter()
        """By reason."""
        self._most, self._batch = most, min(batch, most)
        self._spans: deque[Span] = deque()

    def __len__(self) -> int:
        return len(self._spans)

    def put(self, span: Span) -> None:
        """One more."""
        if len(self._spans) >= self._most:
            self.dropped["queue_full"] += 1
            return
        self._spans.append(span)
        if len(self._spans) >= self._batch:
            self.filled.set()

    def take(self) -> list[Span]:
        """The oldest ones, a batch at most."""
        count = min(self._batch, len(self._spans))
        found = list(islice(self._spans, count))
        for _ in range(count):
            self._spans.popleft()
        if len(self._spans) < self._batch:
            self.filled.clear()
        return found
