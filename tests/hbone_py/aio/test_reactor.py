"""The reactor: edges reach their owner once, turns are fair, and a broken handler hurts nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

import pytest

from hbone_py.aio.reactor import ARRIVAL, BROKEN, CLOSING, READABLE, SHORT_PIECES, WRITABLE, Reactor
from hbone_py.aio.tcp import reset
from tests.support.pollables import Note, registered
from tests.support.sockets import tcp_pair, turns, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py.aio.peer import Peer
    from tests.support.peers import PeerMaker

# One for each loop --------------------------------------------------------------------------------------------------


async def test_a_loop_has_one(reactor: Reactor) -> None:
    assert Reactor.current() is reactor is Reactor.current()


async def test_a_closed_one_makes_room_for_the_next(reactor: Reactor) -> None:
    reactor.close()
    another = Reactor.current()
    assert another is not reactor
    another.close()
    another.close()


def test_those_of_closed_loops_are_let_go() -> None:
    async def make() -> Reactor:
        return Reactor.current()

    first = asyncio.run(make())
    second = asyncio.run(make())
    assert first._epoll.closed
    assert not second._epoll.closed
    second.close()


# Edges --------------------------------------------------------------------------------------------------------------


async def test_of_a_new_socket_that_says_nothing_nothing_is_told(reactor: Reactor) -> None:
    note = Note()
    with registered(reactor, note):
        await turns()
        assert note.edges == []


async def test_what_a_new_socket_has_to_read_is_told_once(reactor: Reactor) -> None:
    note = Note()
    near, far = tcp_pair()
    far.send(b"x")
    reactor.register(near.fileno(), note)
    await until(lambda: note.edges, "the byte told that was there before")
    await turns()
    assert note.edges == [ARRIVAL]
    reactor.unregister(near.fileno())


async def test_each_arrival_is_told_and_nothing_else(reactor: Reactor) -> None:
    note = Note()
    with registered(reactor, note) as (far,):
        await turns()
        note.edges.clear()
        far.send(b"x")
        await until(lambda: note.told & READABLE, "the first byte told")
        count = len(note.edges)
        await turns()
        assert len(note.edges) == count
        far.send(b"y")
        await until(lambda: len(note.edges) > count, "the second byte told")


@pytest.mark.parametrize(("leave", "expected"), [("end", CLOSING & ~BROKEN), ("reset", CLOSING)])
async def test_a_hang_up_is_told(reactor: Reactor, leave: str, expected: int) -> None:
    note = Note()
    with registered(reactor, note) as (far,):
        await turns()
        if leave == "end":
            far.shutdown(socket.SHUT_WR)
        else:
            reset(far)
        await until(lambda: note.told & CLOSING, "the end told")
        assert note.told & expected
        assert bool(note.told & BROKEN) == (leave == "reset")


async def test_who_is_not_registered_is_not_told(reactor: Reactor) -> None:
    note = Note()
    with registered(reactor, note) as (far,):
        await turns()
        note.edges.clear()
        for fd in list(reactor._sockets):
            reactor.unregister(fd)
            reactor.unregister(fd)
        far.send(b"x")
        await turns()
        assert note.edges == []


async def test_an_old_sockets_edge_never_reaches_the_next_owner_of_its_number(reactor: Reactor) -> None:
    """Both sockets have something to read; the first handler closes the second socket and opens a new one."""
    newcomer = Note()
    victim_near, victim_far = tcp_pair()
    spare: list[socket.socket] = []

    def replace() -> None:
        if spare:
            return
        reactor.forget(number)
        victim_near.close()
        spare.extend(socket.socketpair())
        reached = next(sock for sock in spare if sock.fileno() == number)
        reached.setblocking(False)
        reactor.register(number, newcomer)

    first, second = Note(), Note()
    number = victim_near.fileno()
    with registered(reactor, first) as (far,):
        reactor.register(number, second)
        await turns()
        first.act = replace
        far.send(b"x")
        victim_far.send(b"y")
        await until(lambda: spare, "the number taken over")
        await turns()
        assert newcomer.edges == []
        spare[0 if spare[1].fileno() == number else 1].send(b"z")
        await until(lambda: newcomer.told & READABLE, "what its own socket brings told")
    for sock in spare:
        reactor.unregister(sock.fileno())
        sock.close()


# Turns --------------------------------------------------------------------------------------------------------------


async def test_again_gives_one_more_turn(reactor: Reactor) -> None:
    note = Note()
    reactor.again(note)
    reactor.again(note)
    await turns()
    assert note.turns == 1


async def test_who_always_wants_another_turn_leaves_room_for_others(reactor: Reactor) -> None:
    def once_more() -> None:
        if hog.turns < 100_000:
            reactor.again(hog)

    hog, modest = Note(once_more), Note()
    reactor.again(hog)
    with registered(reactor, modest) as (far,):
        await turns()
        far.send(b"x")
        await until(lambda: modest.told & READABLE, "the modest one told")
        assert hog.turns < 100_000
    hog.act = None
    await turns()


async def test_who_stands_in_line_has_one_turn_after_the_other(reactor: Reactor) -> None:
    """And whatever the kernel reports between two of them is told first."""
    told: list[str] = []
    small, peer = tcp_pair()

    def bulk(name: str) -> Note:
        def act() -> None:
            told.append(name)
            small.send(b"x")
            reactor.short_pieces = SHORT_PIECES
            if len(told) < 12:
                reactor.later(note)

        note = Note(act)
        return note

    def hear() -> None:
        with contextlib.suppress(BlockingIOError):
            told.append(f"small after {told[-1]}" if peer.recv(10) else "")

    reader = Note(hear)
    reactor.register(peer.fileno(), reader)
    await turns()
    for name in "abc":
        reactor.later(bulk(name))
    await until(lambda: len(told) >= 12, "everybody in line had several turns")
    await turns()
    reactor.unregister(peer.fileno())
    assert told[:6] == ["a", "small after a", "b", "small after b", "c", "small after c"]
    assert told[6:12] == told[:6]


@pytest.mark.parametrize(("somebody_talks", "expected"), [(True, 5), (False, 0)])
async def test_the_core_is_offered_to_whoever_talks_after_each_piece(
    reactor: Reactor, monkeypatch: pytest.MonkeyPatch, somebody_talks: bool, expected: int
) -> None:
    offers = 0

    def offered() -> None:
        nonlocal offers
        offers += 1

    monkeypatch.setattr("os.sched_yield", offered)
    reactor.short_pieces = SHORT_PIECES if somebody_talks else 0
    bulk = Note(lambda: reactor.later(bulk) if bulk.turns < 5 else None)
    reactor.later(bulk)
    await until(lambda: bulk.turns == 5, "five pieces moved")
    await turns()
    assert offers == expected


def listener(peer: Peer, told: list[str]) -> Callable[[str], None]:
    """Tells who was served, and "written" when the connection it then touches is."""

    def hear(name: str) -> None:
        told.append(name)
        if not peer.is_dirty:
            peer.reactor.at_batch_end(lambda: told.append("written"))
        peer.reactor.touch(peer)

    return hear


@pytest.mark.parametrize(
    ("ready", "expected"),
    [("ab", ["a", "b", "late", "written"]), ("a", ["a", "written", "late", "written"])],
)
async def test_who_comes_while_a_few_are_served_is_written_with_them(
    peers: PeerMaker, ready: str, expected: list[str]
) -> None:
    """Somebody who is alone waits for nobody."""
    told: list[str] = []
    peer, _ = peers.facing_server()
    reactor = peers.far

    hear = listener(peer, told)

    def say(name: str) -> None:
        hear(name)
        if name == "a":
            late_far.send(b"x")

    notes = [Note(lambda name=name: say(name)) for name in ready]  # type: ignore[misc]
    with registered(reactor, Note(lambda: say("late"))) as (late_far,), registered(reactor, *notes) as far:
        await turns()
        for one in far:
            one.send(b"x")
        await until(lambda: told.count("written") == expected.count("written"), "all written")
    assert told == expected


@pytest.mark.parametrize(
    ("sockets", "bulk", "expected"),
    [(4, False, ["a", "late", "written"]), (1, False, ["a", "written"]), (4, True, ["a", "written"])],
)
async def test_in_a_crowd_whoever_waits_for_our_core_is_written_with_who_was_ready(
    peers: PeerMaker, monkeypatch: pytest.MonkeyPatch, sockets: int, bulk: bool, expected: list[str]
) -> None:
    """Nobody else's turn is waited for where few talk, or where bulk has moved since many did."""
    told: list[str] = []
    peer, _ = peers.facing_server()
    reactor = peers.far

    say = listener(peer, told)

    notes = [Note(lambda name=name: say(name)) for name in "abcd"[:sockets]]  # type: ignore[misc]
    with registered(reactor, Note(lambda: say("late"))) as (late_far,), registered(reactor, *notes) as far:
        for number in range(1, 11):
            for one in far:
                one.send(b"x")
            await until(lambda number=number: told.count("a") == number, "served once more")  # type: ignore[misc]
            await turns()
        if bulk:
            reactor.later(Note())
            await turns()
        monkeypatch.setattr("os.sched_yield", lambda: late_far.send(b"x"))
        told.clear()
        far[0].send(b"x")
        await until(lambda: "written" in told, "written")
    assert told == expected


async def test_a_storm_of_handshakes_leaves_others_their_turns(reactor: Reactor) -> None:
    """So many steps a batch; who had no time for one has it later, and nobody is forgotten."""
    order: list[str] = []

    class Stranger(Note):
        def on_ready(self, mask: int) -> None:
            if reactor.has_time():
                order.append("step")
            else:
                reactor.later(self)

        def on_again(self) -> None:
            order.append("step")

    strangers = [Stranger() for _ in range(100)]
    quick = Note(lambda: order.append("quick"))
    with registered(reactor, *strangers, quick, told=True):
        await until(lambda: order.count("step") == 100, "everybody has had a step")
    assert order.index("quick") <= 32
    assert order.count("quick") == 1


async def test_a_place_in_line_is_had_once(reactor: Reactor) -> None:
    note = Note()
    reactor.later(note)
    reactor.later(note)
    await turns()
    assert note.turns == 1


async def test_a_broken_piece_stops_nobody_in_line(reactor: Reactor, problems: list[dict[str, Any]]) -> None:
    def fail() -> None:
        raise RuntimeError("broken piece")

    broken, sound = Note(fail), Note()
    reactor.later(broken)
    reactor.later(sound)
    await turns()
    assert (len(broken.aborts), sound.turns) == (1, 1)
    assert [str(problem["exception"]) for problem in problems] == ["broken piece"]


async def test_a_hundred_thousand_edges_are_no_more_than_a_batch_at_a_time(reactor: Reactor) -> None:
    notes = [Note() for _ in range(600)]
    with registered(reactor, *notes, told=True):
        await until(lambda: all(note.told & WRITABLE for note in notes), "all told, in several batches")


# A socket that changes hands ----------------------------------------------------------------------------------------


async def test_a_socket_handed_on_keeps_its_edges(reactor: Reactor) -> None:
    near, far = tcp_pair()
    taker = Note()

    def hand_on() -> None:
        if not taker.edges:
            reactor.hand_on(near, giver.edges[-1])
            reactor.register(near.fileno(), taker)
            reactor.take_back(near.fileno())

    giver = Note(hand_on)
    far.send(b"hello")
    far.shutdown(socket.SHUT_WR)
    reactor.register(near.fileno(), giver)
    await until(lambda: taker.edges, "the next owner told")
    assert taker.told & CLOSING
    reactor.unregister(near.fileno())


async def test_what_the_same_batch_reports_of_it_later_is_for_the_next_owner(reactor: Reactor) -> None:
    (one, far_one), (two, far_two) = tcp_pair(), tcp_pair()
    taker = Note()

    def hand_on() -> None:
        if first.told & READABLE and not taker.edges:
            reactor.hand_on(two, 0)
            reactor.register(two.fileno(), taker)

    first, second = Note(hand_on), Note()
    reactor.register(one.fileno(), first)
    reactor.register(two.fileno(), second)
    await turns()
    far_one.send(b"now")
    far_two.send(b"hello")
    await until(lambda: taker.told & READABLE, "the next owner told")
    assert not second.told & READABLE
    for sock in (one, two):
        reactor.unregister(sock.fileno())


async def test_a_socket_that_nobody_takes_over_is_let_go(reactor: Reactor) -> None:
    near, far = tcp_pair()
    giver = Note()
    reactor.register(near.fileno(), giver)
    await turns()
    reactor.hand_on(near, WRITABLE)
    reactor.take_back(near.fileno())
    giver.edges.clear()
    far.send(b"x")
    await turns()
    assert giver.edges == []
    assert reactor.open_sockets == 0


async def test_a_socket_closed_while_it_changes_hands_leaves_its_number_usable(reactor: Reactor) -> None:
    near, _ = tcp_pair()
    number = near.fileno()
    reactor.register(number, Note())
    await turns()
    reactor.hand_on(near, WRITABLE)
    near.close()
    one, other = socket.socketpair()
    reached, far = (one, other) if one.fileno() == number else (other, one)
    assert reached.fileno() == number
    reached.setblocking(False)
    newcomer = Note()
    reactor.register(number, newcomer)
    reactor.take_back(number)
    far.send(b"x")
    await until(lambda: newcomer.told & READABLE, "the newcomer told")
    reactor.unregister(number)
    one.close()
    other.close()


# Broken handlers ----------------------------------------------------------------------------------------------------


def fail() -> None:
    raise RuntimeError("a broken handler")


async def test_a_broken_handler_is_aborted_and_told_of(reactor: Reactor, problems: list[dict[str, Any]]) -> None:
    broken, sound = Note(fail), Note()
    with registered(reactor, broken, sound, told=True):
        await until(lambda: sound.edges, "the sound one told")
    assert [str(error) for error in broken.aborts] == ["a broken handler"]
    assert [str(problem["exception"]) for problem in problems] == ["a broken handler"]


async def test_a_broken_turn_is_aborted_and_told_of(reactor: Reactor, problems: list[dict[str, Any]]) -> None:
    broken, sound = Note(fail), Note()
    reactor.again(broken)
    reactor.again(sound)
    await turns()
    assert (len(broken.aborts), sound.turns) == (1, 1)
    assert len(problems) == 1


async def test_not_even_a_broken_abort_stops_the_others(reactor: Reactor, problems: list[dict[str, Any]]) -> None:
    class Hopeless(Note):
        def abort(self, error: Exception) -> None:
            raise RuntimeError("a broken abort") from error

    broken, sound = Hopeless(fail), Note()
    with registered(reactor, broken, sound, told=True):
        await until(lambda: sound.edges, "the sound one told")
        reactor.again(sound)
        await until(lambda: sound.turns, "the sound one's turn")
    assert [str(problem["exception"]) for problem in problems] == ["a broken handler", "a broken abort"]


# What is put off to the end of a batch ------------------------------------------------------------------------------


async def test_it_is_called_once_when_the_batch_is_over(reactor: Reactor) -> None:
    said: list[str] = []

    def handle() -> None:
        reactor.at_batch_end(lambda: said.append("afterwards"))
        said.append("handled")

    first, second = Note(handle), Note(handle)
    with registered(reactor, first, second, told=True):
        await until(lambda: "afterwards" in said, "called")
        assert said == ["handled", "handled", "afterwards", "afterwards"]


async def test_outside_a_batch_it_is_called_soon_and_a_broken_one_hurts_nobody(
    reactor: Reactor, problems: list[dict[str, Any]]
) -> None:
    said: list[str] = []

    def again() -> None:
        said.append("one")
        reactor.at_batch_end(lambda: said.append("another"))

    def broken() -> None:
        raise ValueError("broken")

    reactor.at_batch_end(broken)
    reactor.at_batch_end(again)
    assert said == []
    await until(lambda: said == ["one", "another"], "called")
    assert [type(problem["exception"]) for problem in problems] == [ValueError]
