"""What both stores know of an identity: in use, due, ended, failed, waited for."""

from __future__ import annotations

import datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from hbone_py.identity import SpiffeId
from mesh_py.identity.certificates import CertificatePending, CertificateUnavailable, Entry, tell_waiters

if TYPE_CHECKING:
    from mesh_py.identity.certificates import Contexts

CART = SpiffeId("cluster.local", "shop", "cart")
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def later(seconds: float) -> datetime.datetime:
    return NOW + datetime.timedelta(seconds=seconds)


def contexts(ends: datetime.datetime) -> Contexts:
    """As far as an entry looks at them."""
    return cast("Contexts", SimpleNamespace(credentials=SimpleNamespace(usable_until=ends)))


def entry_until(seconds: float, *, failure: str | None = None) -> Entry:
    entry = Entry(CART)
    entry.take_over(contexts(later(seconds)), NOW, renews=True)
    entry.failure = failure
    return entry


@pytest.mark.parametrize(
    ("entry", "now", "is_usable", "problem"),
    [
        (Entry(CART), NOW, False, None),
        (Entry(CART, failure="away"), NOW, False, "away"),
        (entry_until(60), later(59), True, None),
        (entry_until(60, failure="away"), later(59), True, None),
        (entry_until(60), later(60), False, "it expired at 2026-01-01 00:01:00 UTC"),
        (entry_until(60, failure="away"), later(60), False, "it expired at 2026-01-01 00:01:00 UTC; away"),
    ],
    ids=["nothing yet", "failed", "valid", "valid, renewal failed", "expired", "expired and failed"],
)
def test_what_can_be_done_with_it(entry, now, is_usable, problem):
    assert entry.is_usable(now) is is_usable
    assert entry.problem(now) == problem


@pytest.mark.parametrize(("life", "renewed_after"), [(3600, 1800), (20, 10), (2, 1), (1, 1), (0.5, 1)])
def test_it_is_due_at_half_of_what_remains_and_once_a_second_at_most(life, renewed_after):
    assert entry_until(life).renew_at == later(renewed_after)


def test_what_is_only_read_again_when_it_changes_is_never_due():
    entry = Entry(CART)
    entry.take_over(contexts(later(60)), NOW, renews=False)
    assert entry.renew_at is None


def test_a_success_ends_a_row_of_failures():
    entry = Entry(CART, failure="away", failures=5, retry_at=later(10), is_told=True)
    entry.take_over(contexts(later(60)), NOW, renews=True)
    assert (entry.failure, entry.failures, entry.is_told) == (None, 0, False)
    assert entry.retry_at < NOW


def test_who_waits_is_told_once_even_where_he_waits_again():
    entry, told = Entry(CART), []

    def again() -> None:
        told.append("again")
        entry.waiters.append(again)

    entry.waiters += [lambda: told.append("one"), again]
    tell_waiters(entry)
    assert told == ["one", "again"]
    assert entry.waiters == [again]


def test_one_that_breaks_keeps_nobody_waiting(caplog):
    entry, told = Entry(CART), []

    def break_down() -> None:
        raise ZeroDivisionError

    entry.waiters += [break_down, lambda: told.append("other")]
    tell_waiters(entry)
    assert told == ["other"]
    assert "ZeroDivisionError" in caplog.text


def test_errors_name_the_identity():
    assert str(CertificatePending(CART)) == f"identity error: no certificate for {CART}: it is being fetched"
    assert isinstance(CertificatePending(CART), CertificateUnavailable)
    assert CertificateUnavailable(CART, "away").flag == "IDENTITY_ERROR"
