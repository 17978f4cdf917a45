"""Pool: one connection for all who go the same way, and one more only where it is needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from hbone_py.aio.client import Dial
from hbone_py.aio.peer import Peer
from hbone_py.aio.pool import Pool
from hbone_py.aio.tcp import Listener, SocketOptions, listening_socket, outgoing_socket
from hbone_py.config import Deadlines, Http2Config, Keepalive
from hbone_py.connection import HboneConnection
from hbone_py.errors import (
    ConnectionClosing,
    ConnectionFailed,
    ConnectTimeout,
    ErrorCode,
    HboneError,
    TlsTimeout,
    TooManyStreams,
)
from hbone_py.header_blocks import connect_block
from hbone_py.placement import BULK_BYTES, LINGER, MAX_CONNECTIONS
from tests.support.peers import AUTHORITY, Driver, Owner, clock_of, trust_anyone
from tests.support.processes import free_port, loopback_address
from tests.support.sockets import turns, until

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

    from hbone_py.aio.owners import PeerOwner
    from hbone_py.aio.pool import Attempt
    from hbone_py.aio.tcp import SocketAddress
    from hbone_py.aio.transport import Transport
    from tests.support.peers import PeerMaker


NEVER = Keepalive(interval=1e6, timeout=1e6)
"""No PINGs: the clock is moved for other reasons here."""


@dataclass(slots=True)
class Caller:
    """Wants one tunnel from the pool."""

    peer: Peer | None = None
    error: HboneError | None = None
    driver: Driver | None = None

    def ready(self, peer: Peer) -> None:
        assert not self.is_told, "told twice"
        self.peer = peer
        self.driver = Driver(peer.engine.open_tunnel(connect_block(AUTHORITY)))
        peer.reactor.touch(peer)

    def failed(self, error: HboneError) -> None:
        assert not self.is_told, "told twice"
        self.error = error

    @property
    def is_told(self) -> bool:
        return self.peer is not None or self.error is not None

    @property
    def is_served(self) -> bool:
        return self.peer is not None and (self.peer.is_up or self.peer.is_closed)

    def leave(self) -> None:
        """The tunnel is over."""
        assert self.peer is not None
        assert self.driver is not None
        self.peer.engine.reset(self.driver.stream, 8)
        self.peer.reactor.touch(self.peer)


@dataclass
class Place:
    """A server that many may dial, and the pool they dial it with."""

    peers: PeerMaker
    pool: Pool
    listener: Listener
    server_config: Http2Config | None = None
    deadlines: Deadlines = field(default_factory=Deadlines)
    accepted: list[tuple[Peer, Owner]] = field(default_factory=list)
    dials: int = 0
    is_silent: bool = False
    """Accepts and says nothing."""
    held: list[socket.socket] = field(default_factory=list)

    def accept(self, sock: socket.socket, _: SocketAddress) -> None:
        if self.is_silent:
            self.held.append(sock)
            return
        owner = Owner()
        peer = self.peers.server(sock, owner, config=self.server_config)
        self.accepted.append((peer, owner))
        peer.start()

    def dial(self, owner: PeerOwner) -> Attempt:
        self.dials += 1
        reactor = self.peers.near

        def make(transport: Transport) -> Peer:
            return Peer(
                reactor,
                transport,
                self.peers.client_context,
                owner,
                check=trust_anyone,
                deadlines=self.deadlines,
                keepalive=NEVER,
            )

        def failed(error: HboneError) -> None:
            owner.peer_closed(None, error)  # type: ignore[arg-type]

        dial = Dial(reactor, make, failed)
        dial.start(self.listener.address, SocketOptions(), self.deadlines.connect)
        return dial

    def call(self, key: str = "here") -> Caller:
        caller = Caller()
        self.pool.request(key, self.dial, caller.ready, caller.failed)
        return caller

    async def calls(self, count: int, key: str = "here") -> list[Caller]:
        """Told, and where there is a connection its SETTINGS are here."""
        callers = [self.call(key) for _ in range(count)]
        await until(lambda: all(caller.is_served or caller.error for caller in callers), "all callers told")
        return callers

    def close(self) -> None:
        self.pool.close()
        self.listener.close()
        for peer, _ in self.accepted:
            peer.close()
        for sock in self.held:
            sock.close()


@pytest.fixture(name="place")
async def _place(peers: PeerMaker) -> AsyncIterator[Place]:
    sock = listening_socket(loopback_address(), 0)
    place = Place(peers, Pool(peers.near), Listener(peers.far, sock, lambda *accepted: place.accept(*accepted)))
    yield place
    place.close()
    await turns()


def connections(callers: list[Caller]) -> int:
    return len({caller.peer for caller in callers})


# Sharing ------------------------------------------------------------------------------------------------------------


async def test_all_who_wait_share_one_connection(place: Place) -> None:
    callers = await place.calls(20)
    assert (connections(callers), place.dials, len(place.pool)) == (1, 1, 1)


async def test_later_ones_share_it_too_and_without_waiting(place: Place) -> None:
    await place.calls(1)
    peer = place.pool.checkout("here")
    assert peer is not None
    assert (await place.calls(1))[0].peer is peer
    assert place.dials == 1


async def test_another_way_is_another_connection(place: Place) -> None:
    """The source's address and the identity expected are part of the key."""
    one, another = await place.calls(1, "from 10.0.0.1"), await place.calls(1, "from 10.0.0.2")
    assert one[0].peer is not another[0].peer
    assert place.pool.checkout("from 10.0.0.3") is None


@pytest.mark.parametrize(
    ("limit", "callers", "expected"), [(1, 3, 3), (2, 4, 2), (2, 5, 3), (100, 100, 1), (100, 101, 2)]
)
async def test_no_more_tunnels_than_the_limit(place: Place, limit: int, callers: int, expected: int) -> None:
    place.pool = Pool(place.peers.near, max_streams=limit)
    assert connections(await place.calls(callers)) == expected
    assert place.dials == expected


@pytest.mark.parametrize(("theirs", "expected"), [(1, 4), (2, 2), (3, 2), (4, 1)])
async def test_the_peers_own_limit_counts_once_it_is_known(place: Place, theirs: int, expected: int) -> None:
    place.server_config = Http2Config(max_concurrent_streams=theirs)
    callers = await place.calls(4)
    assert connections(callers) == expected
    await turns()
    assert [caller.driver.told for caller in callers if caller.driver] == [["accepted"]] * 4


async def test_nobody_is_put_beside_streams_that_are_not_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What they hold of the shared window would keep the newcomer from its own bytes."""
    [first] = await place.calls(1)
    assert first.peer is not None
    crowded = [first.peer.engine]
    monkeypatch.setattr(HboneConnection, "is_crowded", property(lambda engine: engine in crowded))
    assert place.pool.checkout("here") is None
    [second] = await place.calls(1)
    assert second.peer is not first.peer
    crowded.clear()
    assert place.pool.checkout("here") is first.peer
    assert place.dials == 2


async def test_a_stream_that_ends_makes_room(place: Place) -> None:
    place.pool = Pool(place.peers.near, max_streams=2)
    first, second = await place.calls(2)
    assert place.pool.checkout("here") is None
    first.leave()
    assert (await place.calls(1))[0].peer is second.peer
    assert place.dials == 1


async def test_a_peer_that_allows_nothing_is_not_dialled_for_ever(place: Place) -> None:
    place.server_config = Http2Config(max_concurrent_streams=0)
    lent, *others = await place.calls(3)
    assert [type(caller.error) for caller in others] == [TooManyStreams] * 2
    assert place.dials == 1
    driver = lent.driver
    assert driver is not None
    await until(lambda: bool(driver.told), "the tunnel that was asked for on faith is refused")
    assert driver.told == [("reset", ErrorCode.REFUSED_STREAM, True)]


# Beside bulk ---------------------------------------------------------------------------------------------------------


def carry_bulk(caller: Caller) -> Peer:
    """The caller's connection has just moved what counts as bulk."""
    assert caller.peer is not None
    caller.peer.meter.moved(BULK_BYTES, caller.peer.reactor.wheel.now)
    return caller.peer


async def test_nobody_is_put_beside_bulk(place: Place) -> None:
    [first] = await place.calls(1)
    bulky = carry_bulk(first)
    assert place.pool.checkout("here") is None
    later = await place.calls(3)
    assert connections(later) == 1
    assert later[0].peer is not bulky
    assert place.dials == 2


async def test_once_bulk_is_over_one_connection_serves_all_again(place: Place) -> None:
    [first] = await place.calls(1)
    bulky = carry_bulk(first)
    await place.calls(1)
    clock_of(place.peers.near).jump(LINGER)
    assert place.pool.checkout("here") is bulky
    assert place.dials == 2


async def test_a_full_socket_is_bulk_too(place: Place) -> None:
    [first] = await place.calls(1)
    assert first.peer is not None
    first.peer.is_stalled = True
    assert place.pool.checkout("here") is None
    first.peer.is_stalled = False
    assert place.pool.checkout("here") is first.peer


async def test_there_are_only_so_many_connections_for_it(place: Place) -> None:
    callers = []
    for _ in range(MAX_CONNECTIONS + 3):
        callers += await place.calls(1)
        carry_bulk(callers[-1])
    assert connections(callers) == place.dials == MAX_CONNECTIONS
    tunnels = sorted(len(peer.engine.streams) for peer in {caller.peer for caller in callers if caller.peer})
    assert tunnels == [1, 2, 2, 2]


async def test_where_a_second_connection_fails_bulk_is_made_do_with(place: Place) -> None:
    [first] = await place.calls(1)
    bulky = carry_bulk(first)
    host, port = place.listener.address
    place.listener.address = (host, free_port(host))
    callers = await place.calls(2)
    assert [caller.peer for caller in callers] == [bulky, bulky]
    assert place.pool.checkout("here") is bulky, "and it is not tried again for each"
    assert place.dials == 2
    clock_of(place.peers.near).jump(60)
    carry_bulk(first)
    place.listener.address = (host, port)
    [later] = await place.calls(1)
    assert later.peer is not bulky


async def test_where_it_takes_long_bulk_is_made_do_with(place: Place) -> None:
    [first] = await place.calls(1)
    bulky = carry_bulk(first)
    place.is_silent = True
    waiting = [place.call(), place.call()]
    await turns()
    assert not any(caller.is_told for caller in waiting)
    clock_of(place.peers.near).advance(0.5)
    assert [caller.peer for caller in waiting] == [bulky, bulky]


# Failures -----------------------------------------------------------------------------------------------------------


async def test_a_failed_connect_is_told_to_exactly_those_who_waited(place: Place) -> None:
    elsewhere = await place.calls(1, "elsewhere")
    place.listener.address = busy_address(place)
    callers = [place.call() for _ in range(3)]
    assert not any(caller.is_told for caller in callers)
    clock_of(place.peers.near).advance(12)
    assert {type(caller.error) for caller in callers} == {ConnectTimeout}
    assert len({caller.error for caller in callers}) == 1
    assert (place.dials, elsewhere[0].error) == (2, None)


async def test_after_a_failure_the_next_one_tries_again(place: Place) -> None:
    good = place.listener.address
    place.listener.address = (good[0], free_port(good[0]))
    assert isinstance(place.call().error, ConnectionFailed)  # within the call: between neighbours the kernel knows
    assert place.pool._places == {}
    place.listener.address = good
    assert (await place.calls(1))[0].peer is not None
    assert place.dials == 2


async def test_who_asks_again_at_once_is_served(place: Place) -> None:
    """`failed` may call `request`: a retry is not lost among those who failed."""
    good = place.listener.address
    place.listener.address = (good[0], free_port(good[0]))
    retry = Caller()

    def again(_: HboneError) -> None:
        place.listener.address = good
        place.pool.request("here", place.dial, retry.ready, retry.failed)

    place.pool.request("here", place.dial, retry.ready, again)
    await until(lambda: retry.is_told, "the retry served")
    assert retry.peer is not None


@pytest.mark.parametrize(("step", "error"), [("connect", ConnectTimeout), ("tls", TlsTimeout)])
async def test_a_step_that_takes_too_long_is_told(place: Place, step: str, error: type[HboneError]) -> None:
    place.is_silent = True
    if step == "connect":
        place.listener.address = busy_address(place)
    caller = place.call()
    await turns()
    clock_of(place.peers.near).advance(12)
    assert isinstance(caller.error, error)
    assert len(place.pool) == 0


def busy_address(place: Place) -> SocketAddress:
    """A listener that has all it can wait for: the kernel answers no further SYN."""
    sock = listening_socket(loopback_address(), 0)
    sock.listen(0)
    place.held.append(sock)
    address: SocketAddress = sock.getsockname()
    for _ in range(4):
        filler = outgoing_socket(address, SocketOptions())
        filler.connect_ex(address)
        place.held.append(filler)
    return address


async def test_credentials_that_cannot_be_used_are_told(place: Place, problems: list[dict[str, Any]]) -> None:
    """The peer cannot even be made: nobody may be left waiting, now or later."""
    place.peers.client_context = None  # type: ignore[assignment]
    callers = await place.calls(2) + await place.calls(1)
    assert all("unexpected error" in str(caller.error) for caller in callers)
    assert (place.dials, len(problems)) == (3, 3)


async def test_one_that_cannot_use_its_peer_keeps_no_other_waiting(
    place: Place, problems: list[dict[str, Any]]
) -> None:
    def broken(_: Peer) -> None:
        raise RuntimeError("what for?")

    place.pool.request("here", place.dial, broken, Caller().failed)
    assert (await place.calls(1))[0].peer is not None
    assert [str(problem["exception"]) for problem in problems] == ["what for?"]


# Ends ---------------------------------------------------------------------------------------------------------------


async def test_a_lost_connection_is_not_handed_out(place: Place) -> None:
    (caller,) = await place.calls(1)
    place.accepted[0][0].abort(RuntimeError("the process is gone"))
    await until(lambda: len(place.pool) == 0, "the loss noticed")
    assert place.pool.checkout("here") is None
    assert caller.driver is not None
    assert isinstance(caller.driver.told[-1], HboneError)
    assert (await place.calls(1))[0].peer is not caller.peer


async def test_not_even_to_who_learns_of_the_loss_first(place: Place) -> None:
    """A tunnel's owner that asks again at once must not get the connection that has just been lost."""
    (caller,) = await place.calls(1)
    retry = Caller()

    class Retrying(Driver):
        def tunnel_lost(self, error: HboneError) -> None:
            assert place.pool.checkout("here") is None
            place.pool.request("here", place.dial, retry.ready, retry.failed)

    assert caller.peer is not None
    assert caller.driver is not None
    Retrying(caller.driver.stream)
    caller.peer.abort(RuntimeError("lost"))
    await until(lambda: retry.is_told, "the retry served")
    assert retry.peer is not caller.peer
    assert retry.error is None


async def test_after_goaway_there_is_a_new_connection(place: Place) -> None:
    (caller,) = await place.calls(1)
    place.accepted[0][0].drain()
    await until(lambda: place.pool.checkout("here") is None, "GOAWAY read")
    (another,) = await place.calls(1)
    assert another.peer is not caller.peer
    assert caller.driver is not None
    assert caller.driver.told == ["accepted"]
    caller.leave()
    clock_of(place.peers.near).advance(3)
    await until(lambda: place.accepted[0][1].ends, "the drained one closed")
    assert len(place.pool) == 1


async def test_an_unused_connection_is_released(place: Place) -> None:
    """Unused means: no tunnel is open, and none was opened for the idle time."""
    place.pool = Pool(place.peers.near, idle=60)
    clock = clock_of(place.peers.near)
    for _ in range(3):
        (caller,) = await place.calls(1)
        caller.leave()
        clock.advance(50)
        await turns()
    assert (place.dials, len(place.pool)) == (1, 1)
    clock.advance(80)
    assert (len(place.pool), place.pool.checkout("here")) == (0, None)
    await until(lambda: place.accepted[0][1].ends, "the server told")
    assert [str(error) for error in place.accepted[0][1].ends] == ["connection closed by the peer"]


async def test_a_connection_in_use_is_kept(place: Place) -> None:
    place.pool = Pool(place.peers.near, idle=60)
    (caller,) = await place.calls(1)
    for _ in range(20):
        clock_of(place.peers.near).advance(10)
        await turns()
    assert caller.driver is not None
    assert caller.driver.told == ["accepted"]
    assert place.pool.checkout("here") is caller.peer


async def test_over_capacity_an_idle_connection_goes(place: Place) -> None:
    place.pool = Pool(place.peers.near, capacity=2)
    (idle,), (busy,) = await place.calls(1, "idle"), await place.calls(1, "busy")
    idle.leave()
    await place.calls(1, "third")
    await until(lambda: place.accepted[0][1].ends, "the idle one closed")
    assert place.pool.checkout("idle") is None
    assert place.pool.checkout("busy") is busy.peer
    assert len(place.pool) == 2


async def test_a_closed_pool_has_nothing_and_takes_nobody(place: Place) -> None:
    (open_one,) = await place.calls(1)
    waiting = place.call("elsewhere")
    assert not waiting.is_told
    place.pool.close()
    assert isinstance(waiting.error, ConnectionClosing)
    assert open_one.driver is not None
    assert isinstance(open_one.driver.told[-1], ConnectionClosing)
    late = place.call()
    assert isinstance(late.error, ConnectionClosing)
    assert len(place.pool) == 0
    await turns()
    assert place.peers.near.open_sockets == 0


@pytest.mark.parametrize("looks", range(8))
async def test_a_pool_closed_at_any_step_of_a_connect_leaves_nothing(place: Place, looks: int) -> None:
    caller = place.call()
    await turns(looks)
    place.pool.close()
    assert caller.is_told
    await turns()
    assert place.peers.near.open_sockets == 0
    assert not place.peers.near.peers
