"""SOCKS5 messages, read and written (hbone-dataplane 4.2, RFC 1928) [pure]."""

from __future__ import annotations

from ipaddress import ip_address
from struct import unpack_from

from hbone_py.proxy_protocol import PreambleError

VERSION = 5
NO_AUTHENTICATION = b"\x05\x00"
SUCCEEDED = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"
GENERAL_FAILURE, HOST_UNREACHABLE, COMMAND_NOT_SUPPORTED = 1, 4, 7
NO_ACCEPTABLE_METHOD = 0xFF
"""Answers an offer of methods, not a request (RFC 1928 3)."""


class SocksError(PreambleError):
    """The client cannot be served; `code` is the reply it gets."""

    def __init__(self, message: str, code: int = COMMAND_NOT_SUPPORTED) -> None:
        super().__init__(message)
        self.code = code


def read_methods(seen: bytes) -> int | None:
    """Length of a complete method offer, None when more is needed. Raises SocksError."""
    if seen[0] != VERSION:
        raise SocksError(f"SOCKS version {seen[0]}")
    if len(seen) < 2 or len(seen) < 2 + seen[1]:
        return None
    if 0 not in seen[2 : 2 + seen[1]]:
        raise SocksError("the client does not offer to do without authentication", NO_ACCEPTABLE_METHOD)
    return 2 + seen[1]


def read_request(seen: bytes) -> tuple[int, str, int] | None:
    """(length, host or ip, port) of a complete CONNECT request, None when more is needed. Raises SocksError."""
    if len(seen) < 5:
        return None
    version, command, _, kind, length = seen[:5]
    if version != VERSION or command != 1:
        raise SocksError(f"SOCKS command {command}")
    if kind == 1:
        start, size = 4, 4
    elif kind == 4:
        start, size = 4, 16
    elif kind == 3:
        start, size = 5, length
    else:
        raise SocksError(f"SOCKS address type {kind}")
    if len(seen) < start + size + 2:
        return None
    raw = seen[start : start + size]
    (port,) = unpack_from(">H", seen, start + size)
    if kind != 3:
        return start + size + 2, str(ip_address(raw)), port
    try:
        host = raw.decode("ascii")
    except UnicodeDecodeError:
        raise SocksError("a SOCKS host name that is not ASCII") from None
    return start + size + 2, host.lower().removesuffix("."), port


def refusal(code: int) -> bytes:
    """The reply that ends it."""
    if code == NO_ACCEPTABLE_METHOD:
        return bytes((VERSION, code))
    return bytes((VERSION, code)) + SUCCEEDED[2:]
