"""A profile in pprof's form, as the real ztunnel serves it: `go tool pprof http://localhost:15000/debug/pprof/profile`
(github.com/google/pprof, proto/profile.proto) [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CPU = (("cpu", "nanoseconds"),)
"""What the values of a profile of the processor's time mean."""

_SAMPLE_TYPE, _SAMPLE, _LOCATION, _FUNCTION, _STRING = 1, 2, 4, 5, 6
"""Fields of a Profile. In the messages below it the first field is 1, and so on."""


def encode_pprof(profile: Mapping[tuple[str, ...], Sequence[int]], kinds: Sequence[tuple[str, str]] = CPU) -> bytes:
    """A `Profile` message, not compressed.

    Args:
        profile: for each stack, frames from the outermost in, as many values as there are kinds.
        kinds: what each value is, and its unit.
    """
    tables = _Tables()
    parts: list[bytes] = []
    for what, unit in kinds:
        parts.append(_message(_SAMPLE_TYPE, _number(1, tables.string(what)), _number(2, tables.string(unit))))
    for stack, values in profile.items():
        places = [tables.location(frame) for frame in reversed(stack)]  # the innermost first
        parts.append(_message(_SAMPLE, _packed(1, places), _packed(2, values)))
    return b"".join([*parts, *tables.locations, *tables.functions, *tables.strings])


class _Tables:
    """What samples refer to by number. Every frame is a function, at one place in it."""

    def __init__(self) -> None:
        self.strings: list[bytes] = []
        self.locations: list[bytes] = []
        self.functions: list[bytes] = []
        self._strings: dict[str, int] = {}
        self._frames: dict[str, int] = {}
        self.string("")

    def string(self, text: str) -> int:
        """Its number in the table, where it is from now on."""
        if text not in self._strings:
            self._strings[text] = len(self.strings)
            self.strings.append(_bytes(_STRING, text.encode()))
        return self._strings[text]

    def location(self, frame: str) -> int:
        """The place that a frame, `module.function:line`, is at; 0 means none."""
        if frame not in self._frames:
            self._frames[frame] = len(self._frames) + 1
            self._add(frame, self._frames[frame])
        return self._frames[frame]

    def _add(self, frame: str, number: int) -> None:
        name, _, line = frame.rpartition(":")
        if not line.isdigit():
            name, line = frame, "0"
        itself = _number(1, number)
        called = _number(2, self.string(name)), _number(3, self.string(name)), _number(5, int(line))
        self.functions.append(_message(_FUNCTION, itself, *called))
        self.locations.append(_message(_LOCATION, itself, _message(4, itself, _number(2, int(line)))))


# The wire form of protocol buffers -------------------------------------------------------------------


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _message(field: int, *parts: bytes) -> bytes:
    return _bytes(field, b"".join(parts))


def _packed(field: int, values: Sequence[int]) -> bytes:
    return _bytes(field, b"".join(map(_varint, values)))
