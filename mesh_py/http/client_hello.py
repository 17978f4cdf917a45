"""The name and protocols that a TLS client asks for, read without answering it (RFC 8446 4.1.2) [pure]."""

from __future__ import annotations

from typing import NamedTuple

_HANDSHAKE, _CLIENT_HELLO = 22, 1
_SERVER_NAME, _ALPN = 0, 16
_RECORD_HEADER, _MESSAGE_HEADER = 5, 4
_LARGEST_RECORD = 2**14 + 256
_RANDOM_AND_VERSION = 34


class NotTls(Exception):
    """The bytes are no ClientHello."""


class ClientHello(NamedTuple):
    """What we look for in one."""

    server_name: str = ""
    """Of SNI, in lower case; empty without one."""
    alpn: tuple[str, ...] = ()


class _Reader:
    """Reads vectors that have their length in front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def __bool__(self) -> bool:
        return self._position < len(self._data)

    def take(self, count: int) -> bytes:
        end = self._position + count
        if end > len(self._data):
            raise NotTls("a length beyond the message")
        taken, self._position = self._data[self._position : end], end
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> _Reader:
        return _Reader(self.take(self.number(size)))

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._position)


def read_client_hello(data: bytes) -> ClientHello | None:
    """The ClientHello that `data` begins with, None while it is not whole.

    Raises:
        NotTls: it is something else.
    """
    message = _handshake_bytes(data)
    if message and message[0] != _CLIENT_HELLO:
        raise NotTls("a handshake message that is no ClientHello")
    if len(message) < _MESSAGE_HEADER:
        return None
    length = int.from_bytes(message[1:_MESSAGE_HEADER], "big")
    if len(message) < _MESSAGE_HEADER + length:
        return None
    return _read_body(_Reader(message[_MESSAGE_HEADER : _MESSAGE_HEADER + length]))


def _handshake_bytes(data: bytes) -> bytes:
    """The payloads of the records so far, the last one perhaps in part."""
    message, position = b"", 0
    while position < len(data):
        header = data[position : position + _RECORD_HEADER]
        if header[0] != _HANDSHAKE or (len(header) > 1 and header[1] != 3):
            raise NotTls("a record that is no handshake")
        if len(header) < _RECORD_HEADER:
            break
        length = int.from_bytes(header[3:], "big")
        if not 0 < length <= _LARGEST_RECORD:
            raise NotTls("a record of a length that may not be")
        position += _RECORD_HEADER
        message += data[position : position + length]
        position += length
    return message


def _read_body(body: _Reader) -> ClientHello:
    body.take(_RANDOM_AND_VERSION)
    body.vector(1)  # session id
    body.vector(2)  # cipher suites
    body.vector(1)  # compression
    name = ""
    alpn: tuple[str, ...] = ()
    extensions = body.vector(2) if body else _Reader(b"")
    while extensions:
        kind, content = extensions.number(2), extensions.vector(2)
        if kind == _SERVER_NAME:
            name = _read_name(content)
        elif kind == _ALPN:
            alpn = _read_protocols(content)
    return ClientHello(name, alpn)


def _read_name(content: _Reader) -> str:
    names = content.vector(2) if content else _Reader(b"")
    while names:
        kind, name = names.number(1), names.vector(2).rest()
        if kind == 0:
            return name.decode("latin-1").lower()
    return ""


def _read_protocols(content: _Reader) -> tuple[str, ...]:
    protocols, found = content.vector(2), list[str]()
    while protocols:
        found.append(protocols.vector(1).rest().decode("latin-1"))
    return tuple(found)
