"""What two proxies agreed on, read off the wire: the ServerHello of TLS 1.3 is in plain text.

The wire is the one witness that is the same for every proxy. Reading it needs root; without it the
report says that the suite is unknown.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.world import HBONE_PORT, inside

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_ETH_P_ALL = 0x0003  # a socket for one protocol alone would see nothing of what the machine sends
_SUITES = {
    0x1301: "TLS_AES_128_GCM_SHA256",
    0x1302: "TLS_AES_256_GCM_SHA384",
    0x1303: "TLS_CHACHA20_POLY1305_SHA256",
}
_GROUPS = {0x0017: "P-256", 0x0018: "P-384", 0x001D: "X25519", 0x11EB: "P-256+MLKEM768", 0x11EC: "X25519MLKEM768"}
_SUPPORTED_VERSIONS, _KEY_SHARE = 43, 51


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """The suite and the key exchange of one connection, by their IANA names."""

    suite: str
    group: str

    def __str__(self) -> str:
        return f"{self.suite}, {self.group}"


def server_hello(packet: bytes, port: int = HBONE_PORT) -> TlsFacts | None:
    """The facts in an IPv4 packet from `port` that begins with a TLS 1.3 ServerHello; None for any other packet.

    RFC 8446 4.1.3. A HelloRetryRequest, which has the same form, is passed over.
    """
    payload = _tcp_payload(packet, port)
    if len(payload) < 44 or payload[0] != 22 or payload[5] != 2:
        return None
    if payload[11:43] == _RETRY_RANDOM:
        return None
    at = 44 + payload[43]  # the echoed session id
    suite = int.from_bytes(payload[at : at + 2])
    extensions = dict(_extensions(payload[at + 5 :]))
    if extensions.get(_SUPPORTED_VERSIONS) != b"\x03\x04":
        return None
    group = int.from_bytes(extensions.get(_KEY_SHARE, b"")[:2])
    return TlsFacts(_SUITES.get(suite, f"0x{suite:04x}"), _GROUPS.get(group, f"group 0x{group:04x}"))


_RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


def _tcp_payload(packet: bytes, port: int) -> bytes:
    if len(packet) < 40 or packet[0] >> 4 != 4 or packet[9] != socket.IPPROTO_TCP:
        return b""
    segment = packet[(packet[0] & 15) * 4 : int.from_bytes(packet[2:4]) or None]
    if int.from_bytes(segment[:2]) != port:
        return b""
    return segment[(segment[12] >> 4) * 4 :]


def _extensions(block: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and body of each extension; a body that the packet cuts off is given as far as it goes."""
    at = 0
    while at + 4 <= len(block):
        kind, length = struct.unpack_from(">HH", block, at)
        yield kind, block[at + 4 : at + 4 + length]
        at += 4 + length


class Witness:
    """Listens in the namespace where proxies await their peers. Open it before the first connection is made."""

    def __init__(self, namespace: int | None) -> None:
        self._socket: socket.socket | None = None
        with contextlib.suppress(PermissionError), inside(namespace):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)

    @property
    def may_listen(self) -> bool:
        """False without the right to read packets."""
        return self._socket is not None

    def handshakes(self, servers: Collection[tuple[str, int]], seconds: float = 2.0) -> list[TlsFacts | None]:
        """The first handshake of each server, by address and port; None for one without any in `seconds`."""
        found: dict[tuple[str, int], TlsFacts] = {}
        deadline = time.monotonic() + seconds
        while self._socket is not None and time.monotonic() < deadline and not found.keys() >= set(servers):
            if not select.select([self._socket], [], [], 0.1)[0]:
                continue
            packet = self._socket.recv(65536)
            for address, port in servers:
                if packet[12:16] == socket.inet_aton(address) and (facts := server_hello(packet, port)):
                    found.setdefault((address, port), facts)
        return [found.get(server) for server in servers]

    def close(self) -> None:
        """Stops listening."""
        if self._socket is not None:
            self._socket.close()
