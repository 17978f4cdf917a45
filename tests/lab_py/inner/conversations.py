"""Tunnels made by others' code: TLS by OpenSSL in memory, HTTP/2 by h2; as the two byte streams of a connection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import h2.config
import h2.connection
from OpenSSL import SSL

from lab_py.inner.tcp_bytes import Conversation, Piece

if TYPE_CHECKING:
    from tests.support.certificates import CertificateFiles

CLIENT, SERVER = ("10.244.1.10", 40000), ("10.244.3.20", 15008)
ECHO = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@dataclass
class Talk:
    """A TLS connection in memory: every flight is a piece, a nanosecond after the one before."""

    client: SSL.Connection
    server: SSL.Connection
    asked: list[Piece] = field(default_factory=list)
    answered: list[Piece] = field(default_factory=list)
    key_log: list[bytes] = field(default_factory=list)

    def move(self) -> None:
        """Bring to the other side what each has to say, until neither has any more."""
        ways = ((self.client, self.server, self.asked), (self.server, self.client, self.answered))
        while any(self._flight(*way) for way in ways):
            for side in (self.client, self.server):
                try:
                    side.do_handshake()
                except SSL.WantReadError:
                    continue

    def _flight(self, source: SSL.Connection, destination: SSL.Connection, kept: list[Piece]) -> bool:
        try:
            data = source.bio_read(1 << 20)
        except SSL.WantReadError:
            return False
        kept.append(Piece(len(self.asked) + len(self.answered) + 1, data))
        destination.bio_write(data)
        return True

    @property
    def conversation(self) -> Conversation:
        return Conversation(CLIENT, SERVER, self.asked, self.answered)


def talk(files: CertificateFiles) -> Talk:
    """A connection whose handshake is over."""
    log: list[bytes] = []
    sides = []
    for is_client in (True, False):
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(SSL.TLS1_3_VERSION)
        context.set_keylog_callback(lambda _, line: log.append(line + b"\n"))
        if not is_client:
            context.use_certificate_chain_file(str(files.chain))
            context.use_privatekey_file(str(files.key))
        side = SSL.Connection(context, None)
        side.set_connect_state() if is_client else side.set_accept_state()
        sides.append(side)
    found = Talk(sides[0], sides[1], key_log=log)
    try:
        found.client.do_handshake()
    except SSL.WantReadError:
        found.move()
    return found


def tunnel_bytes(authority: str, request: bytes, answer: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """What the client writes, the server's first answer, the client's data, the server's: a CONNECT and an exchange."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    client.initiate_connection()
    client.send_headers(1, [(":method", "CONNECT"), (":authority", authority)])
    first = client.data_to_send()
    server.initiate_connection()
    server.receive_data(first)
    server.send_headers(1, [(":status", "200")])
    granted = server.data_to_send()
    client.receive_data(granted)
    client.send_data(1, request, pad_length=3)
    asked = client.data_to_send()
    server.receive_data(asked)
    server.send_data(1, answer, end_stream=True)
    return first, granted, asked, server.data_to_send()
