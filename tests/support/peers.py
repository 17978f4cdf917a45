"""Two peers of ours joined by loopback TCP, with owners and drivers that write down what they are told.

Each side has a reactor of its own, as two processes would: buffers, ledgers and timers are apart.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hbone_py.aio.first_bytes import FirstBytes
from hbone_py.aio.peer import Peer
from hbone_py.aio.reactor import Reactor
from hbone_py.aio.relay import Relay
from hbone_py.aio.transport import TcpTransport
from hbone_py.aio.wheel import TimerWheel
from hbone_py.header_blocks import connect_block
from hbone_py.tls.buffers import SharedBuffer
from hbone_py.tls.context import TlsSettings, client_context, server_context
from hbone_py.tls.credentials import Credentials
from hbone_py.tls.engine import TlsEngine
from tests.support.clock import VirtualClock
from tests.support.frames import ping, split, wire
from tests.support.sockets import ROOMY, SECONDS, App, tcp_pair, until

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from hbone_py import events as ev
    from hbone_py.aio.owners import IdentityCheck
    from hbone_py.config import Deadlines, Http2Config, Keepalive
    from hbone_py.errors import ErrorCode, HboneError
    from hbone_py.identity import SpiffeId
    from hbone_py.streams import Stream
    from hbone_py.tls.context import TlsContext
    from tests.support.certificates import CertificateFiles
    from tests.support.frames import Frame
    from tests.support.sockets import Buffers

AUTHORITY = b"10.0.0.1:8080"


def credentials_of(files: CertificateFiles) -> Credentials:
    return Credentials.from_files(files.chain, files.key, files.roots)


def client_tls(files: CertificateFiles, roots: CertificateFiles | None = None) -> TlsContext:
    """The context of a client; with `roots`, one that believes others than those who vouch for itself."""
    trusted = (roots or files).roots
    return client_context(Credentials.from_files(files.chain, files.key, trusted), TlsSettings())


def server_tls(files: CertificateFiles) -> TlsContext:
    return server_context(credentials_of(files), TlsSettings())


def trust_anyone(_: tuple[SpiffeId, ...]) -> None:
    """An identity check that refuses nobody the roots vouch for."""


@contextlib.contextmanager
def own_reactor() -> Iterator[Reactor]:
    """A reactor on the running loop whose wheel stands on a `VirtualClock`; what it began with it must end with."""
    reactor = Reactor(asyncio.get_running_loop())
    reactor.wheel = TimerWheel(VirtualClock())
    try:
        yield reactor
        check_nothing_left(reactor)
    finally:
        reactor.close()


def clock_of(reactor: Reactor) -> VirtualClock:
    """The clock of an `own_reactor`."""
    clock = reactor.wheel._clock
    assert isinstance(clock, VirtualClock)
    return clock


def check_nothing_left(reactor: Reactor) -> None:
    """Every socket, peer, timer and unread byte is gone."""
    left = {
        "sockets": reactor.open_sockets,
        "peers": len(reactor.peers),
        "timers": reactor.wheel.pending,
        "unread bytes": reactor.ledger.used,
        "connections that owe credit": len(reactor.ledger.withheld),
    }
    assert not any(left.values()), left


class Owner:
    """A peer's owner that takes notes. A server accepts what it is asked for when `accepting`."""

    def __init__(self, *, accepting: bool = True) -> None:
        self.accepting = accepting
        self.secured = 0
        self.ups = 0
        self.drainings = 0
        self.ends: list[HboneError | None] = []
        """How it closed: one entry, at the end."""
        self.requests: list[ev.TunnelRequested] = []
        self.refusals: list[str] = []
        self.drivers: dict[int, Driver] = {}

    def peer_secured(self, peer: Peer) -> None:
        self.secured += 1

    def peer_up(self, peer: Peer) -> None:
        self.ups += 1

    def peer_closed(self, peer: Peer, error: HboneError | None) -> None:
        self.ends.append(error)

    def peer_draining(self, peer: Peer) -> None:
        self.drainings += 1

    def request_refused(self, peer: Peer, event: ev.RequestRefused) -> None:
        self.refusals.append(event.reason)

    def tunnel_requested(self, peer: Peer, event: ev.TunnelRequested) -> None:
        self.requests.append(event)
        driver = self.drivers[event.stream_id] = Driver(event.stream)
        if self.accepting:
            peer.engine.accept_tunnel(event.stream)
            peer.reactor.touch(peer)
            driver.told.append("requested")


class Driver:
    """A stream's owner that takes notes; without a sink, so that what comes stays unread."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.told: list[object] = []
        stream.owner = self

    def tunnel_accepted(self, event: ev.TunnelAccepted) -> None:
        self.told.append("accepted")

    def tunnel_refused(self, status: int) -> None:
        self.told.append(status)

    def tunnel_ended(self) -> None:
        self.told.append("ended")

    def tunnel_reset(self, event: ev.TunnelReset) -> None:
        self.told.append(("reset", event.code, event.by_peer))

    def tunnel_writable(self) -> None:
        self.told.append("writable")

    def tunnel_lost(self, error: HboneError) -> None:
        self.told.append(error)


@dataclass(slots=True)
class PeerPair:
    """A client and a server that face each other."""

    client: Peer
    server: Peer
    client_owner: Owner
    server_owner: Owner

    async def up(self) -> None:
        """Both have heard each other's SETTINGS."""
        await until(lambda: self.client.is_up and self.server.is_up, "both peers up")

    def request(self) -> Driver:
        """The client asks for one more tunnel."""
        driver = Driver(self.client.engine.open_tunnel(connect_block(AUTHORITY)))
        self.client.reactor.touch(self.client)
        return driver

    async def open(self) -> tuple[Driver, Driver]:
        """One more tunnel, accepted: its driver at the client, and at the server."""
        near = self.request()
        await until(lambda: near.told, "an answer to CONNECT")
        return near, self.server_owner.drivers[near.stream.stream_id]

    def begin(self, said: bytes = b"", buffers: Buffers = ROOMY) -> Beginning:
        """An application that has said something asks for one more tunnel."""
        return Beginning(self, said, buffers)

    async def relayed(self, *, lenient: bool = False, buffers: Buffers = ROOMY) -> Relayed:
        """One more tunnel with an application at each end; ."""
        near, far = await self.open()
        return Relayed(self, near.stream, far.stream, lenient, buffers)

    async def relayed_near(self, *, lenient: bool = False, buffers: Buffers = ROOMY) -> HalfRelayed:
        """One more tunnel with an application at the client; the test itself is the server's side of it."""
        near, far = await self.open()
        return HalfRelayed(self, near.stream, far, lenient, buffers)

    def close(self) -> None:
        self.client.close()
        self.server.close()


class Beginning:
    """An application at the client, and its tunnel up to the answer."""

    def __init__(self, pair: PeerPair, said: bytes, buffers: Buffers) -> None:
        self.pair = pair
        self.inside, outside = tcp_pair(buffers)
        self.app = App(outside)
        self.said = self.app.stuff(said)
        self.near = pair.request()
        self.first = FirstBytes(pair.client, self.near.stream, self.inside)
        self.first.hear()

    async def asked(self) -> Driver:
        """The server's driver, once it has the request."""
        await until(lambda: self.near.stream.stream_id in self.pair.server_owner.drivers, "a request")
        return self.pair.server_owner.drivers[self.near.stream.stream_id]

    async def relayed(self, *, lenient: bool = False, buffers: Buffers = ROOMY) -> Relayed:
        """The tunnel open, with an application at each end."""
        far = await self.asked()
        if not far.stream.answered:
            self.pair.server.engine.accept_tunnel(far.stream)
            self.pair.server.reactor.touch(self.pair.server)
        await until(lambda: self.near.told, "an answer to CONNECT")
        return Relayed(self.pair, self.near.stream, far.stream, lenient, buffers, self)


class Relayed:
    """near application - relay - tunnel - relay - far application."""

    def __init__(
        self,
        pair: PeerPair,
        near: Stream,
        far: Stream,
        lenient: bool,
        buffers: Buffers,
        beginning: Beginning | None = None,
    ) -> None:
        self.results: dict[Relay, HboneError | None] = {}
        far_inside, far_outside = tcp_pair(buffers)
        self.far = App(far_outside)
        if beginning is None:
            near_inside, near_outside = tcp_pair(buffers)
            self.near = App(near_outside)
        else:
            near_inside, self.near = beginning.inside, beginning.app
        self.far_relay = Relay(pair.server, far, far_inside, self._done, lenient=lenient)
        self.near_relay = Relay(pair.client, near, near_inside, self._done, lenient=lenient)
        self.far_relay.start()
        if beginning is None:
            self.near_relay.start()
        else:
            self.near_relay.received = beginning.first.heard
            self.near_relay.start(beginning.first.hand_on(), beginning.first.broken)

    def _done(self, relay: Relay, error: HboneError | None) -> None:
        assert relay not in self.results, "done twice"
        self.results[relay] = error

    @property
    def is_over(self) -> bool:
        return len(self.results) == 2

    async def over(self) -> tuple[HboneError | None, HboneError | None]:
        """How the near relay and the far one ended, awaited."""
        await until(lambda: self.is_over, "both relays over")
        return self.results[self.near_relay], self.results[self.far_relay]

    def close(self) -> None:
        self.near.close()
        self.far.close()


class HalfRelayed:
    """application - relay - tunnel - whatever the test does with the server's stream."""

    def __init__(self, pair: PeerPair, near: Stream, far: Driver, lenient: bool, buffers: Buffers) -> None:
        self.ends: list[HboneError | None] = []
        self.driver = far
        self.pair = pair
        inside, outside = tcp_pair(buffers)
        self.app = App(outside)
        self.relay = Relay(pair.client, near, inside, lambda _, error: self.ends.append(error), lenient=lenient)
        self.relay.start()

    def send(self, data: bytes) -> None:
        """The server says `data`, as much as the windows must allow."""
        peer = self.pair.server
        assert peer.engine.send(self.driver.stream, data) == len(data)
        peer.reactor.touch(peer)

    def end(self) -> None:
        """The server's END_STREAM."""
        self.pair.server.engine.end(self.driver.stream)
        self.pair.server.reactor.touch(self.pair.server)

    def reset(self, code: ErrorCode) -> None:
        """The server's RST_STREAM."""
        self.pair.server.engine.reset(self.driver.stream, code)
        self.pair.server.reactor.touch(self.pair.server)

    def read(self) -> int:
        """The server takes all it holds; how much that was."""
        stream, peer = self.driver.stream, self.pair.server
        count = stream.unread
        peer.engine.consumed(stream, count)
        peer.reactor.touch(peer)
        return count

    async def over(self) -> HboneError | None:
        """How the relay ended, awaited."""
        await until(lambda: self.ends, "the relay over")
        assert len(self.ends) == 1, "done twice"
        return self.ends[0]


@dataclass(slots=True)
class PeerMaker:
    """Makes peers of ours for the certificates of one mesh, on two reactors."""

    client_context: TlsContext
    server_context: TlsContext
    near: Reactor
    far: Reactor
    made: list[Peer] = field(default_factory=list)

    def client(self, sock: socket.socket, owner: Owner | None = None, **how: Any) -> Peer:
        return self._make(self.near, sock, self.client_context, owner or Owner(), **how)

    def server(self, sock: socket.socket, owner: Owner | None = None, **how: Any) -> Peer:
        return self._make(self.far, sock, self.server_context, owner or Owner(), **how)

    def pair(
        self,
        *,
        client_config: Http2Config | None = None,
        server_config: Http2Config | None = None,
        deadlines: Deadlines | None = None,
        keepalive: Keepalive | None = None,
        accepting: bool = True,
        buffers: Buffers = ROOMY,
    ) -> PeerPair:
        """Two started peers; `buffers` of the connection between them as for `tcp_pair`."""
        near, far = tcp_pair(buffers)
        owners = Owner(), Owner(accepting=accepting)
        both = {"deadlines": deadlines, "keepalive": keepalive}
        server = self.server(far, owners[1], config=server_config, **both)
        client = self.client(near, owners[0], config=client_config, **both)
        server.start()
        client.start()
        return PeerPair(client, server, *owners)

    def facing_client(self, owner: Owner | None = None, buffers: Buffers = ROOMY, **how: Any) -> tuple[Peer, Puppet]:
        """A client of ours, started, and the puppet it takes for a server."""
        near, far = tcp_pair(buffers)
        peer = self.client(near, owner, **how)
        peer.start()
        return peer, Puppet(self.server_context, far)

    def facing_server(self, owner: Owner | None = None, buffers: Buffers = ROOMY, **how: Any) -> tuple[Peer, Puppet]:
        """A server of ours, started, and the puppet it takes for a client."""
        near, far = tcp_pair(buffers)
        peer = self.server(far, owner, **how)
        peer.start()
        return peer, Puppet(self.client_context, near)

    def close(self) -> None:
        """End all. Relays whose applications do not take what came before give them up, for their time is over."""
        for peer in self.made:
            peer.close()
        for reactor in (self.near, self.far):
            if reactor.open_sockets:
                clock_of(reactor).advance(60)

    def _make(
        self,
        reactor: Reactor,
        sock: socket.socket,
        context: TlsContext,
        owner: Owner,
        *,
        check: IdentityCheck = trust_anyone,
        **how: Any,
    ) -> Peer:
        transport = TcpTransport(reactor, sock, sock.getpeername())
        peer = Peer(reactor, transport, context, owner, check=check, **how)
        self.made.append(peer)
        return peer


class Puppet:
    """The other end of a peer's connection, TLS and all, that says and reads only what the test tells it to."""

    def __init__(self, context: TlsContext, sock: socket.socket) -> None:
        self.tls = TlsEngine(context)
        self.app = App(sock)
        self._buffer = SharedBuffer(1 << 18)
        self._heard = b""
        self._unsaid = bytearray()

    async def shake_hands(self) -> None:
        """TLS, to its end as far as this side knows."""
        while not self.tls.handshake():
            self._flush()
            await self._feed()
        self._flush()

    def say(self, *frames: Frame | bytes) -> None:
        """Frames, or any other bytes, under TLS."""
        self.tls.write(wire(*frames))
        self._flush()

    def nag(self, count: int = 1000) -> None:
        """Ask `count` PINGs, as far as the socket takes them, and read no answer."""
        self.tls.write(wire(*(ping(number.to_bytes(8)) for number in range(count))))
        pending = self.tls.take_ciphertext(self._buffer)
        self._unsaid += self._buffer.view[:pending]
        del self._unsaid[: self.app.stuff(bytes(self._unsaid))]

    def say_raw(self, data: bytes) -> None:
        """Bytes that are no TLS at all."""
        assert self.app.stuff(data) == len(data)

    async def hear(self, *kinds: int) -> Frame:
        """The next frame of one of `kinds`; those before it are passed over."""
        while True:
            frame = await self._next_frame()
            if frame.kind in kinds:
                return frame

    async def _next_frame(self) -> Frame:
        while len(self._heard) < 9 or len(self._heard) < 9 + int.from_bytes(self._heard[:3]):
            if count := self.tls.read_into(self._buffer):
                self._heard += self._buffer.view[:count]
            else:
                await self._feed()
        end = 9 + int.from_bytes(self._heard[:3])
        (frame,) = split(self._heard[:end])
        self._heard = self._heard[end:]
        return frame

    async def _feed(self) -> None:
        async with asyncio.timeout(SECONDS):
            data = await asyncio.get_running_loop().sock_recv(self.app.sock, 1 << 16)
        if not data:
            raise EOFError
        self.tls.feed(data)

    def _flush(self) -> None:
        while count := self.tls.take_ciphertext(self._buffer):
            self.app.stuff(self._buffer.view[:count])


async def up(peers: PeerMaker, **how: Any) -> PeerPair:
    """A pair as `PeerMaker.pair` makes it, once both have come up."""
    pair = peers.pair(**how)
    await pair.up()
    return pair
