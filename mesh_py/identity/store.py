"""Certificates that are at hand when asked for: files, or an authority of our own. Renewed before they end.

New connections take what is newest; connections that are up go on with what they have (hbone-dataplane 5). A new
certificate that cannot be used never replaces one that can.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
from typing import TYPE_CHECKING, NamedTuple

from hbone_py.errors import TlsConfigError
from mesh_py.identity.certificates import (
    Certificates,
    CertificateUnavailable,
    Contexts,
    Entry,
    show_moment,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from hbone_py.identity import SpiffeId
    from hbone_py.tls.context import TlsSettings
    from mesh_py.identity.sources import CertificateSource, Clock

__all__ = ["CertificateStore", "CertificateUnavailable", "Contexts"]

log = logging.getLogger(__name__)

RETRY_AFTER = datetime.timedelta(seconds=1)
"""How long a failure is an answer without asking the source again."""
POLL_SECONDS = 2.0
"""How often files are looked at. Who replaces three of them needs less."""


class _Answer(NamedTuple):
    """What a source said, and its stamp just before: a change while it was read shows at the next look."""

    stamp: Hashable
    contexts: Contexts | None
    failure: str | None


class CertificateStore(Certificates):
    """Contexts by identity, from one source that answers at once."""

    def __init__(self, source: CertificateSource, settings: TlsSettings, clock: Clock) -> None:
        super().__init__(settings, clock)
        self._source = source
        self._fetches: dict[SpiffeId, asyncio.Lock] = {}

    def contexts_for(self, identity: SpiffeId) -> Contexts:
        """See `Certificates.contexts_for`. The source is asked if there is nothing usable; nothing is ever pending."""
        now = self._clock()
        entry = self._entry(identity)
        if not entry.is_usable(now) and now >= entry.retry_at:
            self._settle(entry, self._ask(identity), now)
        return self._contexts(entry, now)

    async def fetch(self, identity: SpiffeId) -> Contexts:
        """See `Certificates.fetch`. The source is asked beside the event loop, once for all who wait."""
        entry = self._entry(identity)
        async with self._fetches.setdefault(identity, asyncio.Lock()):
            now = self._clock()
            if not entry.is_usable(now) and now >= entry.retry_at:
                self._settle(entry, await asyncio.to_thread(self._ask, identity), now)
        return self._contexts(entry, self._clock())

    def forget(self, identity: SpiffeId) -> None:
        """See `Certificates.forget`."""
        super().forget(identity)
        self._fetches.pop(identity, None)

    def prefetch(self, identity: SpiffeId) -> None:
        """See `Certificates.prefetch`. An authority signs at the next `refresh`; files are read when needed."""
        if self._source.renews:
            self._entry(identity)

    async def refresh(self) -> None:
        """Load again what has changed at its source or is due; a failure leaves in use what is usable."""
        now = self._clock()
        for entry in list(self._entries.values()):
            if self._is_due(entry, now):
                self._settle(entry, self._ask(entry.identity), now)
                await asyncio.sleep(0)  # a thousand identities must not hold the loop for a second
            else:
                _tell(entry)

    async def watch(
        self, interval: float = POLL_SECONDS, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        """Call `refresh` every `interval` seconds until cancelled; see `Certificates.watch`."""
        while True:
            await sleep(interval)
            await self.refresh()

    def _contexts(self, entry: Entry, now: datetime.datetime) -> Contexts:
        if entry.contexts is None or now >= entry.ends:
            raise CertificateUnavailable(entry.identity, entry.problem(now) or "it is being fetched")
        return entry.contexts

    def _is_due(self, entry: Entry, now: datetime.datetime) -> bool:
        if self._source.stamp(entry.identity) != entry.stamp:
            return True
        is_wanted = not entry.is_usable(now) or (entry.renew_at is not None and now >= entry.renew_at)
        return is_wanted and now >= entry.retry_at

    def _ask(self, identity: SpiffeId) -> _Answer:
        stamp = self._source.stamp(identity)
        try:
            contexts = self._contexts_of(self._source.load(identity))
        except TlsConfigError as error:
            return _Answer(stamp, None, str(error))
        return _Answer(stamp, contexts, None)

    def _settle(self, entry: Entry, answer: _Answer, now: datetime.datetime) -> None:
        """Take the answer over: what is good replaces, what is bad is remembered."""
        entry.stamp = answer.stamp
        if answer.contexts is None:
            _remember_failure(entry, answer.failure or "", now)
            return
        if entry.contexts is not None:
            ends = show_moment(answer.contexts.credentials.usable_until)
            log.info("the certificate of %s is renewed, it now ends at %s", entry.identity, ends)
        entry.take_over(answer.contexts, now, renews=self._source.renews)


def _remember_failure(entry: Entry, failure: str, now: datetime.datetime) -> None:
    if failure != entry.failure:
        entry.failure, entry.is_told = failure, False
    entry.retry_at = now + RETRY_AFTER
    # Three files cannot change in one step: while the old certificate still serves, a second look decides.
    if not entry.is_usable(now):
        _tell(entry)


def _tell(entry: Entry) -> None:
    if entry.failure is None or entry.is_told:
        return
    entry.is_told = True
    if entry.contexts is None:
        log.warning("no certificate for %s: %s", entry.identity, entry.failure)
    else:
        log.warning("%s keeps its certificate, the new one cannot be used: %s", entry.identity, entry.failure)
