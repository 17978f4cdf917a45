"""Capture files as Wireshark writes them, pcapng: interfaces by name, comments on packets, TLS secrets inside [pure].

draft-ietf-opsawg-pcapng: blocks of `type, length, body, length`, little-endian here, every body and option padded to
32 bits. Secrets must come before the packets that need them.
"""

from __future__ import annotations

from struct import pack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

ETHERNET, RAW = 1, 101
"""Link types: of devices, LINKTYPE_ETHERNET; of packets that begin with their IP header, LINKTYPE_RAW."""
_SECTION, _INTERFACE, _PACKET, _SECRETS = 0x0A0D0D0A, 1, 6, 10
_BYTE_ORDER = 0x1A2B3C4D
_LENGTH_UNKNOWN = 0xFFFF_FFFF_FFFF_FFFF
_END, _COMMENT, _APPLICATION, _NAME, _DESCRIPTION, _RESOLUTION = 0, 1, 4, 2, 3, 9
_NANOSECONDS = 9
"""Of a second: 10 to the power of minus this."""
_TLS_KEY_LOG = 0x544C534B
_MOST_OPTION = 0xFFFF


def section(application: str, comment: str = "") -> bytes:
    """What a file begins with.

    Args:
        application: who wrote it.
        comment: shown in the file's properties.
    """
    body = pack("<IHHQ", _BYTE_ORDER, 1, 0, _LENGTH_UNKNOWN)
    return _block(_SECTION, body + _options([(_APPLICATION, application), (_COMMENT, comment)]))


def interface(name: str, description: str = "", link: int = ETHERNET) -> bytes:
    """An interface with a name; packets give its place in the file, from 0. Times are in nanoseconds."""
    body = pack("<HHI", link, 0, 0)
    resolution = pack("<HHB3x", _RESOLUTION, 1, _NANOSECONDS)  # before the others, which end the list
    return _block(_INTERFACE, body + resolution + _options([(_NAME, name), (_DESCRIPTION, description)]))


def packet(interface_number: int, nanoseconds: int, data: bytes, comments: Iterable[str] = ()) -> bytes:
    """A packet, whole, with any number of comments.

    Args:
        nanoseconds: since 1970.
    """
    head = pack("<IIIII", interface_number, nanoseconds >> 32, nanoseconds & 0xFFFF_FFFF, len(data), len(data))
    return _block(_PACKET, head + _padded(data) + _options((_COMMENT, comment) for comment in comments))


def tls_secrets(key_log: bytes) -> bytes:
    """Lines of an NSS key log: who has the file can read what the keys protect."""
    return _block(_SECRETS, pack("<II", _TLS_KEY_LOG, len(key_log)) + _padded(key_log))


def _options(options: Iterable[tuple[int, str]]) -> bytes:
    """Those that say something, and the end of them; nothing where none does."""
    found = b"".join(_option(code, text) for code, text in options if text)
    return found + pack("<HH", _END, 0) if found else b""


def _option(code: int, text: str) -> bytes:
    value = text.encode()[:_MOST_OPTION].decode(errors="ignore").encode()  # cut between characters
    return pack("<HH", code, len(value)) + _padded(value)


def _block(kind: int, body: bytes) -> bytes:
    length = pack("<I", len(body) + 12)
    return pack("<I", kind) + length + body + length


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
