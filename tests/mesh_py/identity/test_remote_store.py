"""Certificates from an authority that takes its time: ahead, on demand, renewed, retried, forgotten.

The clock is the test's; what happens on the loop is waited for, never slept for.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
from typing import TYPE_CHECKING

import pytest

from hbone_py.errors import TlsConfigError
from hbone_py.identity import SpiffeId
from hbone_py.tls import TlsSettings
from mesh_py.identity.ca_client import SigningFailed
from mesh_py.identity.certificates import CertificatePending, CertificateUnavailable
from mesh_py.identity.local_ca import LocalCa
from mesh_py.identity.remote_store import AT_ONCE, RemoteStore, retry_delay
from mesh_py.identity.sources import OwnAuthority
from tests.support.processes import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hbone_py.tls.credentials import Credentials

START = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
HOUR = datetime.timedelta(hours=1)
LOGGER = "mesh_py.identity.remote_store"


def who(name: str | int) -> SpiffeId:
    return SpiffeId("cluster.local", "shop", str(name))


CART, PAY = who("cart"), who("pay")


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime.datetime:
        return self.now


class Authority:
    """A source whose answers the test holds back, and whose troubles it decides."""

    def __init__(self, clock: Clock) -> None:
        self.signer = OwnAuthority(LocalCa.throw_away(START), clock, HOUR)
        self.asked: list[str] = []
        self.trouble: dict[SpiffeId | None, Exception] = {}
        """By identity; None: everybody's."""
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.at_once = self.most_at_once = 0
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True

    async def fetch(self, identity: SpiffeId) -> Credentials:
        self.asked.append(identity.service_account)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.may_answer.wait()
        finally:
            self.at_once -= 1
        trouble = self.trouble.get(identity) or self.trouble.get(None)
        if trouble is not None:
            raise trouble
        return self.signer.load(identity)


class World:
    """A store that runs, its authority, and its clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.authority = Authority(self.clock)
        self.store = RemoteStore(self.authority, TlsSettings(), self.clock, chance=lambda: 0.5)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[World]:
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self.store.watch())
            yield self
            watch.cancel()

    def advance(self, seconds: float) -> None:
        self.clock.now += datetime.timedelta(seconds=seconds)
        self.store.look_again()

    async def asked(self, count: int) -> list[str]:
        """Wait until so many fetches have been made, and answered."""
        await eventually(lambda: len(self.authority.asked) >= count, f"{count} fetches")
        await eventually(lambda: not self.store._under_way, "every one answered")
        return self.authority.asked

    async def idle(self) -> list[str]:
        """Whatever is due has been done."""
        for _ in range(5):
            await asyncio.sleep(0)
        await eventually(lambda: not self.store._under_way, "every fetch answered")
        return self.authority.asked

    def states(self) -> dict[str, str]:
        return {entry["identity"].rpartition("/")[2]: entry["state"] for entry in self.store.certificates()}


@pytest.fixture
async def world():
    world = World()
    async with world.running():
        yield world


def problem(world: World, identity: SpiffeId) -> str:
    with pytest.raises(CertificateUnavailable) as caught:
        world.store.contexts_for(identity)
    assert not isinstance(caught.value, CertificatePending)
    return caught.value.reason


# Getting one ------------------------------------------------------------------------------------------------------


async def test_who_asks_first_is_told_that_it_is_on_its_way(world):
    with pytest.raises(CertificatePending, match=r"no certificate for \S+/cart: it is being fetched"):
        world.store.contexts_for(CART)
    assert world.states() == {"cart": "Initializing"}
    contexts = await world.store.fetch(CART)
    assert contexts.credentials.identity == CART
    assert world.store.contexts_for(CART) is contexts
    assert world.authority.asked == ["cart"]
    assert world.states() == {"cart": "Available"}


async def test_all_who_wait_share_one_fetch(world):
    answers = await asyncio.gather(*(world.store.fetch(CART) for _ in range(20)))
    assert world.authority.asked == ["cart"]
    assert all(answer is answers[0] for answer in answers)


async def test_who_stops_waiting_harms_nobody(world):
    world.authority.may_answer.clear()
    async with asyncio.TaskGroup() as group:
        first, second = (group.create_task(world.store.fetch(CART)) for _ in range(2))
        await eventually(lambda: world.authority.asked == ["cart"], "asked")
        first.cancel()
        world.authority.may_answer.set()
    assert second.result() is world.store.contexts_for(CART)


async def test_an_answer_is_told_once_to_each(world):
    told: list[str] = []
    world.authority.may_answer.clear()
    with pytest.raises(CertificatePending):
        world.store.contexts_for(CART)
    world.store.on_answer(CART, lambda: told.append("stays"))
    take_back = world.store.on_answer(CART, lambda: told.append("goes"))
    take_back()
    world.authority.may_answer.set()
    await world.asked(1)
    assert told == ["stays"]
    take_back()


async def test_no_more_than_eight_are_fetched_at_once(world):
    world.authority.may_answer.clear()
    for number in range(30):
        world.store.prefetch(who(number))
    await eventually(lambda: world.authority.at_once == AT_ONCE, "all hands busy")
    await asyncio.sleep(0)
    world.authority.may_answer.set()
    await world.asked(30)
    assert world.authority.most_at_once == AT_ONCE
    assert set(world.states().values()) == {"Available"}


async def test_a_connection_goes_before_what_is_fetched_ahead(world):
    world.authority.may_answer.clear()
    for number in range(20):
        world.store.prefetch(who(number))
    await eventually(lambda: world.authority.at_once == AT_ONCE, "all hands busy")
    with pytest.raises(CertificatePending):
        world.store.contexts_for(CART)
    with pytest.raises(CertificatePending):
        world.store.contexts_for(who(19))
    world.authority.may_answer.set()
    asked = await world.asked(21)
    assert asked[AT_ONCE : AT_ONCE + 2] == ["cart", "19"]


async def test_what_is_here_is_not_fetched_ahead_again(world):
    await world.store.fetch(CART)
    world.store.prefetch(CART)
    assert await world.idle() == ["cart"]


async def test_with_the_watch_ends_the_source():
    world = World()
    async with world.running():
        await world.store.fetch(CART)
        assert not world.authority.is_closed
    assert world.authority.is_closed


# Renewing it ------------------------------------------------------------------------------------------------------


async def test_a_renewal_comes_at_half_of_what_remains(world):
    first = await world.store.fetch(CART)
    world.advance(1799)
    assert await world.idle() == ["cart"]
    assert world.store.contexts_for(CART) is first
    world.advance(1)
    await world.asked(2)
    assert world.store.contexts_for(CART) is not first


async def test_however_short_it_lives_it_is_fetched_once_a_second_at_most(world):
    world.authority.signer = OwnAuthority(world.authority.signer.authority, world.clock, datetime.timedelta(seconds=1))
    await world.store.fetch(CART)
    assert await world.idle() == ["cart"]
    world.advance(0.9)
    assert await world.idle() == ["cart"]
    world.advance(0.2)
    assert await world.asked(2) == ["cart", "cart"]


async def test_a_failed_renewal_never_drops_what_is_valid(world, caplog):
    first = await world.store.fetch(CART)
    world.authority.trouble[None] = SigningFailed("the authority is away", is_outage=True)
    with caplog.at_level(logging.INFO, LOGGER):
        world.advance(1800)
        await world.asked(2)
        assert world.store.contexts_for(CART) is first
        assert world.states() == {"cart": "Available"}
        for tries in range(3, 8):
            world.advance(150)
            await world.asked(tries)
            assert world.store.contexts_for(CART) is first
    assert caplog.text.count("keeps its certificate until") == 1  # each reason is told once
    assert "no new one could be had: the authority is away" in caplog.text
    world.authority.trouble.clear()
    world.advance(150)
    await world.asked(8)
    assert world.store.contexts_for(CART) is not first


async def test_it_is_tried_again_not_later_than_the_end_of_the_old_one(world):
    await world.store.fetch(CART)
    world.authority.trouble[None] = SigningFailed("away")
    world.advance(3590)
    for tries in range(2, 6):  # after 1, 2, 4 s, and then after 3 s instead of 8
        await world.asked(tries)
        world.advance({2: 1, 3: 2, 4: 4, 5: 3}[tries])
    await world.asked(6)
    assert problem(world, CART).startswith("it expired at ")
    assert problem(world, CART).endswith("; away")
    assert world.states()["cart"].startswith("Unavailable: it expired at ")


async def test_a_new_root_reaches_the_next_connection(world):
    first = await world.store.fetch(CART)
    world.authority.signer = OwnAuthority(LocalCa.throw_away(START), world.clock, HOUR)
    world.advance(1800)
    await world.asked(2)
    second = world.store.contexts_for(CART)
    assert first.credentials.roots != second.credentials.roots


# Failing ----------------------------------------------------------------------------------------------------------


async def test_a_failure_is_the_answer_until_a_try_succeeds(world):
    world.authority.trouble[CART] = SigningFailed("signing gRPC error (PermissionDenied): no")
    with pytest.raises(CertificateUnavailable, match="PermissionDenied"):
        await world.store.fetch(CART)
    for _ in range(3):
        assert problem(world, CART) == "signing gRPC error (PermissionDenied): no"
    assert await world.idle() == ["cart"]
    assert world.states() == {"cart": "Unavailable: signing gRPC error (PermissionDenied): no"}
    world.authority.trouble.clear()
    world.advance(1)
    await world.asked(2)
    assert world.store.contexts_for(CART).credentials.identity == CART


async def test_the_next_tries_wait_longer_and_longer(world):
    world.authority.trouble[None] = SigningFailed("no")
    world.store.prefetch(CART)
    waits = [1, 2, 4, 8, 16, 32, 64, 128, 150, 150]
    for tries, wait in enumerate(waits, 1):
        await world.asked(tries)
        world.advance(wait - 0.01)
        assert len(await world.idle()) == tries
        world.advance(0.01)
    await world.asked(len(waits) + 1)


async def test_what_becomes_due_is_tried_without_a_word_from_anybody(world):
    world.authority.trouble[None] = SigningFailed("no")
    world.store.prefetch(CART)
    await world.asked(1)
    world.advance(0.99)
    await world.idle()
    world.clock.now += datetime.timedelta(seconds=0.01)
    await eventually(lambda: len(world.authority.asked) == 2, "tried again", 10)


@pytest.mark.parametrize(
    ("failures", "chance", "seconds"),
    [
        (1, 0.5, 1.0),
        (1, 0.0, 0.8),
        (1, 1.0, 1.2),
        (4, 0.5, 8.0),
        (9, 0.0, 120.0),
        (9, 1.0, 150.0),
        (10_000, 0.5, 150.0),
    ],
)
def test_how_long_a_try_waits(failures, chance, seconds):
    assert retry_delay(failures, chance).total_seconds() == pytest.approx(seconds)


async def test_once_the_authority_is_back_nobody_waits_for_the_next_try(world):
    world.authority.trouble[None] = SigningFailed("away", is_outage=True)
    world.authority.trouble[who("refused")] = SigningFailed("you never")
    for number in range(3):
        world.store.prefetch(who(number))
    world.store.prefetch(who("refused"))
    await world.asked(4)
    for wait in (1, 2, 4, 8):
        before = len(world.authority.asked)
        world.advance(wait)
        await world.asked(before + 4)
    del world.authority.trouble[None]
    before = len(world.authority.asked)
    world.store.prefetch(CART)  # new, and therefore fetched at once: it has not failed before
    await world.asked(before + 1)
    assert world.states()["0"].startswith("Unavailable")
    world.advance(16)
    await world.asked(before + 5)
    states = world.states()
    assert [states[name] for name in ("0", "1", "2", "cart")] == ["Available"] * 4
    assert states["refused"] == "Unavailable: you never"


async def test_who_recovers_hurries_the_others(world):
    world.authority.trouble[None] = SigningFailed("away", is_outage=True)
    world.store.prefetch(CART)
    await world.asked(1)
    world.advance(1)
    await world.asked(2)
    world.store.prefetch(PAY)  # fails later, so that its next try is earlier
    await world.asked(3)
    world.authority.trouble.clear()
    world.advance(1)
    await world.asked(5)
    assert world.states() == {"cart": "Available", "pay": "Available"}


async def test_a_bug_ends_nothing_but_its_own_fetch(world, caplog):
    world.authority.trouble[CART] = ZeroDivisionError("oops")
    with pytest.raises(CertificateUnavailable, match="unexpected error: ZeroDivisionError"):
        await world.store.fetch(CART)
    assert "unexpected error" in caplog.text
    assert (await world.store.fetch(PAY)).credentials.identity == PAY


async def test_what_comes_expired_is_not_taken(world):
    world.authority.trouble.clear()
    real = world.authority.signer.load(CART)

    async def stale(identity):
        world.clock.now = real.usable_until
        return real

    world.authority.fetch = stale
    with pytest.raises(CertificateUnavailable, match="it expired at"):
        await world.store.fetch(CART)


async def test_an_answer_that_cannot_be_used_is_a_failure_too(world):
    world.authority.trouble[CART] = TlsConfigError("the authority's answer is empty")
    with pytest.raises(CertificateUnavailable, match="the authority's answer is empty"):
        await world.store.fetch(CART)


# Forgetting it ----------------------------------------------------------------------------------------------------


async def test_what_is_forgotten_is_not_renewed(world):
    await world.store.fetch(CART)
    await world.store.fetch(PAY)
    world.store.keep_only({PAY})
    assert world.states() == {"pay": "Available"}
    world.advance(1800)
    assert await world.asked(3) == ["cart", "pay", "pay"]


async def test_what_comes_for_a_forgotten_identity_is_dropped(world):
    world.authority.may_answer.clear()
    told: list[bool] = []
    world.store.prefetch(CART)
    await eventually(lambda: world.authority.asked == ["cart"], "asked")
    world.store.on_answer(CART, lambda: told.append(True))
    world.store.forget(CART)
    assert told == [True]
    world.authority.may_answer.set()
    await world.idle()
    assert world.states() == {}


async def test_hands_that_are_free_of_the_forgotten_take_the_next(world):
    world.authority.may_answer.clear()
    for number in range(AT_ONCE):
        world.store.prefetch(who(number))
    await eventually(lambda: world.authority.at_once == AT_ONCE, "all hands busy")
    world.store.prefetch(CART)
    world.store.keep_only({CART})
    world.authority.may_answer.set()
    await eventually(lambda: world.states() == {"cart": "Available"}, "taken in turn", 10)


async def test_an_identity_that_is_back_before_the_answer_is_fetched_anew(world):
    world.authority.may_answer.clear()
    world.store.prefetch(CART)
    await eventually(lambda: world.authority.asked == ["cart"], "asked")
    world.store.forget(CART)
    world.store.prefetch(CART)
    world.authority.may_answer.set()
    assert await world.asked(2) == ["cart", "cart"]
    assert world.states() == {"cart": "Available"}


async def test_many_identities_do_not_hold_up_the_loop(world):
    """Between any two turns of the loop little is done: a ticker gets its turns while hundreds are signed."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    for number in range(200):
        world.store.prefetch(who(number))
    async with asyncio.TaskGroup() as group:
        ticker = group.create_task(tick())
        await world.asked(200)
        await eventually(lambda: set(world.states().values()) == {"Available"}, "all there", seconds=30)
        ticker.cancel()
    assert ticks > 200
