"""Workers' shares of 15008: who holds fewest serves next, and whatever fails, whoever has accepted does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hbone_py.aio.reactor import Reactor
from hbone_py.aio.tcp import reset
from tests.support.sockets import close_all, tcp_pair, until
from ztunnel_py.inbound_share import InboundShare, at_work, holder_of_fewest

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator

    from hbone_py.aio.tcp import SocketAddress


QUEUED = int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text())
"""How many messages the kernel keeps for a socket like ours."""


@pytest.mark.parametrize(
    ("counts", "own", "expected"),
    [
        ([0, 0], 1, 1),
        ([1, 0], 1, 1),
        ([1, 0], 0, 1),
        ([3, 3, 2, 2], 0, 2),
        ([3, 3, 2, 2], 3, 3),
        ([7, 2**64 - 1], 0, 0),
    ],
)
def test_who_holds_fewest_is_next_and_who_has_accepted_before_its_equals(
    counts: list[int], own: int, expected: int
) -> None:
    assert holder_of_fewest(counts, own) == expected


GONE = 2**64 - 1


@pytest.mark.parametrize(
    ("beats", "expected"),
    [
        pytest.param([10_000, 9_500, 8_001], [5, 3, 0], id="all at work"),
        pytest.param([10_000, 9_500, 8_000], [5, 3, GONE], id="one is stuck"),
        pytest.param([0, 0, 0], [5, GONE, GONE], id="but not we"),
        pytest.param([10_000, 10_010, 10_020], [5, 3, 0], id="a moment after us"),
    ],
)
def test_who_shows_no_sign_of_life_is_given_nothing(beats: list[int], expected: list[int]) -> None:
    assert at_work([5, 3, 0], beats, 0, 10_000) == expected


class Worker:
    """A share, and what it was given to serve."""

    def __init__(self, folder: Path, number: int) -> None:
        self.taken: list[tuple[SocketAddress, SocketAddress]] = []
        self.sockets: list[socket.socket] = []
        self.share = InboundShare(Reactor.current(), folder, number, 2, self.take)

    def take(self, sock: socket.socket, client: SocketAddress, local: SocketAddress) -> None:
        self.sockets.append(sock)
        self.taken.append((client, local))
        self.share.holds(len(self.taken))

    def end(self) -> None:
        self.share.leave()
        for sock in self.sockets:
            sock.close()


@pytest.fixture
async def workers(tmp_path: Path) -> AsyncIterator[list[Worker]]:
    both = [Worker(tmp_path, number) for number in range(2)]
    yield both
    for one in both:
        one.end()
    close_all()
    Reactor.current().close()


async def test_a_connection_goes_to_whoever_holds_fewer_and_lives_there(workers: list[Worker]) -> None:
    first, second = workers
    accepted, client = tcp_pair()
    addresses = client.getsockname(), accepted.getsockname()
    assert not first.share.give(accepted), "both hold none"
    first.share.holds(1)
    assert first.share.give(accepted)
    assert accepted.fileno() < 0, "the giver keeps nothing open"
    await until(lambda: second.taken, "the connection taken")
    assert second.taken == [addresses]
    assert not second.sockets[0].getblocking()
    second.sockets[0].send(b"served here")
    assert client.recv(100) == b"served here"


async def test_what_is_on_its_way_counts(workers: list[Worker]) -> None:
    first, second = workers
    first.share.holds(2)
    sent = [tcp_pair()[0] for _ in range(3)]
    assert [first.share.give(sock) for sock in sent] == [True, True, False]
    await until(lambda: len(second.taken) == 2, "both taken")


async def test_who_has_left_is_given_nothing_and_gives_nothing(workers: list[Worker]) -> None:
    first, second = workers
    first.share.holds(5)
    second.share.leave()
    second.share.leave()
    second.share.holds(0)
    accepted, _ = tcp_pair()
    assert not first.share.give(accepted)
    assert not second.share.give(accepted)


async def test_the_dead_are_found_out_and_their_successors_found(workers: list[Worker], tmp_path: Path) -> None:
    first, second = workers
    first.share.holds(5)
    second.share._post.close()  # as by SIGKILL: its count stays, and its path
    accepted, _ = tcp_pair()
    assert not first.share.give(accepted)
    successor = Worker(tmp_path, 1)
    assert first.share.give(accepted)
    await until(lambda: successor.taken, "the connection taken")
    successor.end()


async def test_who_is_stuck_is_given_nothing_until_it_goes_on(workers: list[Worker]) -> None:
    first, second = workers
    first.share.holds(5)
    second.share._timer.cancel()  # as where its loop turns no more
    second.share._beats[1] -= 2_000
    accepted, _ = tcp_pair()
    assert not first.share.give(accepted)
    second.share._beat()
    assert first.share.give(accepted)
    await until(lambda: second.taken, "the connection taken")


async def test_signs_of_life_go_on(workers: list[Worker]) -> None:
    beats, seen = workers[0].share._beats, workers[1].share._beats[0]
    await until(lambda: beats[0] > seen, "another")


async def test_a_queue_that_is_full_is_nobodys_end(workers: list[Worker]) -> None:
    first, second = workers
    first.share.holds(10_000)
    accepted, _ = tcp_pair()
    given: list[bool] = []
    while len(given) < QUEUED + 2 and (not given or given[-1]):
        with accepted.dup() as another:
            given.append(first.share.give(another))
    assert not given[-1], "more than the kernel queues"
    await until(lambda: len(second.taken) == sum(given), "all that were given taken")


async def test_a_client_that_has_gone_meanwhile_is_let_go(workers: list[Worker]) -> None:
    first, second = workers
    first.share.holds(1)
    accepted, client = tcp_pair()
    reset(client)
    assert first.share.give(accepted)
    another, _ = tcp_pair()
    first.share.holds(9)
    assert first.share.give(another)
    await until(lambda: second.taken, "the next one taken")
    assert len(second.taken) == 1
