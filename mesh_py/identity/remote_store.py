"""Certificates that an authority elsewhere signs: fetched ahead and when needed, renewed, retried, forgotten.

At most eight fetches run at once, the most urgent first. A certificate that is still valid stays in use whatever
becomes of its renewal; who has none gets the last error at once, until a further try succeeds (hbone-controlplane 3.3).
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import random
from typing import TYPE_CHECKING, Final

from hbone_py.errors import HboneError
from mesh_py.identity.certificates import (
    CertificatePending,
    Certificates,
    CertificateUnavailable,
    Entry,
    show_moment,
    tell_waiters,
)
from mesh_py.identity.fetch_queue import FetchQueue, Priority

if TYPE_CHECKING:
    from collections.abc import Callable

    from hbone_py.identity import SpiffeId
    from hbone_py.tls.context import TlsSettings
    from mesh_py.identity.certificates import Contexts
    from mesh_py.identity.sources import Clock, RemoteSource

log = logging.getLogger(__name__)

AT_ONCE: Final = 8
FIRST_RETRY: Final = 1.0
LONGEST_RETRY: Final = 150.0
JITTER: Final = 0.2
LONGEST_SLEEP: Final = 30.0
"""Seconds between looks at the clock, which somebody may have set."""
ANSWER_SECONDS: Final = 30.0
"""How long `fetch` waits for a turn and an answer."""


def retry_delay(failures: int, chance: float) -> datetime.timedelta:
    """How long to wait after so many failures in a row (1: the first); `chance` is from 0 to 1."""
    seconds = min(FIRST_RETRY * 2 ** min(failures - 1, 20), LONGEST_RETRY)
    return datetime.timedelta(seconds=min(seconds * (1 - JITTER + 2 * JITTER * chance), LONGEST_RETRY))


class RemoteStore(Certificates):
    """Contexts by identity from a source that takes its time. `watch` must run."""

    def __init__(
        self,
        source: RemoteSource,
        settings: TlsSettings,
        clock: Clock,
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(settings, clock)
        self._source = source
        self._chance = chance
        self._queue = FetchQueue()
        self._under_way: dict[SpiffeId, Entry] = {}
        self._woken = asyncio.Event()

    def contexts_for(self, identity: SpiffeId) -> Contexts:
        """See `Certificates.contexts_for`."""
        now = self._clock()
        entry = self._entries.get(identity)
        if entry is not None and entry.is_usable(now):
            assert entry.contexts is not None, "it is usable"
            return entry.contexts
        entry = self._entry(identity)
        if entry.failure is not None:
            raise CertificateUnavailable(identity, entry.problem(now) or entry.failure)
        self._want(entry, Priority.REAL_TIME, now)
        raise CertificatePending(identity)

    async def fetch(self, identity: SpiffeId) -> Contexts:
        """See `Certificates.fetch`."""
        try:
            return self.contexts_for(identity)
        except CertificatePending:
            answered = asyncio.Event()
        take_back = self.on_answer(identity, answered.set)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await answered.wait()
        except TimeoutError:
            raise CertificateUnavailable(identity, f"no answer within {ANSWER_SECONDS:g} s") from None
        finally:
            take_back()
        return self.contexts_for(identity)

    def prefetch(self, identity: SpiffeId) -> None:
        """See `Certificates.prefetch`."""
        entry = self._entry(identity)
        if entry.contexts is None and entry.failure is None:
            self._want(entry, Priority.WARMUP, self._clock())

    def forget(self, identity: SpiffeId) -> None:
        """See `Certificates.forget`."""
        self._queue.discard(identity)
        super().forget(identity)

    async def watch(self) -> None:
        """See `Certificates.watch`. With it ends the source."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    self._woken.clear()
                    while len(self._under_way) < AT_ONCE and (entry := self._next()) is not None:
                        self._under_way[entry.identity] = entry
                        group.create_task(self._fetch(entry), name=f"certificate of {entry.identity}")
                    await self._sleep()
        finally:
            self._source.close()

    def look_again(self) -> None:
        """The clock was set: what is due may be due earlier."""
        self._woken.set()

    def _want(self, entry: Entry, priority: Priority, due: datetime.datetime) -> None:
        if entry.identity not in self._under_way:
            self._queue.want(entry.identity, priority, due)
            self._woken.set()

    def _next(self) -> Entry | None:
        while (identity := self._queue.take(self._clock())) is not None:
            if identity in self._entries:
                return self._entries[identity]
        return None

    async def _sleep(self) -> None:
        """Until something is due, wanted or done; while all hands are busy only the last."""
        due = self._queue.next_due() if len(self._under_way) < AT_ONCE else None
        seconds = LONGEST_SLEEP if due is None else (due - self._clock()).total_seconds()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, min(seconds, LONGEST_SLEEP))):
                await self._woken.wait()

    async def _fetch(self, entry: Entry) -> None:
        """One try; what comes of it is settled and told, never raised."""
        contexts: Contexts | None = None
        failure: HboneError | None = None
        try:
            credentials = await self._source.fetch(entry.identity)
            contexts = await asyncio.to_thread(self._contexts_of, credentials)
        except HboneError as error:
            failure = error
        except Exception as error:  # a bug must not end the renewal of all the others
            log.exception("! certificate of %s: unexpected error", entry.identity)
            failure = HboneError(f"unexpected error: {error!r}")
        finally:
            del self._under_way[entry.identity]
            self._woken.set()
        if self._entries.get(entry.identity) is entry:
            self._settle(entry, contexts, failure)
        elif entry.identity in self._entries:
            self._want(self._entries[entry.identity], Priority.REAL_TIME, self._clock())

    def _settle(self, entry: Entry, contexts: Contexts | None, failure: HboneError | None) -> None:
        now = self._clock()
        if contexts is None:
            self._remember_failure(entry, failure or HboneError("no reason given"), now)
        else:
            had_failed = entry.failures
            is_first = entry.contexts is None
            entry.take_over(contexts, now, renews=True)
            word = "here" if is_first else "renewed"
            log.info("the certificate of %s is %s, it ends at %s", entry.identity, word, show_moment(entry.ends))
            assert entry.renew_at is not None, "it renews"
            self._want(entry, Priority.BACKGROUND, entry.renew_at)
            if had_failed:
                self._hurry(now)
        tell_waiters(entry)

    def _remember_failure(self, entry: Entry, failure: HboneError, now: datetime.datetime) -> None:
        if str(failure) != entry.failure:
            entry.failure, entry.is_told = str(failure), False
        entry.failures += 1
        entry.is_outage = bool(getattr(failure, "is_outage", False))
        entry.retry_at = now + retry_delay(entry.failures, self._chance())
        if entry.is_usable(now):
            # Not later than its end: from then on connections fail.
            entry.retry_at = min(entry.retry_at, max(entry.ends, now + datetime.timedelta(seconds=FIRST_RETRY)))
        self._want(entry, Priority.BACKGROUND, entry.retry_at)
        _tell(entry, now)

    def _hurry(self, now: datetime.datetime) -> None:
        """The authority is back: who has nothing because it was away need not wait for the next try."""
        for entry in self._entries.values():
            if entry.is_outage and entry.failures and not entry.is_usable(now):
                self._want(entry, Priority.WARMUP, now)


def _tell(entry: Entry, now: datetime.datetime) -> None:
    """Each reason once."""
    if entry.is_told:
        return
    entry.is_told = True
    if entry.is_usable(now):
        text = "%s keeps its certificate until %s, no new one could be had: %s"
        log.warning(text, entry.identity, show_moment(entry.ends), entry.failure)
    else:
        log.warning("no certificate for %s: %s", entry.identity, entry.failure)
