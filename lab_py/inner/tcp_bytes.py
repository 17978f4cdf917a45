"""The bytes of TCP connections from captured frames, both directions, each piece with its time [pure]."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from lab_py.evidence.packets import read_segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lab_py.evidence.capture import Frame
    from lab_py.evidence.checks import Place
    from lab_py.evidence.packets import Segment

End = tuple[str, int]
"""An address and a port."""
_NUMBERS = 1 << 32


class Piece(NamedTuple):
    """Some bytes, and when they were there."""

    nanoseconds: int
    data: bytes


@dataclass(slots=True)
class Conversation:
    """A connection: what either end wrote, in order."""

    client: End
    server: End
    asked: list[Piece] = field(default_factory=list)
    answered: list[Piece] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of both directions."""
        return sum(len(piece.data) for piece in (*self.asked, *self.answered))


@dataclass(slots=True)
class _Direction:
    """Segments of one direction at one place."""

    begin: int | None = None
    """The number of the first byte, where its SYN was seen."""
    seen: list[tuple[int, Piece]] = field(default_factory=list)

    def add(self, nanoseconds: int, segment: Segment) -> None:
        if "S" in segment.packet.flags:
            self.begin = (segment.sequence + 1) % _NUMBERS
        elif segment.payload:
            self.seen.append((segment.sequence, Piece(nanoseconds, segment.payload)))

    def in_order(self) -> list[Piece]:
        """Each byte once, up to the first that is missing."""
        if not self.seen:
            return []
        begin = self.seen[0][0] if self.begin is None else self.begin
        found: list[Piece] = []
        expected = 0
        for offset, piece in sorted((_distance(begin, number), piece) for number, piece in self.seen):
            new = piece.data[expected - offset :] if offset <= expected else b""
            if offset > expected:
                break
            if new:
                found.append(Piece(piece.nanoseconds, new))
                expected += len(new)
        return found


def conversations(frames: Mapping[Place, Sequence[Frame]], port: int) -> list[Conversation]:
    """All connections to a port, each from the place that has most of it."""
    best: dict[tuple[End, End], Conversation] = {}
    for seen in frames.values():
        for one in _at_one_place(seen, port):
            key = (one.client, one.server)
            if key not in best or one.size > best[key].size:
                best[key] = one
    return list(best.values())


def _at_one_place(frames: Iterable[Frame], port: int) -> list[Conversation]:
    found: dict[tuple[End, End], tuple[_Direction, _Direction]] = {}
    for frame in frames:
        segment = read_segment(frame.data)
        if segment is None or port not in (segment.packet.source[1], segment.packet.destination[1]):
            continue
        asks = segment.packet.destination[1] == port
        ends = (segment.packet.source, segment.packet.destination)
        both = found.setdefault(ends if asks else ends[::-1], (_Direction(), _Direction()))
        both[0 if asks else 1].add(frame.nanoseconds, segment)
    return [Conversation(*ends, there.in_order(), back.in_order()) for ends, (there, back) in found.items()]


def _distance(begin: int, number: int) -> int:
    """From one sequence number to another; what comes before is negative."""
    ahead = (number - begin) % _NUMBERS
    return ahead if ahead < _NUMBERS // 2 else ahead - _NUMBERS
