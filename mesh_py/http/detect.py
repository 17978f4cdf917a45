"""Which protocol a connection's first bytes are [pure].

The shell reads, hands over everything so far, and keeps the deadline: a protocol whose server speaks first shows
itself by silence. Nothing is consumed: the bytes belong to whoever serves the protocol.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple

from hbone_py.frames import PREFACE
from mesh_py.http.client_hello import ClientHello, NotTls, read_client_hello

MOST_BYTES = 16 * 1024
"""After so many bytes there is a verdict, whatever they are."""


class Protocol(Enum):
    """What a connection carries."""

    HTTP1 = "http/1"
    HTTP2 = "http/2"
    """With prior knowledge: the preface."""
    TLS = "tls"
    UNKNOWN = "unknown"
    """Plain TCP as far as we know."""


class Detection(NamedTuple):
    """The verdict."""

    protocol: Protocol
    hello: ClientHello | None = None
    """Of TLS, where it could be read."""


HTTP1 = Detection(Protocol.HTTP1)
HTTP2 = Detection(Protocol.HTTP2)
UNKNOWN = Detection(Protocol.UNKNOWN)

# A request line to its end. Redis, memcached and SMTP have lines that begin like one: the version decides.
_REQUEST_LINE = re.compile(rb"(?:\r\n)?[A-Z-]{3,20} [!-~]+ HTTP/1\.[01]\r\n").match
_MAY_BECOME_ONE = re.compile(rb"(?:\r(?:\n)?)?(?:[A-Z-]{1,20}(?: (?:[!-~]+(?: [HTP/1.0]{0,8}\r?)?)?)?)?").fullmatch
_TLS_HANDSHAKE = 0x16


def detect(data: bytes) -> Detection | None:
    """The protocol that begins with `data`, None while more bytes may still change the answer."""
    if not data:
        return None
    if data[0] == _TLS_HANDSHAKE:
        return _detect_tls(data)
    if data.startswith(PREFACE):
        return HTTP2
    if PREFACE.startswith(data):
        return None
    if _REQUEST_LINE(data):
        return HTTP1
    if _MAY_BECOME_ONE(data):
        return None if len(data) < MOST_BYTES else HTTP1  # whoever reads it as HTTP will say that it is too long
    return UNKNOWN


def _detect_tls(data: bytes) -> Detection | None:
    try:
        hello = read_client_hello(data[:MOST_BYTES])
    except NotTls:
        return UNKNOWN
    if hello is None and len(data) < MOST_BYTES:
        return None
    return Detection(Protocol.TLS, hello)
