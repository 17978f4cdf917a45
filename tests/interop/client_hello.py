"""A TLS ClientHello as tshark reads it: the bytes go into a capture file of one made-up packet."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.processes import run_tool

if TYPE_CHECKING:
    from pathlib import Path

RAW_IP = 101
"""The pcap link type of packets that begin with their IP header."""
PORT = 15008
FIELDS = {
    "server_names": "tls.handshake.extensions_server_name",
    "protocols": "tls.handshake.extensions_alpn_str",
    "versions": "tls.handshake.extensions.supported_version",
    "suites": "tls.handshake.ciphersuite",
    "resumed_sessions": "tls.handshake.extensions.psk.identity.identity",
}


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a client offers; each list in the client's order, empty when it says nothing of it."""

    server_names: list[str]
    protocols: list[str]
    versions: list[str]
    suites: list[str]
    resumed_sessions: list[str]


async def decode_client_hello(tshark: str, file: Path) -> ClientHello:
    """What tshark finds in a capture file of one ClientHello."""
    fields = [option for name in FIELDS.values() for option in ("-e", name)]
    shown = await run_tool(
        tshark, "-r", str(file), "-d", f"tcp.port=={PORT},tls", "-T", "fields", "-E", "separator=|", *fields
    )
    assert shown.returncode == 0, shown.stderr
    columns = shown.stdout.decode().rstrip("\n").split("|")
    assert len(columns) == len(FIELDS), shown.stdout
    return ClientHello(*([value for value in column.split(",") if value] for column in columns))


def save_capture(content: bytes, file: Path) -> Path:
    """Write a capture file in which one TCP segment to port 15008 carries `content`."""
    tcp = struct.pack(">HHIIBBHHH", 40000, PORT, 1, 1, 5 << 4, 0x18, 65535, 0, 0)
    size = 20 + len(tcp) + len(content)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, size, 0, 0, 64, 6, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, RAW_IP)
    file.write_bytes(head + struct.pack("<IIII", 0, 0, size, size) + ip + tcp + content)
    return file
