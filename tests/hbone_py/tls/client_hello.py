"""Reads a ClientHello byte by byte (RFC 8446 4.1.2), so that tests see what is really on the wire."""

from __future__ import annotations

from dataclasses import dataclass

SUITES = {
    0x1301: "TLS_AES_128_GCM_SHA256",
    0x1302: "TLS_AES_256_GCM_SHA384",
    0x1303: "TLS_CHACHA20_POLY1305_SHA256",
    0xC02B: "ECDHE-ECDSA-AES128-GCM-SHA256",
    0xC02C: "ECDHE-ECDSA-AES256-GCM-SHA384",
    0xC02F: "ECDHE-RSA-AES128-GCM-SHA256",
    0xC030: "ECDHE-RSA-AES256-GCM-SHA384",
}
GROUPS = {23: "P-256", 24: "P-384", 29: "X25519", 4588: "X25519MLKEM768"}

SERVER_NAME, SUPPORTED_GROUPS, ALPN, SESSION_TICKET, PRE_SHARED_KEY = 0, 10, 16, 35, 41
SUPPORTED_VERSIONS, KEY_SHARE = 43, 51


@dataclass(frozen=True)
class ClientHello:
    session_id: bytes
    suites: list[str]
    extensions: dict[int, bytes]

    @property
    def groups(self) -> list[str]:
        return [GROUPS[number] for number in _numbers(self.extensions[SUPPORTED_GROUPS][2:])]

    @property
    def versions(self) -> list[int]:
        return _numbers(self.extensions[SUPPORTED_VERSIONS][1:])

    @property
    def key_share_groups(self) -> list[str]:
        reader, groups = Reader(self.extensions[KEY_SHARE][2:]), []
        while reader.left:
            groups.append(GROUPS[reader.number(2)])
            reader.vector(2)
        return groups

    @property
    def protocols(self) -> list[bytes]:
        reader, names = Reader(self.extensions[ALPN][2:]), []
        while reader.left:
            names.append(reader.vector(1))
        return names


class Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        assert count <= self.left
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))

    def vector(self, size: int) -> bytes:
        return self.take(self.number(size))


def read_client_hello(record: bytes) -> ClientHello:
    """Parse the one TLS record that holds a ClientHello and nothing else."""
    outer = Reader(record)
    assert outer.number(1) == 22, "a handshake record"
    outer.take(2)
    handshake = Reader(outer.vector(2))
    assert outer.left == 0
    assert handshake.number(1) == 1, "a ClientHello"
    hello = Reader(handshake.vector(3))
    hello.take(2 + 32)
    session_id = hello.vector(1)
    suites = [SUITES[number] for number in _numbers(hello.vector(2))]
    hello.vector(1)
    extensions, reader = {}, Reader(hello.vector(2))
    while reader.left:
        number = reader.number(2)
        extensions[number] = reader.vector(2)
    return ClientHello(session_id, suites, extensions)


def _numbers(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2)]
