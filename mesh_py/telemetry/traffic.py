"""Counters of connections and bytes, per label set [pure].

The data path asks for a series once per connection and then adds to its integers: no lock, no call, no label
work. Everything here runs on one thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.telemetry.labels import traffic_label_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mesh_py.telemetry.facts import ConnectionFacts, Reporter

DEFAULT_SERIES_LIMIT = 10_000
"""Label sets kept."""


class TrafficSeries:
    """One label set's counters. The data path adds to the integers itself.

    Payload bytes are named as a server names them (hbone-dataplane 7.3): `received_bytes` went from client to
    server, `sent_bytes` from server to client, whoever reports.
    """

    __slots__ = ("closed", "is_dropped", "labels", "opened", "received_bytes", "seen", "sent_bytes")

    def __init__(self, labels: tuple[str, ...]) -> None:
        self.labels = labels
        self.opened = 0
        self.closed: dict[str, int] = {}
        self.received_bytes = 0
        self.sent_bytes = 0
        self.seen = True
        self.is_dropped = False
        """Another one counts in its place: whoever kept it asks anew."""

    def close(self, flag: str = "-") -> None:
        """A connection has ended with this response flag (hbone-dataplane 7.5); any but `-` is a failure."""
        self.closed[flag] = self.closed.get(flag, 0) + 1

    @property
    def open_connections(self) -> int:
        """Connections opened and not yet closed."""
        return self.opened - sum(self.closed.values())


class OpenSockets:
    """Accepted sockets now open, per reporter. The data path adds and subtracts itself."""

    __slots__ = ("are_counted", "destination", "source")

    def __init__(self) -> None:
        self.are_counted = False
        """There is a data path that does so: none open is then a figure, too."""
        self.source = 0
        self.destination = 0

    def items(self) -> Iterator[tuple[Reporter, int]]:
        """Each reporter with its count."""
        yield "source", self.source
        yield "destination", self.destination


class Traffic:
    """All series, found by facts, bounded in number.

    Labels come partly from what peers say of themselves, so their number is not ours to choose: above `limit`,
    series without an open connection are dropped, the ones not seen lately first (their totals start at zero if
    they come back, as after a restart), and `dropped_series` counts them.
    """

    def __init__(self, limit: int = DEFAULT_SERIES_LIMIT) -> None:
        self.sockets = OpenSockets()
        self.dropped_series = 0
        self._limit = limit
        self._sweep_at = limit
        self._by_facts: dict[ConnectionFacts, TrafficSeries] = {}
        self._by_labels: dict[tuple[str, ...], TrafficSeries] = {}

    def open(self, facts: ConnectionFacts) -> TrafficSeries:
        """Count a connection as opened, and return its series, which is good until the connection closes."""
        series = self.find(facts)
        series.opened += 1
        series.seen = True
        return series

    def find(self, facts: ConnectionFacts) -> TrafficSeries:
        """The series of such connections, which is good while one is open, and until it `is_dropped`."""
        return self._by_facts.get(facts) or self._find(facts)

    def __len__(self) -> int:
        return len(self._by_labels)

    def __iter__(self) -> Iterator[TrafficSeries]:
        return iter(self._by_labels.values())

    def _find(self, facts: ConnectionFacts) -> TrafficSeries:
        labels = traffic_label_values(facts)
        series = self._by_labels.get(labels)
        if series is None:
            if len(self._by_labels) >= self._sweep_at:
                self._drop_idle()
            series = self._by_labels[labels] = TrafficSeries(labels)
        if len(self._by_facts) >= 2 * self._limit:  # only a cache: workload updates leave old facts behind
            self._by_facts.clear()
        self._by_facts[facts] = series
        return series

    def _drop_idle(self) -> None:
        """Make room for an eighth of the limit at once: a full table is not swept for every newcomer."""
        room = max(1, self._limit // 8)
        excess = len(self._by_labels) - self._limit + room
        idle = [series for series in self if series.open_connections == 0]
        idle.sort(key=lambda series: series.seen)
        for series in idle[:excess]:
            del self._by_labels[series.labels]
            series.is_dropped = True
        for series in self:
            series.seen = False
        self.dropped_series += len(idle[:excess])
        # Where open connections hold the table above its limit, the next sweep waits for an eighth more.
        self._sweep_at = max(self._limit, len(self._by_labels) + room)
        self._by_facts.clear()
