"""Every listener's socket: all are bound before anything is served, or none is."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from hbone_py.aio.tcp import SocketOptions, listening_socket, show

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ztunnel_py.config import Settings


class StartError(Exception):
    """The process cannot start: what, where, what to do, in one line."""


def data_addresses(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """(name, host, port) of every data listener."""
    host, ports = settings.bind_address, settings.ports
    yield "outbound", host, ports.outbound
    yield "inbound", host, ports.inbound
    yield "plaintext", host, ports.plaintext
    if settings.socks5_enabled:
        yield "socks5", settings.local_bind, ports.socks5


def dns_addresses(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """(name, host, port) of the DNS proxy's TCP listeners; UDP stands beside each."""
    dns = settings.dns
    if dns is not None:
        yield DNS, dns.host, dns.port
        if dns.both_families and has_ipv6_loopback():
            yield f"{DNS} v6", "::1", dns.port


def has_ipv6_loopback() -> bool:
    """Whether this machine, or this network namespace, has ::1."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def surface_addresses(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """(name, host, port) of every admin listener."""
    yield "admin", settings.local_bind, settings.ports.admin
    yield "stats", settings.bind_address, settings.ports.stats
    yield "readiness", settings.bind_address, settings.ports.readiness


DNS = "dns"
"""How the names of the DNS proxy's sockets begin."""
STUB_INBOUND = "inbound "
"""How the names of the listeners begin that each stand for one workload (`--stub-backends`)."""
_KEPT_ALIVE = ("outbound", "plaintext")
"""Listeners whose connections get TCP keepalive (hbone-dataplane 8.1)."""


def bind_all(
    addresses: Iterator[tuple[str, str, int]], options: SocketOptions | None = None, *, reuse_port: bool = False
) -> dict[str, socket.socket]:
    """Bind every listener, or none. Raises StartError naming the address that cannot be had."""
    sockets: dict[str, socket.socket] = {}
    for name, host, port in addresses:
        try:
            sockets[name] = listening_socket(
                host,
                port,
                options=options,
                keepalive=name in _KEPT_ALIVE,
                reuse_port=reuse_port,
                dual_stack=host == "::",
            )
        except OSError as error:
            for sock in sockets.values():
                sock.close()
            reason = (error.strerror or str(error)).lower()
            where = show((host, port))
            raise StartError(
                f"cannot listen on {where} ({name}): {reason}; see who holds it with `ss -ltnp 'sport = :{port}'`, "
                f"or choose another address with --bind"
            ) from error
    return sockets


def bind_datagrams(sockets: Mapping[str, socket.socket], *, reuse_port: bool = False) -> dict[str, socket.socket]:
    """A UDP socket on the address of each TCP listener for DNS. Raises StartError; then none is left open."""
    made: dict[str, socket.socket] = {}
    for name in [name for name in sockets if name.startswith(DNS)]:
        host, port = sockets[name].getsockname()[:2]
        sock = made[f"{name} udp"] = socket.socket(sockets[name].family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            if reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind((host, port))
        except OSError as error:
            for one in made.values():
                one.close()
            reason = (error.strerror or str(error)).lower()
            raise StartError(
                f"cannot listen on {show((host, port))} (dns, UDP): {reason}; see who holds it with "
                f"`ss -lnup 'sport = :{port}'`, or choose another address with --dns-proxy-addr"
            ) from error
    return made
