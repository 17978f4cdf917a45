"""Every listener's socket: all are bound before anything is served, or none is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hbone_py.aio.tcp import SocketOptions, listening_socket, show

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

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


def surface_addresses(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """(name, host, port) of every admin listener."""
    yield "admin", settings.local_bind, settings.ports.admin
    yield "stats", settings.bind_address, settings.ports.stats
    yield "readiness", settings.bind_address, settings.ports.readiness


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
