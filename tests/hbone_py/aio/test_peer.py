"""Peer: TLS, HTTP/2 and the socket as one thing, from the first byte to the farewell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hbone_py.config import KIB, Deadlines, Http2Config
from hbone_py.errors import (
    ConnectionLost,
    ErrorCode,
    HboneError,
    PeerIdentityError,
    RemoteProtocolError,
    SettingsTimeout,
    TlsError,
    TlsHandshakeError,
    TlsTimeout,
)
from tests.support.frames import DATA, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, Frame, connect, ping, settings
from tests.support.peers import Driver, Owner, client_tls, clock_of, up
from tests.support.sockets import tcp_pair, turns, until

if TYPE_CHECKING:
    from hbone_py import events as ev
    from hbone_py.aio.peer import Peer
    from hbone_py.identity import SpiffeId
    from tests.support.certificates import MeshCertificates
    from tests.support.peers import PeerMaker, PeerPair


# Coming up ----------------------------------------------------------------------------------------------------------


async def test_two_peers_come_up_and_know_each_other(peers: PeerMaker) -> None:
    pair = await up(peers)
    assert [str(name) for name in pair.client.identities] == ["spiffe://cluster.local/ns/default/sa/server"]
    assert str(pair.server.identity) == "spiffe://cluster.local/ns/default/sa/client"
    assert (pair.client_owner.ups, pair.server_owner.ups) == (1, 1)


@pytest.mark.parametrize("who", ["client", "server"])
async def test_a_peer_that_says_nothing_is_given_up(peers: PeerMaker, who: str) -> None:
    owner = Owner()
    deadlines = Deadlines(tls=3)
    peer, puppet = getattr(peers, f"facing_{who}")(owner, deadlines=deadlines)
    await turns()
    clock_of(peer.reactor).advance(2.9)
    assert owner.ends == []
    clock_of(peer.reactor).advance(1)
    assert [type(error) for error in owner.ends] == [TlsTimeout]
    assert (await puppet.app.hear_all()).ended in ("eof", "reset")
    assert (owner.ups, peer.is_up) == (0, False)


@pytest.mark.parametrize("who", ["client", "server"])
async def test_a_peer_without_settings_is_given_up(peers: PeerMaker, who: str) -> None:
    owner = Owner()
    peer, puppet = getattr(peers, f"facing_{who}")(owner, deadlines=Deadlines(tls=3, settings=5))
    await puppet.shake_hands()
    await until(lambda: peer.tls.handshake_done, "hands shaken")
    clock_of(peer.reactor).advance(4.9)
    assert owner.ends == []
    clock_of(peer.reactor).advance(1)
    assert [type(error) for error in owner.ends] == [SettingsTimeout]


@pytest.mark.parametrize("who", ["client", "server"])
@pytest.mark.parametrize("how", ["no TLS", "end of file", "reset"])
async def test_a_handshake_that_fails_says_why(peers: PeerMaker, who: str, how: str) -> None:
    owner = Owner()
    _, puppet = getattr(peers, f"facing_{who}")(owner)
    await turns()
    if how == "no TLS":
        puppet.say_raw(b"GET / HTTP/1.1\r\nHost: example\r\n\r\n")
    elif how == "end of file":
        puppet.app.end()
    else:
        puppet.app.reset()
    await until(lambda: owner.ends, "the peer given up")
    assert isinstance(owner.ends[0], TlsError if how != "reset" else ConnectionLost)
    assert str(owner.ends[0]) != ""


async def test_a_client_that_is_refused_reads_the_alert(peers: PeerMaker, certificates: MeshCertificates) -> None:
    """In TLS 1.3 it believes itself in until its first read (hbone-dataplane 13)."""
    peers.client_context = client_tls(certificates.stranger, certificates.server)
    pair = peers.pair()
    await until(lambda: pair.client_owner.ends and pair.server_owner.ends, "both told")
    theirs, ours = pair.client_owner.ends[0], pair.server_owner.ends[0]
    assert isinstance(theirs, TlsError)
    assert "alert" in str(theirs)
    assert isinstance(ours, TlsHandshakeError)
    assert "certificate verify failed" in str(ours)


async def test_a_client_refuses_whoever_it_did_not_expect(peers: PeerMaker) -> None:
    refused = PeerIdentityError("not whom we expect")

    def check(_: tuple[SpiffeId, ...]) -> None:
        raise refused

    owner = Owner()
    near, far = tcp_pair()
    server = Owner()
    peers.server(far, server).start()
    peers.client(near, owner, check=check).start()
    await until(lambda: owner.ends and server.ends, "both told")
    assert owner.ends == [refused]
    assert (owner.ups, server.ups, server.requests) == (0, 0, [])


async def test_a_server_refuses_whoever_it_will_not_have(peers: PeerMaker) -> None:
    refused = PeerIdentityError("of another trust domain")

    def check(_: tuple[SpiffeId, ...]) -> None:
        raise refused

    owner, client = Owner(), Owner()
    near, far = tcp_pair()
    peers.server(far, owner, check=check).start()
    peers.client(near, client).start()
    await until(lambda: owner.ends and client.ends, "both told")
    assert owner.ends == [refused]
    assert (owner.ups, client.ups) == (0, 0)
    assert isinstance(client.ends[0], HboneError)


# Faults -------------------------------------------------------------------------------------------------------------


async def test_a_fault_of_http2_is_told_to_both(peers: PeerMaker) -> None:
    owner = Owner()
    _, puppet = peers.facing_server(owner)
    await puppet.shake_hands()
    puppet.say(PREFACE, settings(), Frame(DATA, 0, 5, b"nobody opened this"))
    goaway = await puppet.hear(GOAWAY)
    assert goaway.payload[4:8] == ErrorCode.PROTOCOL_ERROR.to_bytes(4)
    await until(lambda: owner.ends, "the owner told")
    assert isinstance(owner.ends[0], RemoteProtocolError)
    assert owner.ends[0].code == ErrorCode.PROTOCOL_ERROR


@pytest.mark.parametrize("one", [pytest.param(ping(), id="PING"), pytest.param(settings(), id="SETTINGS")])
async def test_a_flood_keeps_no_neighbour_waiting(peers: PeerMaker, one: Frame) -> None:
    """One read may hold a second's work."""
    owner = Owner()
    flooded, flooder = peers.facing_server(owner)
    _, neighbour = peers.facing_server()
    for puppet in (flooder, neighbour):
        await puppet.shake_hands()
        puppet.say(PREFACE, settings())
    flooder.say(connect(1))
    await until(lambda: len(owner.requests) == 1, "up")
    flooder.say(*[one] * 7000, connect(3))
    neighbour.say(ping())
    await neighbour.hear(PING)
    assert len(owner.requests) == 1
    await until(lambda: len(owner.requests) == 2, "all heard")
    assert not flooded.is_closed


# Broken owners ------------------------------------------------------------------------------------------------------


class Broken(Driver):
    """Every word is too much for it."""

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("tunnel_"):
            raise RuntimeError(f"broken at {name}")
        return super().__getattribute__(name)


async def test_a_broken_driver_ends_its_own_stream_only(peers: PeerMaker, problems: list[dict[str, Any]]) -> None:
    pair = await up(peers)
    sound, _ = await pair.open()
    near, far = await pair.open()
    near.stream.owner = Broken(near.stream)
    pair.server.engine.end(far.stream)
    pair.server.reactor.touch(pair.server)
    await until(lambda: ("reset", ErrorCode.INTERNAL_ERROR, True) in far.told, "its stream reset")
    assert sound.told == ["accepted"]
    await pair.open()
    assert [str(problem["exception"]) for problem in problems] == ["broken at tunnel_ended", "broken at tunnel_lost"]


async def test_a_broken_driver_keeps_no_loss_from_the_others(peers: PeerMaker, problems: list[dict[str, Any]]) -> None:
    pair = await up(peers)
    first, _ = await pair.open()
    first.stream.owner = Broken(first.stream)
    sound, _ = await pair.open()
    pair.client.close()
    assert isinstance(sound.told[-1], ConnectionLost)
    assert pair.client_owner.ends == [None]
    assert len(problems) == 1


async def test_a_broken_owner_of_a_request_resets_it(peers: PeerMaker, problems: list[dict[str, Any]]) -> None:
    class Overwhelmed(Owner):
        def tunnel_requested(self, peer: Peer, event: ev.TunnelRequested) -> None:
            if event.stream_id == 1:
                raise RuntimeError("too much")
            super().tunnel_requested(peer, event)

    _, puppet = peers.facing_server(Overwhelmed())
    await puppet.shake_hands()
    puppet.say(PREFACE, settings(), connect(1), connect(3))
    assert (await puppet.hear(RST_STREAM)).payload == ErrorCode.INTERNAL_ERROR.to_bytes(4)
    assert (await puppet.hear(HEADERS)).stream_id == 3
    assert len(problems) == 1


# Memory -------------------------------------------------------------------------------------------------------------


async def fill(pair: PeerPair, near: Driver, far: Driver, size: int) -> None:
    """The client says `size` bytes that nobody reads."""
    assert pair.client.engine.send(near.stream, bytes(size)) == size
    pair.client.reactor.touch(pair.client)
    await until(lambda: far.stream.unread == size, f"{size} bytes unread")


async def test_over_the_budget_the_greediest_streams_are_reset(
    peers: PeerMaker, caplog: pytest.LogCaptureFixture
) -> None:
    pair, other = await up(peers), await up(peers)
    sizes = {30 * KIB: pair, 200 * KIB: pair, 100 * KIB: other, 5 * KIB: other}
    held = {size: (await where.open()) for size, where in sizes.items()}
    for size, (near, far) in held.items():
        await fill(sizes[size], near, far, size)
    peers.far.ledger.set_limit(300 * KIB)
    near, far = await pair.open()
    await until(lambda: peers.far.streams_shed, "memory watched")
    assert [("reset", ErrorCode.ENHANCE_YOUR_CALM, False) in far.told for _, far in held.values()] == [
        False,
        True,
        False,
        False,
    ]
    assert peers.far.ledger.used == 135 * KIB
    await until(lambda: ("reset", ErrorCode.ENHANCE_YOUR_CALM, True) in held[200 * KIB][0].told, "the sender told")
    assert "204800 bytes dropped" in caplog.text
    for peer in peers.made:
        peer.close()


async def test_a_stream_that_is_over_counts_too(peers: PeerMaker) -> None:
    """Both sides have ended; what its slow application has not read is held all the same."""
    pair = await up(peers)
    near, far = await pair.open()
    await fill(pair, near, far, 200 * KIB)
    pair.client.engine.end(near.stream)
    pair.server.engine.end(far.stream)
    pair.client.reactor.touch(pair.client)
    pair.server.reactor.touch(pair.server)
    await until(lambda: not pair.server.engine.streams, "the stream over")
    pair.server.close()
    assert peers.far.ledger.used == 200 * KIB
    peers.far.ledger.set_limit(100 * KIB)
    peers.far.again(Quiet())
    await until(lambda: peers.far.streams_shed, "memory watched")
    assert peers.far.ledger.used == 0
    assert far.told[-1] == ("reset", ErrorCode.ENHANCE_YOUR_CALM, False)


class Quiet:
    """A pollable whose only wish is a turn."""

    def on_ready(self, mask: int) -> None: ...

    def on_again(self) -> None: ...

    def abort(self, error: Exception) -> None:
        raise AssertionError(error)


async def test_near_the_budget_new_connections_get_small_windows(peers: PeerMaker) -> None:
    pair = await up(peers)
    near, far = await pair.open()
    peers.far.ledger.set_limit(400 * KIB)
    await fill(pair, near, far, 300 * KIB)
    assert peers.far.ledger.is_near
    cramped = await up(peers)
    assert cramped.client.engine.send_window == 1024 * KIB
    late, _ = await cramped.open()
    assert late.stream.send_window == 256 * KIB
    pair.server.engine.consumed(far.stream, 300 * KIB)
    roomy = await up(peers)
    assert roomy.client.engine.send_window == 64 * 1024 * KIB
    assert peers.far.streams_shed == 0


async def test_near_the_budget_credit_is_owed_and_returned_later(peers: PeerMaker) -> None:
    config = Http2Config(stream_window=64 * KIB, connection_window=256 * KIB)
    hog, modest = await up(peers), await up(peers, server_config=config)
    near, far = await hog.open()
    peers.far.ledger.set_limit(400 * KIB)
    await fill(hog, near, far, 320 * KIB)
    reader, writer = (await modest.open())[::-1]
    await fill(modest, writer, reader, 64 * KIB)
    modest.server.engine.consumed(reader.stream, 64 * KIB)
    modest.server.reactor.touch(modest.server)
    await turns()
    assert writer.stream.send_window == 0
    hog.server.engine.consumed(far.stream, 320 * KIB)
    hog.server.reactor.touch(hog.server)
    await until(lambda: writer.stream.send_window == 64 * KIB, "credit returned")
