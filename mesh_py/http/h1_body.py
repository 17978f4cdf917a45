"""HTTP/1 bodies both ways: where one ends, and how one is written [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.http.errors import UnwritableMessage
from mesh_py.http.h1_chunked import ChunkedBody
from mesh_py.http.h1_head import Framing
from mesh_py.http.h1_write import field_lines

if TYPE_CHECKING:
    from mesh_py.http.h1_head import Head
    from mesh_py.http.headers import Headers


class BodyReader:
    """One body coming in. What is not chunked passes through without a copy where a read holds nothing else."""

    __slots__ = ("_chunked", "_remaining", "framing")

    def __init__(self, head: Head, trailer_bytes: int) -> None:
        self.framing = head.framing
        self._remaining = head.length
        self._chunked = ChunkedBody(trailer_bytes) if head.framing is Framing.CHUNKED else None

    def feed(self, data: bytes) -> tuple[bytes, int]:
        """The payload in `data`, and how many bytes were taken.

        Raises:
            BadMessage: the chunks are malformed.
        """
        if self._chunked is not None:
            pieces, taken = self._chunked.feed(data)
            return pieces[0] if len(pieces) == 1 else b"".join(pieces), taken
        if self.framing is not Framing.LENGTH:
            return data, len(data)
        payload = data if len(data) <= self._remaining else data[: self._remaining]
        self._remaining -= len(payload)
        return payload, len(payload)

    @property
    def is_complete(self) -> bool:
        """Whether the last byte has come. Bodies that end with the connection never say so."""
        if self._chunked is not None:
            return self._chunked.is_complete
        return self.framing is Framing.LENGTH and not self._remaining

    @property
    def ends_with_connection(self) -> bool:
        """Whether the end of the connection is a proper end."""
        return self.framing is Framing.CLOSE or self.framing is Framing.TUNNEL

    def trailers(self) -> Headers | None:
        """What followed a chunked body."""
        return self._chunked.trailers() if self._chunked is not None else None


class BodyWriter:
    """One body going out, held to what its head promised."""

    __slots__ = ("_remaining", "framing")

    def __init__(self, framing: Framing, length: int = 0) -> None:
        self.framing = framing
        self._remaining = length

    def write(self, data: bytes, out: list[bytes]) -> None:
        """Put a piece of the body on the list.

        Raises:
            UnwritableMessage: there is more of it than the head announced.
        """
        if not data:
            return
        if self.framing is Framing.CHUNKED:
            # A small piece is cheaper copied than written alone.
            out += [b"%x\r\n%b\r\n" % (len(data), data)] if len(data) < 4096 else [b"%x\r\n" % len(data), data, b"\r\n"]
            return
        if self.framing is Framing.NONE:
            raise UnwritableMessage("a body where none may be")
        if self.framing is Framing.LENGTH:
            self._remaining -= len(data)
            if self._remaining < 0:
                raise UnwritableMessage("a body longer than its content-length")
        out.append(data)

    def end(self, trailers: Headers | None, out: list[bytes]) -> None:
        """Finish the body. Trailers are left out where the framing has no place for them (RFC 9110 6.5.1).

        Raises:
            UnwritableMessage: there was less of it than the head announced.
        """
        if self.framing is Framing.CHUNKED:
            out.append(b"0\r\n\r\n" if trailers is None else b"0\r\n" + field_lines(trailers) + b"\r\n")
        elif self.framing is Framing.LENGTH and self._remaining:
            raise UnwritableMessage(f"a body {self._remaining} bytes shorter than its content-length")
