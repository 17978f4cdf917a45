"""The PROXY protocol's preamble, versions 1 and 2: where a connection comes from and was going [pure].

Read in front of captured connections where no redirection can be set up, written (version 2, with the peer's SPIFFE
identity in TLV 0xD0) in front of tunnels whose application asks for it (hbone-dataplane 3.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from struct import pack, unpack_from

SIGNATURE_V2 = b"\r\n\r\n\x00\r\nQUIT\n"
TLV_IDENTITY = 0xD0
MAX_PREAMBLE = 16 + 65_535
_MAX_V1 = 107
_HEADER_V2 = 16
_TCP4, _TCP6, _UNSPEC_STREAM = 0x11, 0x21, 0x01


class PreambleError(ValueError):
    """The bytes are no PROXY preamble."""


@dataclass(frozen=True, slots=True)
class Preamble:
    """Both ends as (ip, port); None for a LOCAL or UNKNOWN preamble. `tlvs` are version 2's extra values by type."""

    source: tuple[str, int] | None
    destination: tuple[str, int] | None
    tlvs: tuple[tuple[int, bytes], ...] = ()


def read_preamble(data: bytes) -> tuple[int, Preamble] | None:
    """(bytes it took, the preamble), or None when more bytes are needed. Raises PreambleError."""
    if data[: len(SIGNATURE_V2)] == SIGNATURE_V2[: len(data)]:
        return _read_v2(data)
    if data[:6] == b"PROXY "[: len(data)]:
        return _read_v1(data)
    raise PreambleError("no PROXY protocol preamble")


def _read_v1(data: bytes) -> tuple[int, Preamble] | None:
    end = data.find(b"\r\n", 0, _MAX_V1)
    if end < 0:
        if len(data) >= _MAX_V1:
            raise PreambleError("a PROXY line longer than 107 bytes")
        return None
    words = data[:end].decode("latin-1").split(" ")
    if words[1:2] == ["UNKNOWN"]:
        return end + 2, Preamble(None, None)
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
        raise PreambleError("a PROXY line that is not TCP4 or TCP6")
    version = 4 if words[1] == "TCP4" else 6
    return end + 2, Preamble(_address(words[2], words[4], version), _address(words[3], words[5], version))


def _address(ip: str, port: str, version: int) -> tuple[str, int]:
    try:
        address = ip_address(ip)
        number = int(port)
    except ValueError as error:
        raise PreambleError(f"PROXY line: {error}") from error
    if address.version != version or not port.isascii() or not 0 <= number <= 65_535:
        raise PreambleError("PROXY line: an address of the wrong kind")
    return str(address), number


def _read_v2(data: bytes) -> tuple[int, Preamble] | None:
    if len(data) < _HEADER_V2:
        return None
    command, family, length = unpack_from(">BBH", data, len(SIGNATURE_V2))
    if command >> 4 != 2 or command & 0xF > 1:
        raise PreambleError(f"PROXY version and command {command:#x}")
    end = _HEADER_V2 + length
    if len(data) < end:
        return None
    body = data[_HEADER_V2:end]
    if command & 0xF == 0:
        return end, Preamble(None, None)
    size = {_TCP4: 4, _TCP6: 16}.get(family)
    if size is None:
        return end, Preamble(None, None, _tlvs(body))
    if length < 2 * size + 4:
        raise PreambleError("PROXY addresses cut short")
    source_port, destination_port = unpack_from(">HH", body, 2 * size)
    source, destination = _text(body[:size]), _text(body[size : 2 * size])
    tlvs = _tlvs(body[2 * size + 4 :])
    return end, Preamble((source, source_port), (destination, destination_port), tlvs)


def _text(packed: bytes) -> str:
    return ".".join(map(str, packed)) if len(packed) == 4 else str(ip_address(packed))


def _tlvs(data: bytes) -> tuple[tuple[int, bytes], ...]:
    found = []
    position = 0
    while position < len(data):
        if len(data) - position < 3:
            raise PreambleError("PROXY TLV cut short")
        kind, length = unpack_from(">BH", data, position)
        position += 3
        if position + length > len(data):
            raise PreambleError("PROXY TLV cut short")
        found.append((kind, data[position : position + length]))
        position += length
    return tuple(found)


def build_preamble(source: tuple[str, int], destination: tuple[str, int], identity: str | None = None) -> bytes:
    """Version 2; addresses of mixed families give an unspecified family and no addresses (3.5)."""
    first, second = ip_address(source[0]), ip_address(destination[0])
    body = b""
    family = _UNSPEC_STREAM
    if first.version == second.version:
        family = _TCP4 if first.version == 4 else _TCP6
        body = first.packed + second.packed + pack(">HH", source[1], destination[1])
    if identity is not None:
        text = identity.encode()
        body += pack(">BH", TLV_IDENTITY, len(text)) + text
    return SIGNATURE_V2 + pack(">BBH", 0x21, family, len(body)) + body
