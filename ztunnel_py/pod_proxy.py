"""One pod's own proxy: listeners inside its network namespace, served by this process (hbone-dataplane 10.3)."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import socket
from typing import TYPE_CHECKING

from hbone_py.aio.namespace import NetworkNamespace
from hbone_py.aio.tcp import SO_MARK
from mesh_py.process.listening import StartError, bind_all, bind_datagrams
from ztunnel_py.context import PodNetwork
from ztunnel_py.data_plane import DataPlane
from ztunnel_py.listening import DNS, KEPT_ALIVE, pod_data_addresses, pod_dns_addresses

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hbone_py.aio.tcp import SocketOptions
    from mesh_py.settings.kinds import WorkloadInfo
    from ztunnel_py.config import Settings
    from ztunnel_py.foundation import Foundation
    from ztunnel_py.name_lookup import NameLookup

log = logging.getLogger("inpod")


def require_rights(options: SocketOptions) -> None:
    """Try once what every pod will need. Raises StartError."""
    try:
        namespace = NetworkNamespace.open()
        try:
            with namespace, socket.socket() as probe:
                if options.mark is not None:
                    probe.setsockopt(socket.SOL_SOCKET, SO_MARK, options.mark)
        finally:
            namespace.close()
    except OSError as error:
        raise StartError(
            f"shared mode enters pods' networks and marks its sockets there: {error.strerror}: it needs CAP_SYS_ADMIN "
            "and CAP_NET_ADMIN: run it as root, or set PROXY_MODE=node"
        ) from error


class PodProxy:
    """Serves a pod from `start` on; DNS while `serve` runs."""

    def __init__(self, plane: DataPlane, dns: list[socket.socket], namespace: NetworkNamespace) -> None:
        self.plane = plane
        self._dns = dns
        self._namespace = namespace
        self._closing = asyncio.Event()

    @staticmethod
    def start(foundation: Foundation, lookup: NameLookup, info: WorkloadInfo, namespace: NetworkNamespace) -> PodProxy:
        """Listen in the pod; the namespace is the proxy's from now on, unless this raises.

        Raises StartError, with nothing left open.
        """
        options = dataclasses.replace(foundation.settings.socket_options, namespace=namespace)
        sockets = _bind(foundation.settings, options, namespace)
        dns = [sockets.pop(name) for name in list(sockets) if name.startswith(DNS)]
        try:
            plane = DataPlane.start(foundation, sockets, PodNetwork(info, options))
        except StartError:
            _close([*sockets.values(), *dns])
            raise
        plane.outbound.names = lookup
        return PodProxy(plane, dns, namespace)

    async def serve(self) -> None:
        """Answer the pod's questions for names until it is closed."""
        settings = self.plane.context.settings.dns
        if settings is None or self._closing.is_set():
            _close(self._dns)
            return
        from ztunnel_py.dns_proxy import serve_dns  # its library is not small

        try:
            async with serve_dns(self.plane.context, settings, self._dns):
                await self._closing.wait()
        except Exception:  # the other pods go on
            log.exception("! DNS of %s: unexpected error", self.plane.context.workload)

    async def drain(self, seconds: float) -> None:
        """Take nothing new, and let what is there end in time."""
        self._closing.set()
        await self.plane.drain(seconds)
        self._namespace.close()

    def cut(self) -> None:
        """End everything now: the pod is gone."""
        self._closing.set()
        self.plane.cut()
        self._namespace.close()


def _bind(settings: Settings, options: SocketOptions, namespace: NetworkNamespace) -> dict[str, socket.socket]:
    """Every socket of a pod's listeners, or none. Raises StartError."""
    try:
        with namespace:
            return _bind_here(settings, options)
    except OSError as error:
        raise StartError(f"cannot enter the pod's network namespace: {error.strerror}") from error


def _bind_here(settings: Settings, options: SocketOptions) -> dict[str, socket.socket]:
    reuse, addresses = settings.inpod_port_reuse, (*pod_data_addresses(settings), *pod_dns_addresses(settings))
    sockets = bind_all(addresses, options, kept_alive=KEPT_ALIVE, reuse_port=reuse, flag="the port settings")
    askable = {name: sock for name, sock in sockets.items() if name.startswith(DNS)}
    try:
        return sockets | bind_datagrams(askable, reuse_port=reuse, flag="--dns-proxy-addr", mark=options.mark)
    except StartError:
        _close(sockets.values())
        raise


def _close(sockets: Iterable[socket.socket]) -> None:
    for sock in sockets:
        sock.close()
