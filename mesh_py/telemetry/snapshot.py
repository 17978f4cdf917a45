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
    def of(series: TrafficSeries) -> SeriesCounts:
        """A copy that counts no further."""
        return SeriesCounts(series.labels, series.opened, dict(series.closed), series.received_bytes, series.sent_bytes)

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
    """One snapshot that counts for all. The given ones are used up: their parts may be in the result."""
    traffic: dict[tuple[str, ...], SeriesCounts] = {}
    families: dict[str, Family] = {}
    for snapshot in snapshots:
        for series in snapshot.traffic:
            if (known := traffic.setdefault(series.labels, series)) is not series:
                known.add(series)
        for family in snapshot.families:
            if (kept := families.setdefault(family.name, family)) is not family:
                kept.add(family)
    return Snapshot(list(traffic.values()), list(families.values()))
