"""Where a captured connection was going: REDIRECT (SO_ORIGINAL_DST) and TPROXY (hbone-dataplane 2.1)."""

from __future__ import annotations

import socket
from ipaddress import IPv6Address
from struct import unpack_from

from hbone_py.aio.tcp import SocketAddress, canonical

SO_ORIGINAL_DST = 80
_SIZE_V4 = 16
_SIZE_V6 = 28


def original_destination(sock: socket.socket, client: SocketAddress) -> tuple[SocketAddress, bool]:
    """The destination before redirection, and whether conntrack knew one. `client` is the other end.

    Asked at the IPv4 level, then at the IPv6 level; else the socket's own local address, which under TPROXY is the
    original destination and otherwise is where the caller really dialled.
    """
    if ":" not in client[0]:
        try:
            raw = sock.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, _SIZE_V4)
        except OSError:
            return canonical(sock.getsockname()), False
        return (f"{raw[4]}.{raw[5]}.{raw[6]}.{raw[7]}", raw[2] << 8 | raw[3]), True
    try:
        raw = sock.getsockopt(socket.IPPROTO_IPV6, SO_ORIGINAL_DST, _SIZE_V6)
    except OSError:
        return canonical(sock.getsockname()), False
    (port,) = unpack_from(">H", raw, 2)
    return canonical((str(IPv6Address(raw[8:24])), port)), True
