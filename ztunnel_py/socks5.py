"""15080: SOCKS5 for applications that nothing redirects (hbone-dataplane 4.2, RFC 1928).

Host names are looked up as the DNS proxy does, in what discovery knows and nowhere else. As ztunnel's, the answer
"succeeded" comes before the upstream is attempted; what fails later closes the connection.
"""

from __future__ import annotations

import random
from enum import Enum, auto
from typing import TYPE_CHECKING

from hbone_py.aio.tcp import Listener, SocketAddress, show
from mesh_py.capture.socks_messages import (
    HOST_UNREACHABLE,
    NO_AUTHENTICATION,
    SUCCEEDED,
    SocksError,
    read_methods,
    read_request,
    refusal,
)
from mesh_py.discovery.dns_names import NameRules, look_up
from mesh_py.model.address import parse_ip
from ztunnel_py.capture import Greeting

if TYPE_CHECKING:
    import socket

    from mesh_py.model.workload import Workload
    from ztunnel_py.context import ProxyContext
    from ztunnel_py.outbound import Outbound


class _Stage(Enum):
    METHODS = auto()
    REQUEST = auto()


class Socks5:
    """Accepts SOCKS5 clients and gives their connections to `outbound`."""

    def __init__(self, context: ProxyContext, outbound: Outbound) -> None:
        self.context, self.outbound = context, outbound

    def listen(self, sock: socket.socket) -> Listener:
        """Accept on a bound socket."""
        return Listener(self.context.reactor, sock, self.accepted, near=True)

    def accepted(self, sock: socket.socket, client: SocketAddress) -> None:
        """Greet, then carry."""
        SocksClient(self, sock, client).start()


class SocksClient:
    """One client, until it has said where it wants to go."""

    def __init__(self, owner: Socks5, sock: socket.socket, client: SocketAddress) -> None:
        self._owner, self._sock, self._client = owner, sock, client
        self._stage = _Stage.METHODS
        self._asked = ""
        self._destination: SocketAddress = ("", 0)

    def start(self) -> None:
        """Hear what it wants."""
        Greeting(self._owner.context, self._sock, self._understand, self._done, self._failed).start()

    def _understand(self, seen: bytes) -> tuple[int, bool]:
        try:
            return self._step(seen)
        except SocksError as error:
            self._sock.send(refusal(error.code))
            raise

    def _step(self, seen: bytes) -> tuple[int, bool]:
        if self._stage is _Stage.METHODS:
            taken = read_methods(seen)
            if taken is None:
                return 0, False
            self._sock.send(NO_AUTHENTICATION)
            self._stage = _Stage.REQUEST
            return taken, False
        request = read_request(seen)
        if request is None:
            return 0, False
        taken, host, port = request
        self._asked = show((host, port))
        self._destination = self._locate(host), port
        self._sock.send(SUCCEEDED)
        return taken, True

    def _locate(self, host: str) -> str:
        """An address, from text or from what discovery knows of a name. Raises SocksError(HOST_UNREACHABLE)."""
        try:
            return parse_ip(host)
        except ValueError:
            pass
        source = self._owner.context.source_workload(self._client, by_socks=True)
        if source is None:
            raise SocksError(f"unknown source, so {host} is unknown too", HOST_UNREACHABLE)
        return self._address_of(host, source)

    def _address_of(self, host: str, source: Workload) -> str:
        """What DNS would tell the workload: of the client's own family, if there is such."""
        context, is_v6 = self._owner.context, ":" in self._client[0]
        rules = NameRules(context.settings.cluster_domain)
        answers = [look_up(context.state, source, host, rules, ipv6=family) for family in (is_v6, not is_v6)]
        if answers[0] is None:
            raise SocksError(f"unknown host {host}", HOST_UNREACHABLE)
        addresses = next((found.addresses for found in answers if found is not None and found.addresses), ())
        if not addresses:
            raise SocksError(f"{host} has no address in network {source.network!r}", HOST_UNREACHABLE)
        return random.choice(addresses)

    def _done(self) -> None:
        self._owner.outbound.carry(self._sock, self._client, self._destination, by_socks=True)

    def _failed(self, reason: str) -> None:
        self._owner.context.access.failed("source", show(self._client), self._asked, f"socks5: {reason}")
