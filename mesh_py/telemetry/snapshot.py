"""All numbers of one process at one moment, to be sent to another process and added up there [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mesh_py.telemetry.instruments import Family

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesh_py.telemetry.traffic import TrafficSeries

SHAPE = 1
"""Changes with the shape of `Snapshot`: processes of different versions do not add up."""


class SnapshotError(ValueError):
    """The bytes are no snapshot, or one of another version."""


class SeriesCounts(msgspec.Struct, array_like=True):
    """One traffic series: its counters under its label values (`labels.traffic_label_values`)."""

    labels: tuple[str, ...]
    opened: int
    closed: dict[str, int]
    received_bytes: int
    sent_bytes: int

    @staticmethod
    def of(series: TrafficSeries | SeriesCounts) -> SeriesCounts:
        """A copy that counts no further."""
        closed = dict(series.closed)
        return SeriesCounts(series.labels, series.opened, closed, series.received_bytes, series.sent_bytes)

    def copy(self) -> SeriesCounts:
        """The same counts, to be added to."""
        return SeriesCounts.of(self)

    def add(self, other: SeriesCounts) -> None:
        """Take in the same series of another process."""
        self.opened += other.opened
        self.received_bytes += other.received_bytes
        self.sent_bytes += other.sent_bytes
        for flag, count in other.closed.items():
            self.closed[flag] = self.closed.get(flag, 0) + count


class Snapshot(msgspec.Struct):
    """Traffic series and all other families of one process, or of several joined."""

    traffic: list[SeriesCounts]
    families: list[Family]
    shape: int = SHAPE


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Snapshot)


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """The snapshot as MessagePack."""
    return _encoder.encode(snapshot)


def decode_snapshot(data: bytes) -> Snapshot:
    """Read what `encode_snapshot` made. Raises SnapshotError."""
    try:
        snapshot = _decoder.decode(data)
    except msgspec.DecodeError as error:
        raise SnapshotError(f"not a snapshot: {error}") from error
    if snapshot.shape != SHAPE:
        raise SnapshotError(f"a snapshot of shape {snapshot.shape}, this process reads {SHAPE}")
    return snapshot


def merge(snapshots: Iterable[Snapshot]) -> Snapshot:
    """One snapshot that counts for all; the given ones stay as they are."""
    traffic: dict[tuple[str, ...], SeriesCounts] = {}
    families: dict[str, Family] = {}
    for snapshot in snapshots:
        for series in snapshot.traffic:
            if (known := traffic.get(series.labels)) is not None:
                known.add(series)
            else:
                traffic[series.labels] = series.copy()
        for family in snapshot.families:
            if (kept := families.get(family.name)) is not None:
                kept.add(family)
            else:
                families[family.name] = family.copy()
    return Snapshot(list(traffic.values()), list(families.values()))


def retire(snapshot: Snapshot) -> Snapshot:
    """What stays of a process that has ended: its counters, with every connection closed."""
    traffic = [series.copy() for series in snapshot.traffic]
    for series in traffic:
        if (still_open := series.opened - sum(series.closed.values())) > 0:
            series.closed["-"] = series.closed.get("-", 0) + still_open
    return Snapshot(traffic, [family for family in snapshot.families if family.kind != "gauge"])
