"""Certificates through their life: needed, kept, replaced, due, expired; the clock is the test's."""

from __future__ import annotations

import asyncio
import datetime
import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from hbone_py.errors import HboneError, TlsConfigError
from hbone_py.identity import SpiffeId
from hbone_py.tls import SharedBuffer, TlsEngine, TlsSettings
from mesh_py.identity.layout import CERT_CHAIN, KEY, ROOT_CERT, identity_folder, write_leaf
from mesh_py.identity.local_ca import LocalCa
from mesh_py.identity.sources import CertificateFolder, OwnAuthority
from mesh_py.identity.store import CertificateStore, CertificateUnavailable

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

    from hbone_py.tls.credentials import Credentials

SLEEP = SpiffeId("cluster.local", "default", "sleep")
HTTPBIN = SpiffeId("cluster.local", "default", "httpbin")
START = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
SECOND = datetime.timedelta(seconds=1)
HOUR = datetime.timedelta(hours=1)
LOGGER = "mesh_py.identity.store"


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime.datetime:
        return self.now

    def advance(self, by: datetime.timedelta) -> None:
        self.now += by


@dataclass
class Counted:
    """Any source, with its loads counted; `failure` makes it fail."""

    source: OwnAuthority | CertificateFolder
    loads: list[SpiffeId] = field(default_factory=list)
    failure: str | None = None

    @property
    def renews(self) -> bool:
        return self.source.renews

    def load(self, identity: SpiffeId) -> Credentials:
        self.loads.append(identity)
        if self.failure:
            raise TlsConfigError(self.failure)
        return self.source.load(identity)

    def stamp(self, identity: SpiffeId) -> Hashable:
        return self.source.stamp(identity)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def authority() -> LocalCa:
    return LocalCa.throw_away(START)


@pytest.fixture
def signing(authority: LocalCa, clock: Clock) -> Counted:
    """An authority of our own, leaves for 24 hours."""
    return Counted(OwnAuthority(authority, clock))


@pytest.fixture
def folder(tmp_path: Path) -> Counted:
    return Counted(CertificateFolder(tmp_path))


def store_of(source: Counted, clock: Clock) -> CertificateStore:
    return CertificateStore(source, TlsSettings(), clock)


def put(authority: LocalCa, base: Path, identity: SpiffeId, lifetime: datetime.timedelta = 24 * HOUR) -> Path:
    """Issue a certificate into the identity's folder."""
    where = identity_folder(base, identity)
    write_leaf(where, authority.issue(identity, START, lifetime), replace=True)
    return where


def reason(store: CertificateStore, identity: SpiffeId) -> str:
    with pytest.raises(CertificateUnavailable) as caught:
        store.contexts_for(identity)
    assert caught.value.identity == identity
    return caught.value.reason


def shakes_hands(client: TlsEngine, server: TlsEngine) -> bool:
    buffer = SharedBuffer(65536)
    for _ in range(4):
        for one, other in ((client, server), (server, client)):
            one.handshake()
            while count := one.take_ciphertext(buffer):
                other.feed_shared(buffer, count)
    return client.handshake_done and server.handshake_done


# Getting one ------------------------------------------------------------------------------------------------------


def test_contexts_are_made_once(signing, clock):
    store = store_of(signing, clock)
    first = store.contexts_for(SLEEP)
    assert store.contexts_for(SLEEP) is first
    assert signing.loads == [SLEEP]
    assert first.credentials.identity == SLEEP
    assert not first.client.is_server
    assert first.server.is_server


def test_the_contexts_of_two_identities_shake_hands(signing, clock):
    store = store_of(signing, clock)
    client, server = TlsEngine(store.contexts_for(SLEEP).client), TlsEngine(store.contexts_for(HTTPBIN).server)
    assert shakes_hands(client, server)
    assert server.peer_chain() == [store.contexts_for(SLEEP).credentials.leaf]
    assert client.peer_chain() == [store.contexts_for(HTTPBIN).credentials.leaf]


def test_a_missing_certificate_is_told_with_its_identity(folder, clock, tmp_path):
    missing = identity_folder(tmp_path, SLEEP) / CERT_CHAIN
    with pytest.raises(CertificateUnavailable) as caught:
        store_of(folder, clock).contexts_for(SLEEP)
    text = f"identity error: no certificate for {SLEEP}: {missing}: No such file or directory"
    assert str(caught.value) == text
    assert isinstance(caught.value, HboneError)
    assert caught.value.flag == "IDENTITY_ERROR"


def test_a_failure_is_the_answer_for_a_second(folder, clock, authority, tmp_path):
    store = store_of(folder, clock)
    for _ in range(3):
        reason(store, SLEEP)
    assert len(folder.loads) == 1
    put(authority, tmp_path, SLEEP)
    reason(store, SLEEP)
    clock.advance(SECOND)
    assert store.contexts_for(SLEEP).credentials.identity == SLEEP
    assert len(folder.loads) == 2


async def test_a_certificate_that_appears_is_found_by_the_next_look(folder, clock, authority, tmp_path):
    store = store_of(folder, clock)
    reason(store, SLEEP)
    put(authority, tmp_path, SLEEP)
    await store.refresh()
    assert store.contexts_for(SLEEP).credentials.identity == SLEEP


async def test_many_who_fetch_at_once_share_one_load(signing, clock):
    store = store_of(signing, clock)
    answers = await asyncio.gather(*(store.fetch(SLEEP) for _ in range(20)))
    assert len(signing.loads) == 1
    assert all(answer is answers[0] for answer in answers)
    assert await store.fetch(SLEEP) is store.contexts_for(SLEEP)


async def test_many_who_fetch_in_vain_share_one_failure(signing, clock):
    signing.failure = "no luck"
    store = store_of(signing, clock)
    answers = await asyncio.gather(*(store.fetch(SLEEP) for _ in range(20)), return_exceptions=True)
    assert len(signing.loads) == 1
    assert [str(answer) for answer in answers] == [f"identity error: no certificate for {SLEEP}: no luck"] * 20


async def test_a_fetch_leaves_the_loop_free(signing, clock, monkeypatch):
    """While the source takes its time, the state is Initializing and others are told so."""
    store, may_go = store_of(signing, clock), threading.Event()
    load = signing.load
    monkeypatch.setattr(signing, "load", lambda identity: load(identity) if may_go.wait(10) else None)
    async with asyncio.TaskGroup() as group:
        fetch = group.create_task(store.fetch(SLEEP))
        await asyncio.sleep(0)
        assert [entry["state"] for entry in store.certificates()] == ["Initializing"]
        may_go.set()
    assert fetch.result() is store.contexts_for(SLEEP)
    assert [entry["state"] for entry in store.certificates()] == ["Available"]


async def test_who_stops_waiting_harms_nobody(signing, clock):
    store = store_of(signing, clock)
    async with asyncio.TaskGroup() as group:
        first, second = (group.create_task(store.fetch(SLEEP)) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
    assert first.cancelled()
    assert second.result() is store.contexts_for(SLEEP)


def test_a_forgotten_identity_is_asked_for_anew(signing, clock):
    store = store_of(signing, clock)
    before = store.contexts_for(SLEEP)
    store.forget(SLEEP)
    store.forget(SLEEP)
    assert store.certificates() == []
    assert store.contexts_for(SLEEP) is not before


# Replacing it -----------------------------------------------------------------------------------------------------


async def test_new_files_are_for_new_connections(folder, clock, authority, tmp_path, caplog):
    put(authority, tmp_path, SLEEP)
    put(authority, tmp_path, HTTPBIN)
    store = store_of(folder, clock)
    old = store.contexts_for(SLEEP)
    client, server = TlsEngine(old.client), TlsEngine(store.contexts_for(HTTPBIN).server)
    assert shakes_hands(client, server)

    put(authority, tmp_path, SLEEP)
    assert store.contexts_for(SLEEP) is old  # nobody has looked yet
    with caplog.at_level(logging.INFO, LOGGER):
        await store.refresh()
    new = store.contexts_for(SLEEP)
    assert new.credentials.serial != old.credentials.serial
    assert f"the certificate of {SLEEP} is renewed" in caplog.text

    # The connection that was up goes on, and a new one shows the new certificate.
    buffer = SharedBuffer(65536)
    client.write(b"still here")
    server.feed_shared(buffer, client.take_ciphertext(buffer))
    assert server.read_into(buffer) == len(b"still here")
    client, server = TlsEngine(new.client), TlsEngine(store.contexts_for(HTTPBIN).server)
    assert shakes_hands(client, server)
    assert server.peer_chain() == [new.credentials.leaf]


async def test_unchanged_files_are_not_read_again(folder, clock, authority, tmp_path):
    put(authority, tmp_path, SLEEP)
    store = store_of(folder, clock)
    before = store.contexts_for(SLEEP)
    for _ in range(3):
        clock.advance(HOUR)
        await store.refresh()
    assert len(folder.loads) == 1
    assert store.contexts_for(SLEEP) is before


async def test_files_swapped_by_a_link_are_found(folder, clock, authority, tmp_path):
    """As a mounted volume is updated: the folder is a link, and the link is turned."""
    versions = [tmp_path / "versions" / name for name in ("1", "2")]
    for version in versions:
        write_leaf(version, authority.issue(SLEEP, START))
    where = identity_folder(tmp_path, SLEEP)
    where.parent.mkdir(parents=True)
    where.symlink_to(versions[0])
    store = store_of(folder, clock)
    before = store.contexts_for(SLEEP)
    turned = where.with_name("turned")
    turned.symlink_to(versions[1])
    turned.replace(where)
    await store.refresh()
    assert store.contexts_for(SLEEP).credentials.serial != before.credentials.serial


async def test_a_bad_new_file_keeps_the_last_good_certificate(folder, clock, authority, tmp_path, caplog):
    where = put(authority, tmp_path, SLEEP)
    store = store_of(folder, clock)
    good = store.contexts_for(SLEEP)
    (where / CERT_CHAIN).write_text("not a certificate")
    with caplog.at_level(logging.INFO, LOGGER):
        await store.refresh()
        assert caplog.text == ""  # perhaps the others are only not written yet
        for _ in range(3):
            await store.refresh()
    assert store.contexts_for(SLEEP) is good
    assert [record.getMessage() for record in caplog.records] == [
        f"{SLEEP} keeps its certificate, the new one cannot be used: {where / CERT_CHAIN}: no PEM certificate in it"
    ]
    assert [entry["state"] for entry in store.certificates()] == ["Available"]

    put(authority, tmp_path, SLEEP)
    await store.refresh()
    assert store.contexts_for(SLEEP) is not good


async def test_three_files_replaced_one_after_another_are_no_alarm(folder, clock, authority, tmp_path, caplog):
    where = put(authority, tmp_path, SLEEP)
    store = store_of(folder, clock)
    good = store.contexts_for(SLEEP)
    leaf = authority.issue(SLEEP, START)
    assert leaf.key_pem is not None
    for name, content in ((KEY, leaf.key_pem), (ROOT_CERT, leaf.roots_pem), (CERT_CHAIN, leaf.chain_pem)):
        (where / name).write_bytes(content)
        await store.refresh()
        assert store.contexts_for(SLEEP).credentials.leaf in (good.credentials.leaf, leaf.certificate)
    assert store.contexts_for(SLEEP).credentials.leaf == leaf.certificate
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_files_that_vanish_leave_the_certificate_in_use(folder, clock, authority, tmp_path):
    where = put(authority, tmp_path, SLEEP)
    store = store_of(folder, clock)
    good = store.contexts_for(SLEEP)
    for name in (CERT_CHAIN, KEY, ROOT_CERT):
        (where / name).unlink()
    await store.refresh()
    assert store.contexts_for(SLEEP) is good


# Its end ----------------------------------------------------------------------------------------------------------


async def test_an_authority_is_asked_again_at_half_of_what_remains(signing, clock):
    store = store_of(signing, clock)
    first = store.contexts_for(SLEEP)
    clock.advance(12 * HOUR - SECOND)
    await store.refresh()
    assert store.contexts_for(SLEEP) is first
    clock.advance(SECOND)
    await store.refresh()
    second = store.contexts_for(SLEEP)
    assert second.credentials.usable_until == first.credentials.usable_until + 12 * HOUR
    assert len(signing.loads) == 2


async def test_a_renewal_that_fails_is_tried_again_and_the_old_certificate_serves(signing, clock, caplog):
    store = store_of(signing, clock)
    first = store.contexts_for(SLEEP)
    signing.failure = "no luck"
    clock.advance(12 * HOUR)
    for _ in range(5):
        await store.refresh()
    assert len(signing.loads) == 2  # at most once a second
    clock.advance(SECOND)
    await store.refresh()
    assert len(signing.loads) == 3
    assert store.contexts_for(SLEEP) is first
    assert caplog.text.count("the new one cannot be used: no luck") == 1
    signing.failure = None
    clock.advance(SECOND)
    await store.refresh()
    assert store.contexts_for(SLEEP) is not first


async def test_the_shortest_lives_are_renewed_once_a_second_at_most(authority, clock):
    source = Counted(OwnAuthority(authority, clock, lifetime=SECOND))
    store = store_of(source, clock)
    store.contexts_for(SLEEP)
    for _ in range(5):
        await store.refresh()
    assert len(source.loads) == 1
    clock.advance(SECOND)
    await store.refresh()
    assert len(source.loads) == 2


def test_an_expired_certificate_is_not_shown(folder, clock, authority, tmp_path):
    put(authority, tmp_path, SLEEP, lifetime=HOUR)
    store = store_of(folder, clock)
    store.contexts_for(SLEEP)
    clock.advance(HOUR)
    ends = f"{START + HOUR:%Y-%m-%d %H:%M:%S} UTC"
    assert reason(store, SLEEP) == f"it expired at {ends}"
    (entry,) = store.certificates()
    assert entry["state"] == f"Unavailable: it expired at {ends}"
    assert len(entry["certChain"]) == 1  # what has expired can be looked at


def test_a_certificate_that_has_expired_before_it_came(folder, clock, authority, tmp_path):
    put(authority, tmp_path, SLEEP, lifetime=HOUR)
    clock.advance(2 * HOUR)
    assert reason(store_of(folder, clock), SLEEP).startswith("it expired at ")


def test_why_there_is_no_successor_is_told_too(signing, clock):
    store = store_of(signing, clock)
    store.contexts_for(SLEEP)
    signing.failure = "no luck"
    clock.advance(25 * HOUR)
    assert reason(store, SLEEP).endswith("UTC; no luck")


def test_an_expired_certificate_is_replaced_when_it_is_needed(signing, clock):
    """Without anybody having looked in between: a process that was suspended."""
    store = store_of(signing, clock)
    first = store.contexts_for(SLEEP)
    clock.advance(25 * HOUR)
    assert store.contexts_for(SLEEP) is not first


# Watching ---------------------------------------------------------------------------------------------------------


async def test_watching_is_looking_again_and_again(folder, clock, authority, tmp_path):
    put(authority, tmp_path, SLEEP)
    store = store_of(folder, clock)
    serials = [store.contexts_for(SLEEP).credentials.serial]
    naps: list[float] = []

    async def nap(seconds: float) -> None:
        """Between two looks: the files change, or the watch is ended."""
        if naps:
            serials.append(store.contexts_for(SLEEP).credentials.serial)
        if len(naps) == 3:
            raise asyncio.CancelledError
        naps.append(seconds)
        put(authority, tmp_path, SLEEP)

    with pytest.raises(asyncio.CancelledError):
        await store.watch(1.5, nap)
    assert naps == [1.5] * 3
    assert len(set(serials)) == 4


def test_certificates_are_listed_by_identity(signing, clock):
    store = store_of(signing, clock)
    for identity in (SLEEP, HTTPBIN):
        store.contexts_for(identity)
    signing.failure = "no luck"
    lost = SpiffeId("cluster.local", "default", "lost")
    reason(store, lost)
    assert [(entry["identity"], entry["state"]) for entry in store.certificates()] == [
        (str(HTTPBIN), "Available"),
        (str(lost), "Unavailable: no luck"),
        (str(SLEEP), "Available"),
    ]
