"""Where the proxy listens: in its own network, and in those of the pods it serves there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.process.listening import has_ipv6_loopback
from ztunnel_py.mode import Mode

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping

    from hbone_py.aio.tcp import SocketAddress
    from ztunnel_py.config import Settings

ADMIN = "admin"
DNS = "dns"
"""How the names of their sockets begin."""
STUB_INBOUND = "inbound "
"""How the names of the listeners begin that each stand for one workload (`--stub-backends`)."""
KEPT_ALIVE = ("outbound", "plaintext")
"""Listeners whose connections get TCP keepalive (hbone-dataplane 8.1)."""
_ALL_ADDRESSES = ("::", "0.0.0.0")


def data_addresses(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """(name, host, port) of every data listener in our own network; in shared mode others reach us there alone."""
    host, ports = settings.bind_address, settings.ports
    if not settings.carries:
        return
    if settings.mode is Mode.SHARED:
        if settings.workload is not None:
            yield "inbound", host, ports.inbound
        return
    yield "outbound", host, ports.outbound
    yield "inbound", host, ports.inbound
    yield "plaintext", host, ports.plaintext
    if settings.socks5_enabled:
        yield "socks5", settings.local_bind, ports.socks5


def dns_addresses(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """(name, host, port) of the DNS proxy's TCP listeners; UDP stands beside each."""
    if settings.mode is not Mode.SHARED:
        yield from _dns(settings)


def pod_data_addresses(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """The same inside each pod of shared mode."""
    host, ports = "::" if settings.ipv6 else "0.0.0.0", settings.ports
    if not settings.carries:
        return
    yield "inbound", host, ports.inbound
    yield "plaintext", host, ports.plaintext
    yield "outbound", host, ports.outbound
    if settings.socks5_enabled:
        yield "socks5", "127.0.0.1", ports.socks5


def pod_dns_addresses(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """The same for names. Ask for them inside the pod: not every one has IPv6."""
    return _dns(settings)


def _dns(settings: Settings) -> Iterator[tuple[str, str, int]]:
    dns = settings.dns
    if dns is not None:
        yield from _on_loopback(DNS, dns.host, dns.port, both=dns.both_families)


def _on_loopback(name: str, host: str, port: int, *, both: bool) -> Iterator[tuple[str, str, int]]:
    yield name, host, port
    if both and port and has_ipv6_loopback():
        yield f"{name} v6", "::1", port


def surface_addresses(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """(name, host, port) of every admin listener."""
    yield from _on_loopback(ADMIN, settings.local_bind, settings.ports.admin, both=settings.both_loopbacks)
    yield "stats", settings.bind_address, settings.ports.stats
    yield "readiness", settings.bind_address, settings.ports.readiness


def admin_sockets(sockets: Mapping[str, socket.socket]) -> list[socket.socket]:
    """Those of the admin surface, of all that were bound."""
    return [sock for name, sock in sockets.items() if name.partition(" ")[0] == ADMIN]


def own_surfaces(settings: Settings) -> frozenset[SocketAddress]:
    """Where this process is administered, and asked for names, as somebody whom it serves could dial it.

    The host is "" for any: all addresses of a dedicated proxy are its workload's. A node's wildcard leaves its pods'
    own addresses to them. A shared proxy serves itself too, and it is its metrics that are asked for by HBONE.
    """
    is_asked_for = settings.mode is Mode.SHARED
    addresses = [
        (host, port) for name, host, port in surface_addresses(settings) if not (is_asked_for and name == "stats")
    ]
    addresses += [] if settings.dns is None else [(settings.dns.host, settings.dns.port)]
    named = {address for address in addresses if address[0] not in _ALL_ADDRESSES}
    everywhere = {("", port) for host, port in addresses if host in _ALL_ADDRESSES}
    return frozenset(named | everywhere if settings.workload is not None else named)
