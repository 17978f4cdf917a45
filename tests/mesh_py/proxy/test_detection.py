"""What a connection carries, by what has come so far; nothing is taken."""

from __future__ import annotations

import asyncio

import pytest

from mesh_py.http.detect import Protocol
from mesh_py.proxy.detection import detect_protocol


class Coming:
    """Bytes that come piece by piece; then nothing, or the end."""

    def __init__(self, *pieces: bytes, ends: bool) -> None:
        self._pieces, self._ends, self._seen = list(pieces), ends, b""

    async def peek(self, more_than: int = 0) -> bytes:
        while len(self._seen) <= more_than and self._pieces:
            self._seen += self._pieces.pop(0)
        if len(self._seen) <= more_than and not self._ends:
            await asyncio.Event().wait()
        return self._seen


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ((b"GET / HTTP/1.1\r\n",), Protocol.HTTP1),
        ((b"G", b"ET ", b"/ HTTP/1.1\r\n"), Protocol.HTTP1),
        ((b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",), Protocol.HTTP2),
        ((b"PRI *", b" HTTP/2.0\r\n\r\nSM\r\n\r\n"), Protocol.HTTP2),
        ((b"\x00\x01\x02\x03",), Protocol.UNKNOWN),
        ((b"G",), Protocol.UNKNOWN),
        ((), Protocol.UNKNOWN),
    ],
)
async def test_by_its_first_bytes(pieces: tuple[bytes, ...], expected: Protocol) -> None:
    assert (await detect_protocol(Coming(*pieces, ends=True), 3600.0)).protocol is expected


@pytest.mark.parametrize("pieces", [(), (b"GE",)], ids=["silent", "stuck"])
async def test_who_is_silent_has_a_server_that_speaks_first(pieces: tuple[bytes, ...]) -> None:
    assert (await detect_protocol(Coming(*pieces, ends=False), 0.01)).protocol is Protocol.UNKNOWN
