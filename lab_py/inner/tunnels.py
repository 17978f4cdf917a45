"""HTTP/2 CONNECT tunnels in opened bytes: who was asked for, and what went through (RFC 9113 8.5) [pure]."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from hpack import Decoder, HPACKError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lab_py.inner.tcp_bytes import Piece

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _CONTINUATION = 0, 1, 3, 9
_END_STREAM, _END_HEADERS, _PADDED, _PRIORITY = 0x1, 0x4, 0x8, 0x20
_MOST_TABLE = 1 << 16
"""Bytes of a header table that a peer may have been allowed; we saw no SETTINGS, we only follow."""


class Said(NamedTuple):
    """Something that went through a tunnel; no bytes: that side has ended."""

    nanoseconds: int
    is_clients: bool
    data: bytes


@dataclass(slots=True)
class Tunnel:
    """One stream."""

    stream: int
    authority: str
    opened: int
    """When it was asked for."""
    answered: int | None = None
    """When it was granted; None: it was not."""
    said: list[Said] = field(default_factory=list)


class _Frame(NamedTuple):
    nanoseconds: int
    kind: int
    flags: int
    stream: int
    body: bytes


def tunnels(asked: Sequence[Piece], answered: Sequence[Piece]) -> list[Tunnel]:
    """All tunnels of a connection, in the order in which they were asked for; what is no HTTP/2 has none."""
    found: dict[int, Tunnel] = {}
    try:
        for frame, headers in _with_headers(_frames(_without_preface(asked))):
            _follow_client(found, frame, headers)
        for frame, headers in _with_headers(_frames(answered)):
            _follow_server(found, frame, headers)
    except (HPACKError, IndexError, ValueError):
        pass  # what has been understood so far stands
    for tunnel in found.values():
        tunnel.said.sort(key=lambda one: one.nanoseconds)
    return list(found.values())


def _follow_client(found: dict[int, Tunnel], frame: _Frame, headers: dict[str, str]) -> None:
    if headers.get(":method") == "CONNECT":
        found[frame.stream] = Tunnel(frame.stream, headers.get(":authority", ""), frame.nanoseconds)
    if frame.stream in found:
        found[frame.stream].said += _said(frame, is_clients=True)


def _follow_server(found: dict[int, Tunnel], frame: _Frame, headers: dict[str, str]) -> None:
    tunnel = found.get(frame.stream)
    if tunnel is None:
        return
    if headers.get(":status") == "200":
        tunnel.answered = frame.nanoseconds
    tunnel.said += _said(frame, is_clients=False)


def _said(frame: _Frame, *, is_clients: bool) -> Iterator[Said]:
    if frame.kind == _DATA and (data := _unpadded(frame)):
        yield Said(frame.nanoseconds, is_clients, data)
    if frame.kind == _RESET or (frame.kind in (_DATA, _HEADERS) and frame.flags & _END_STREAM):
        yield Said(frame.nanoseconds, is_clients, b"")


def _with_headers(frames: Iterable[_Frame]) -> Iterator[tuple[_Frame, dict[str, str]]]:
    """Every frame, and the headers of those that complete a block. Raises HPACKError."""
    decoder = Decoder()
    decoder.max_allowed_table_size = _MOST_TABLE
    block = b""
    for frame in frames:
        if frame.kind == _HEADERS:
            block = _unpadded(frame)[5 if frame.flags & _PRIORITY else 0 :]
        elif frame.kind == _CONTINUATION:
            block += frame.body
        if frame.kind in (_HEADERS, _CONTINUATION) and frame.flags & _END_HEADERS:
            yield frame, {_text(name): _text(value) for name, value in decoder.decode(block)}
        else:
            yield frame, {}


def _frames(pieces: Iterable[Piece]) -> Iterator[_Frame]:
    held = b""
    for nanoseconds, data in pieces:
        held += data
        while len(held) >= 9 and len(held) >= (size := 9 + int.from_bytes(held[:3], "big")):
            stream = int.from_bytes(held[5:9], "big") & 0x7FFF_FFFF
            yield _Frame(nanoseconds, held[3], held[4], stream, held[9:size])
            held = held[size:]


def _without_preface(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Raises ValueError: there is none, so it is no HTTP/2."""
    held, missing = b"", True
    for piece in pieces:
        if not missing:
            yield piece
            continue
        held += piece.data
        if len(held) >= len(_PREFACE):
            if not held.startswith(_PREFACE):
                raise ValueError("no HTTP/2")
            missing = False
            yield piece._replace(data=held[len(_PREFACE) :])


def _unpadded(frame: _Frame) -> bytes:
    if not frame.flags & _PADDED:
        return frame.body
    return frame.body[1 : len(frame.body) - frame.body[0]]


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode(errors="replace")
