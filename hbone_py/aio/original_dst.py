"""Where a captured connection was going: REDIRECT (SO_ORIGINAL_DST) and TPROXY (hbone-dataplane 2.1)."""

from __future__ import annotations

import socket
from ipaddress import IPv6Address
from struct import unpack_from

from hbone_py.aio.tcp import SocketAddress, canonical

SO_ORIGINAL_DST = 80
_SIZE_V4 = 16
_SIZE_V6 = 28


def original_destination(sock: socket.socket) -> tuple[SocketAddress, bool]:
    """The destination before redirection, and whether conntrack knew one.

    Asked at the IPv4 level, then at the IPv6 level; else the socket's own local address, which under TPROXY is the
    original destination and otherwise is where the caller really dialled.
    """
    local = canonical(sock.getsockname())
    if ":" not in local[0]:
        try:
            raw = sock.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, _SIZE_V4)
        except OSError:
            return local, False
        (port,) = unpack_from(">H", raw, 2)
        return (socket.inet_ntop(socket.AF_INET, raw[4:8]), port), True
    try:
        raw = sock.getsockopt(socket.IPPROTO_IPV6, SO_ORIGINAL_DST, _SIZE_V6)
    except OSError:
        return local, False
    (port,) = unpack_from(">H", raw, 2)
    return canonical((str(IPv6Address(raw[8:24])), port)), True
