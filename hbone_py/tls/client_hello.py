"""A ClientHello read without answering it: whom the client wants and what it speaks inside [pure].

For proxies that pass TLS on by its server name, or choose what to do with it by its ALPN (RFC 8446 4.1.2, RFC 6066 3,
RFC 7301). Nothing here is trusted: it is what the client says before anybody has proved anything.
"""

from __future__ import annotations

from typing import NamedTuple

RECORD_HEADER = 5
MOST_BYTES = 16 * 1024 + 2048
"""Longest first flight that is looked at. Post-quantum key shares make two kilobytes usual."""

_HANDSHAKE = 22
_CLIENT_HELLO = 1
_SERVER_NAME = 0
_ALPN = 16


class ClientHello(NamedTuple):
    """What is of interest in it."""

    server_name: str = ""
    """SNI, lower case; empty without one."""
    protocols: tuple[bytes, ...] = ()
    """ALPN, in the client's order."""


class NotTls(ValueError):
    """The bytes are no ClientHello, and no more bytes will make them one."""


class _Short(Exception):
    """More bytes are needed."""


def looks_like_tls(data: bytes) -> bool | None:
    """Whether a connection that begins with these bytes is TLS; None when one cannot tell yet."""
    if not data:
        return None
    if data[0] != _HANDSHAKE or (len(data) > 1 and data[1] != 3):
        return False
    return None if len(data) < RECORD_HEADER + 1 else data[RECORD_HEADER] == _CLIENT_HELLO


def read_client_hello(data: bytes) -> ClientHello | None:
    """The ClientHello at the beginning of `data`; None while it is not complete.

    Raises:
        NotTls: it never will be.
    """
    try:
        return _read(_Reader(_handshake(data)))
    except _Short:
        if len(data) >= MOST_BYTES:
            raise NotTls("the ClientHello is longer than is looked at") from None
        return None


def _handshake(data: bytes) -> bytes:
    """The body of the ClientHello, gathered from the records it came in."""
    gathered = b""
    position = 0
    while len(gathered) < 4 or len(gathered) < 4 + int.from_bytes(gathered[1:4], "big"):
        header = data[position : position + RECORD_HEADER]
        if header[:1] not in (b"", b"\x16") or header[1:2] not in (b"", b"\x03"):
            raise NotTls("no TLS handshake record")
        if len(header) < RECORD_HEADER:
            raise _Short
        size = int.from_bytes(header[3:5], "big")
        gathered += data[position + RECORD_HEADER : position + RECORD_HEADER + size]
        if gathered[:1] not in (b"", b"\x01"):
            raise NotTls("the handshake does not begin with a ClientHello")
        if len(data) < position + RECORD_HEADER + size:
            raise _Short
        if not size:
            raise NotTls("an empty handshake record")
        position += RECORD_HEADER + size
    return gathered[4 : 4 + int.from_bytes(gathered[1:4], "big")]


class _Reader:
    """Vectors with their lengths in front, as TLS writes them; what is cut off is malformed."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __bool__(self) -> bool:
        return bool(self._data)

    def take(self, count: int) -> bytes:
        if len(self._data) < count:
            raise NotTls("the ClientHello is malformed")
        taken, self._data = self._data[:count], self._data[count:]
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> _Reader:
        return _Reader(self.take(self.number(size)))

    def rest(self) -> bytes:
        return self.take(len(self._data))


def _read(hello: _Reader) -> ClientHello:
    hello.take(2 + 32)  # version and random
    hello.vector(1)  # session id
    hello.vector(2)  # suites
    hello.vector(1)  # compression methods
    server_name = ""
    protocols: tuple[bytes, ...] = ()
    extensions = hello.vector(2) if hello else _Reader(b"")
    while extensions:
        kind, content = extensions.number(2), extensions.vector(2)
        if kind == _SERVER_NAME:
            server_name = _server_name(content)
        elif kind == _ALPN:
            protocols = _protocols(content)
    return ClientHello(server_name, protocols)


def _server_name(content: _Reader) -> str:
    names = content.vector(2)
    while names:
        kind, name = names.number(1), names.vector(2).rest()
        if kind == 0 and name.isascii():
            return name.decode("ascii").lower()
    return ""


def _protocols(content: _Reader) -> tuple[bytes, ...]:
    names, found = content.vector(2), []
    while names:
        found.append(names.vector(1).rest())
    return tuple(found)
