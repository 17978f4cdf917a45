"""Every listener's socket: all are bound before anything is served, or none is."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from hbone_py.aio.tcp import SO_MARK, SocketOptions, listening_socket, show
from mesh_py.process.reason import reason_of
from mesh_py.telemetry.log_format import fields
from mesh_py.telemetry.log_text import Bare

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


class StartError(Exception):
    """The process cannot start: what, where, what to do, in one line."""


def has_ipv6_loopback() -> bool:
    """Whether this machine, or this network namespace, has ::1."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def bind_all(
    addresses: Iterable[tuple[str, str, int]],
    options: SocketOptions | None = None,
    *,
    kept_alive: Collection[str] = (),
    reuse_port: bool = False,
    flag: str = "--bind",
) -> dict[str, socket.socket]:
    """Bind every listener, or none; the sockets by name. Raises StartError naming the address that cannot be had.

    Args:
        addresses: (name, host, port) of each.
        options: what accepted sockets inherit.
        kept_alive: names of the listeners whose connections get TCP keepalive.
        reuse_port: let other processes listen on the same addresses.
        flag: what chooses another address.
    """
    sockets: dict[str, socket.socket] = {}
    for name, host, port in addresses:
        try:
            sockets[name] = listening_socket(
                host,
                port,
                options=options,
                keepalive=name in kept_alive,
                reuse_port=reuse_port,
                dual_stack=host == "::",
            )
        except OSError as error:
            _close(sockets)
            raise _cannot_listen(error, (host, port), name, "t", flag) from error
    return sockets


def bind_datagrams(
    sockets: Mapping[str, socket.socket], *, reuse_port: bool = False, flag: str = "--bind", mark: int | None = None
) -> dict[str, socket.socket]:
    """A UDP socket, named `... udp`, on the address of each listener. Raises StartError; then none is left open."""
    made: dict[str, socket.socket] = {}
    for name, listener in sockets.items():
        host, port = listener.getsockname()[:2]
        sock = made[f"{name} udp"] = socket.socket(listener.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            if reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if mark is not None:
                sock.setsockopt(socket.SOL_SOCKET, SO_MARK, mark)
            sock.bind((host, port))
        except OSError as error:
            _close(made)
            raise _cannot_listen(error, (host, port), f"{name}, UDP", "u", flag) from error
    return made


def _close(sockets: Mapping[str, socket.socket]) -> None:
    for sock in sockets.values():
        sock.close()


def _cannot_listen(error: OSError, address: tuple[str, int], name: str, protocol: str, flag: str) -> StartError:
    reason = reason_of(error)
    return StartError(
        f"cannot listen on {show(address)} ({name}): {reason}; see who holds it with "
        f"`ss -l{protocol}np 'sport = :{address[1]}'`, or choose another address with {flag}"
    )


def listener_fields(name: str, sock: socket.socket) -> dict[str, Any]:
    """For the log: where a listener is, and whose."""
    host, port = sock.getsockname()[:2]
    return fields(address=Bare(show((host, port))), component=name)
