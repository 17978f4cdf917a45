"""HBONE as a library: HTTP/2 CONNECT tunnels over mutual TLS with SPIFFE identities.

    stream = await hbone_py.connect("10.0.0.7", authority="10.0.0.7:8080", credentials=mine, expect=[theirs])
    server = await hbone_py.serve(handler, "0.0.0.0", credentials=mine)

`HboneConnection` is the same protocol without I/O. Nothing here imports the mesh around it.
"""

from __future__ import annotations

import hbone_py.aio.form  # noqa: F401 - before all others: it decides in which form they run
from hbone_py.aio.client import Connection, connect, connect_over, open_connection
from hbone_py.aio.plain_relay import Transferred, relay
from hbone_py.aio.server import IncomingTunnel, Server, serve
from hbone_py.aio.stream import ByteStream
from hbone_py.aio.tunnel_stream import TunnelStream
from hbone_py.config import Deadlines, Http2Config, Keepalive
from hbone_py.connect import ConnectRequest
from hbone_py.connection import HboneConnection
from hbone_py.errors import ErrorCode, HboneError, StreamReset, TunnelRefused
from hbone_py.identity import SpiffeId
from hbone_py.tls.context import TlsSettings
from hbone_py.tls.credentials import Credentials

__all__ = [
    "ByteStream",
    "ConnectRequest",
    "Connection",
    "Credentials",
    "Deadlines",
    "ErrorCode",
    "HboneConnection",
    "HboneError",
    "Http2Config",
    "IncomingTunnel",
    "Keepalive",
    "Server",
    "SpiffeId",
    "StreamReset",
    "TlsSettings",
    "Transferred",
    "TunnelRefused",
    "TunnelStream",
    "connect",
    "connect_over",
    "open_connection",
    "relay",
    "serve",
]
