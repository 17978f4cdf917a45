"""Relays at the mercy of random worlds: small windows, small sockets, pauses, ends and resets at any moment.

Every byte arrives or an error does, nothing stands still, and afterwards everything is where it began. The plain
coroutines of `copy` go through the same scripts: they are the specification.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from hbone_py.aio.loop import ReactorLoop
from hbone_py.aio.plain_relay import relay
from hbone_py.aio.tcp_stream import TcpStream
from hbone_py.aio.tunnel_stream import TunnelStream
from hbone_py.config import KIB, MIB, Http2Config
from hbone_py.errors import ErrorCode, HboneError
from tests.support.peers import PeerMaker, Relayed, client_tls, own_reactor, server_tls
from tests.support.sockets import CHUNK, App, Buffers, close_all, tcp_pair, turns, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py.aio.peer import Peer
    from tests.support.certificates import MeshCertificates
    from tests.support.peers import Driver, PeerPair

Kind = Literal["machine", "coroutines"]
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "reactor": ReactorLoop,
    "uvloop": uvloop.new_event_loop,
}
POOL = random.Random(1).randbytes(4 * MIB)
"""What everybody says, each from a place of its own."""


# The scripts --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class World:
    """What two proxies and their applications are made of."""

    near: Http2Config
    far: Http2Config
    between: Buffers
    applications: Buffers
    tunnels: int
    first: int
    """How many bytes each near application says before its tunnel is open."""

    @property
    def enough(self) -> int:
        """What one application may say: many windows full, and no test without an end."""
        return min(2 * MIB, 300 * min(self.near.stream_window, self.far.stream_window))


@dataclass(frozen=True, slots=True)
class Step:
    """`who` (twice the tunnel's number, plus one for its far application) does `what`."""

    who: int
    what: Literal["say", "pause", "go on", "end", "reset", "cut", "turns", "lose"]
    amount: int = 0


def configs() -> st.SearchStrategy[Http2Config]:
    return st.builds(
        lambda window, frame: Http2Config(
            stream_window=window, connection_window=max(4 * window, 65_535), max_frame_size=frame
        ),
        st.sampled_from([1, 1000, 16 * KIB, 64 * KIB, 256 * KIB, 16 * MIB]),
        st.sampled_from([16 * KIB, MIB]),
    )


def buffers(*sizes: int | None) -> st.SearchStrategy[Buffers]:
    """Not less than 16 KiB for a tunnel: the kernel's probes of a shut TCP window would take seconds."""
    return st.builds(Buffers, st.sampled_from(sizes), st.sampled_from(sizes))


WORLDS = st.builds(
    World,
    configs(),
    configs(),
    buffers(None, 16 * KIB, 128 * KIB),
    buffers(None, 4 * KIB, 64 * KIB),
    st.integers(1, 3),
    st.sampled_from([0, 1, 16 * KIB, 64 * KIB]),
)
AMOUNTS = st.sampled_from([1, 100, 16 * KIB - 1, 16 * KIB, 64 * KIB, 300 * KIB + 1, MIB])
STEPS = st.one_of(
    st.builds(Step, st.integers(0, 5), st.just("say"), AMOUNTS),
    st.builds(Step, st.integers(0, 5), st.sampled_from(["pause", "go on", "end"])),
    st.builds(Step, st.just(0), st.just("turns"), st.integers(1, 30)),
)
ROUGH_STEPS = st.one_of(STEPS, st.builds(Step, st.integers(0, 5), st.sampled_from(["reset", "cut"])))


# The actors ---------------------------------------------------------------------------------------------------------


class Tunnel(Protocol):
    """One tunnel with an application at each end."""

    near: App
    far: App
    said: int
    """Bytes the near application has said before the tunnel was open."""

    @property
    def is_over(self) -> bool: ...

    def cut(self) -> None:
        """The near proxy ends it."""


class MachineTunnel(Relayed):
    """Carried by `relay.Relay` on both sides, the first bytes by `first_bytes`."""

    said = 0

    def cut(self) -> None:
        self.near_relay.cut(HboneError("cut"), ErrorCode.CANCEL)


class CoroutineTunnel:
    """Carried by `plain_relay.relay` on both sides."""

    said = 0

    def __init__(self, pair: PeerPair, near: Driver, far: Driver, size: Buffers, group: asyncio.TaskGroup) -> None:
        near_inside, near_outside = tcp_pair(size)
        far_inside, far_outside = tcp_pair(size)
        self.near, self.far = App(near_outside), App(far_outside)
        self._near_tunnel = TunnelStream(pair.client, near.stream)
        near_application = TcpStream(pair.client.reactor, near_inside)
        far_application = TcpStream(pair.server.reactor, far_inside)
        self._tasks = [
            group.create_task(self._carry(near_application, self._near_tunnel)),
            group.create_task(self._carry(TunnelStream(pair.server, far.stream), far_application)),
        ]

    @property
    def is_over(self) -> bool:
        return all(task.done() for task in self._tasks)

    def cut(self) -> None:
        self._near_tunnel.abort()

    @staticmethod
    async def _carry(downstream: TcpStream | TunnelStream, upstream: TunnelStream | TcpStream) -> None:
        with contextlib.suppress(HboneError):
            await relay(downstream, upstream)
        await downstream.aclose()
        await upstream.aclose()


@dataclass(slots=True)
class Actor:
    """One application: what it has to say, what it said, heard, and how that ended."""

    app: App
    place: int
    limit: int
    queued: int = 0
    said: int = 0
    heard: bytearray = field(default_factory=bytearray)
    is_paused: bool = False
    wants_end: bool = False
    has_ended: bool = False
    is_gone: bool = False
    """It reset its connection, or met a reset."""
    has_heard_end: bool = False

    def act(self) -> None:
        """Say and hear as much as the kernel allows now."""
        if self.is_gone:
            return
        try:
            self._say()
            if not self.is_paused and not self.has_heard_end:
                self._hear()
        except OSError:
            self.is_gone = True

    def _say(self) -> None:
        while self.queued:
            start = self.place + self.said
            try:
                count = self.app.sock.send(POOL[start : start + min(self.queued, 256 * KIB)])
            except BlockingIOError:
                return
            self.said += count
            self.queued -= count
        if self.wants_end and not self.has_ended:
            self.app.end()
            self.has_ended = True

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while chunk := self.app.sock.recv(CHUNK):
                self.heard += chunk
            self.has_heard_end = True

    @property
    def is_done(self) -> bool:
        return self.is_gone or (self.has_ended and self.has_heard_end)

    def script(self) -> bytes:
        return POOL[self.place : self.place + self.said]


# The play -----------------------------------------------------------------------------------------------------------


async def open_tunnels(world: World, pair: PeerPair, kind: Kind, group: asyncio.TaskGroup) -> list[Tunnel]:
    tunnels: list[Tunnel] = []
    for number in range(world.tunnels):
        if kind == "machine":
            tunnels.append(await open_machine(world, pair, place_of(2 * number)))
        else:
            near, far = await pair.open()
            tunnels.append(CoroutineTunnel(pair, near, far, world.applications, group))
    return tunnels


async def open_machine(world: World, pair: PeerPair, place: int) -> MachineTunnel:
    """Half of what comes first is there when the tunnel is asked for, the other half comes later."""
    first = POOL[place : place + min(world.first, world.enough)]
    beginning = pair.begin(first[: len(first) // 2], world.applications)
    far = await beginning.asked()
    said = beginning.said + beginning.app.stuff(first[beginning.said :])
    await until(lambda: beginning.near.told, "an answer to CONNECT")
    tunnel = MachineTunnel(pair, beginning.near.stream, far.stream, False, world.applications, beginning)
    tunnel.said = said
    return tunnel


def place_of(actor: int) -> int:
    """Where in the pool it begins to read."""
    return actor * MIB // 4


async def play(certificates: MeshCertificates, world: World, steps: list[Step], kind: Kind) -> None:
    with own_reactor() as near, own_reactor() as far:
        maker = PeerMaker(client_tls(certificates.client), server_tls(certificates.server), near, far)
        try:
            async with asyncio.TaskGroup() as group:
                pair = maker.pair(client_config=world.near, server_config=world.far, buffers=world.between)
                await pair.up()
                tunnels = await open_tunnels(world, pair, kind, group)
                await perform(tunnels, pair, steps, world.enough)
                await check_peers_as_new(pair, world)
        finally:
            maker.close()
            close_all()
        await turns()


async def perform(tunnels: list[Tunnel], pair: PeerPair, steps: list[Step], limit: int) -> None:
    actors = []
    for number, tunnel in enumerate(tunnels):
        actors.append(Actor(tunnel.near, place_of(2 * number), limit, said=tunnel.said))
        actors.append(Actor(tunnel.far, place_of(2 * number + 1), limit))
    for step in steps:
        await take(step, actors[step.who % len(actors)], tunnels[step.who // 2 % len(tunnels)])
        for actor in actors:
            actor.act()
        await turns(1)
    for actor in actors:
        actor.is_paused, actor.wants_end = False, True

    def all_done() -> bool:
        for actor in actors:
            actor.act()
        return all(actor.is_done for actor in actors) and all(tunnel.is_over for tunnel in tunnels)

    await until(all_done, f"finished: {[(len(actor.heard), actor.said, actor.queued) for actor in actors]}")
    for one, other in zip(actors[::2], actors[1::2], strict=True):
        check_heard(one, other)
        check_heard(other, one)
    rough = any(step.what in ("reset", "cut") for step in steps)
    assert rough or not any(actor.is_gone for actor in actors), "a reset from nowhere"
    await until(lambda: not pair.client.engine.streams and not pair.server.engine.streams, "every stream over")
    await turns()


async def take(step: Step, actor: Actor, tunnel: Tunnel) -> None:
    match step.what:
        case "say" if not actor.wants_end and actor.said + actor.queued < actor.limit:
            actor.queued += min(step.amount, actor.limit - actor.said - actor.queued)
        case "pause":
            actor.is_paused = True
        case "go on":
            actor.is_paused = False
        case "end":
            actor.wants_end = True
        case "reset" if not actor.is_gone:
            actor.app.reset()
            actor.is_gone = True
        case "cut":
            tunnel.cut()
        case "turns":
            await turns(step.amount)


def check_heard(listener: Actor, speaker: Actor) -> None:
    """What was heard was said, and an end means that nothing is missing."""
    assert speaker.script().startswith(listener.heard), "heard what was never said"
    if listener.has_heard_end:
        assert speaker.has_ended, "an end that nobody said"
        assert len(listener.heard) == speaker.said, "an end with bytes missing"


async def check_peers_as_new(pair: PeerPair, world: World) -> None:
    """Both windows are whole again, as far as each knows of the other."""
    await check_peer_as_new(pair.client, pair.server, world.near)
    await check_peer_as_new(pair.server, pair.client, world.far)


async def check_peer_as_new(peer: Peer, other: Peer, config: Http2Config) -> None:
    await until(lambda: not peer.is_stalled, "all said")
    window, size = peer.engine._credit.window, max(config.connection_window, 65_536)
    await until(lambda: window.left + window.owed == size, "all credit found again")
    await until(lambda: other.engine.send_window == window.left, "and announced")
    assert peer.engine.unread == peer.reactor.ledger.used == 0
    assert not peer.engine.blocked
    check_idle(peer)


def check_idle(peer: Peer) -> None:
    assert not peer.is_closed
    assert peer.reactor.open_sockets == 1
    assert peer.reactor.wheel.pending == 1, "more than the keepalive's timer"


@pytest.mark.parametrize("loop", LOOPS)
@settings(max_examples=100)
@given(world=WORLDS, steps=st.lists(STEPS, max_size=25))
def test_politely_every_byte_arrives(
    certificates: MeshCertificates, loop: str, world: World, steps: list[Step]
) -> None:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(play(certificates, world, steps, "machine"))


@pytest.mark.parametrize("loop", LOOPS)
@settings(max_examples=100)
@given(world=WORLDS, steps=st.lists(ROUGH_STEPS, max_size=25))
def test_roughly_every_byte_arrives_or_an_error_does(
    certificates: MeshCertificates, loop: str, world: World, steps: list[Step]
) -> None:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(play(certificates, world, steps, "machine"))


@settings(max_examples=60)
@given(world=WORLDS, steps=st.lists(ROUGH_STEPS, max_size=25))
def test_the_coroutines_keep_the_same_promises(certificates: MeshCertificates, world: World, steps: list[Step]) -> None:
    with asyncio.Runner() as runner:
        runner.run(play(certificates, world, steps, "coroutines"))
