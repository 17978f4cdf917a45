"""Every certificate this process uses: fetched when first needed, kept, and renewed before it ends.

New connections take what is newest; connections that are up go on with what they have (hbone-dataplane 5). A new
certificate that cannot be used never replaces one that can.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from hbone_py.errors import HboneError, TlsConfigError
from hbone_py.tls.context import client_context, server_context
from mesh_py.identity.certificate_dump import IdentityState, dump_certificates

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable
    from typing import Any

    from hbone_py.identity import SpiffeId
    from hbone_py.tls.context import TlsContext, TlsSettings
    from hbone_py.tls.credentials import Credentials
    from mesh_py.identity.sources import CertificateSource, Clock

log = logging.getLogger(__name__)

RETRY_AFTER = datetime.timedelta(seconds=1)
"""How long a failure is an answer without asking the source again."""
SHORTEST_RENEWAL = datetime.timedelta(seconds=1)
POLL_SECONDS = 2.0
"""How often files are looked at. Who replaces three of them needs less."""

# Every entry carries moments to compare with; this one has always passed.
_NEVER = datetime.datetime.min.replace(tzinfo=datetime.UTC)


class CertificateUnavailable(HboneError):
    """We have no certificate to show for an identity, so nothing can be sent or accepted in its name."""

    flag: ClassVar[str] = "IDENTITY_ERROR"

    def __init__(self, identity: SpiffeId, reason: str) -> None:
        super().__init__(f"identity error: no certificate for {identity}: {reason}")
        self.identity = identity
        self.reason = reason


class Contexts(NamedTuple):
    """What connections of one identity are made with."""

    client: TlsContext
    server: TlsContext
    credentials: Credentials


class _Answer(NamedTuple):
    """What a source said, and its stamp just before: a change while it was read shows at the next look."""

    stamp: Hashable
    contexts: Contexts | None
    failure: str | None


@dataclass(slots=True)
class _Entry:
    """What is known of one identity's certificate."""

    identity: SpiffeId
    contexts: Contexts | None = None
    ends: datetime.datetime = _NEVER
    """When `contexts` are of no more use."""
    renew_at: datetime.datetime | None = None
    """When a fresher certificate should be asked for; None: only if the stamp changes."""
    stamp: Hashable = None
    """The source's stamp of what was last tried, good or bad."""
    failure: str | None = None
    """Why the last try failed; None if it did not."""
    retry_at: datetime.datetime = _NEVER
    is_told: bool = False
    """Whether the failure is in the log."""

    def is_usable(self, now: datetime.datetime) -> bool:
        return self.contexts is not None and now < self.ends

    def problem(self, now: datetime.datetime) -> str | None:
        """Why nothing can be done in this identity's name; None if something can, or nothing was tried yet."""
        if self.is_usable(now) or (self.contexts is None and self.failure is None):
            return None
        reasons = [self.failure] if self.contexts is None else [_expired(self.ends), self.failure]
        return "; ".join(dict.fromkeys(reason for reason in reasons if reason))


class CertificateStore:
    """Contexts by identity, from one source. For one event loop; nothing here is thread-safe."""

    def __init__(self, source: CertificateSource, settings: TlsSettings, clock: Clock) -> None:
        self._source = source
        self._settings = settings
        self._clock = clock
        self._entries: dict[SpiffeId, _Entry] = {}
        self._fetches: dict[SpiffeId, asyncio.Lock] = {}

    def contexts_for(self, identity: SpiffeId) -> Contexts:
        """What to connect and accept with as `identity`; the source is asked if there is nothing usable.

        Raises:
            CertificateUnavailable: there is none, or it has expired.
        """
        now = self._clock()
        entry = self._entry(identity)
        if not entry.is_usable(now) and now >= entry.retry_at:
            self._settle(entry, self._ask(identity), now)
        return self._contexts(entry, now)

    async def fetch(self, identity: SpiffeId) -> Contexts:
        """As `contexts_for`, but the source is asked beside the event loop, once for all who wait.

        Raises:
            CertificateUnavailable: there is none, or it has expired.
        """
        entry = self._entry(identity)
        async with self._fetches.setdefault(identity, asyncio.Lock()):
            now = self._clock()
            if not entry.is_usable(now) and now >= entry.retry_at:
                self._settle(entry, await asyncio.to_thread(self._ask, identity), now)
        return self._contexts(entry, self._clock())

    def forget(self, identity: SpiffeId) -> None:
        """No workload has this identity any more. What is connected with it goes on."""
        self._entries.pop(identity, None)
        self._fetches.pop(identity, None)

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
        """Call `refresh` every `interval` seconds until cancelled; the caller owns the task."""
        while True:
            await sleep(interval)
            await self.refresh()

    def certificates(self) -> list[dict[str, Any]]:
        """Every identity and its certificate for `/config_dump` (hbone-controlplane 7.3), sorted by identity."""
        now = self._clock()
        states = (
            IdentityState(str(entry.identity), entry.contexts and entry.contexts.credentials, entry.problem(now))
            for entry in self._entries.values()
        )
        return dump_certificates(sorted(states, key=lambda state: state.identity))

    def _entry(self, identity: SpiffeId) -> _Entry:
        entry = self._entries.get(identity)
        if entry is None:
            entry = self._entries[identity] = _Entry(identity)
        return entry

    def _contexts(self, entry: _Entry, now: datetime.datetime) -> Contexts:
        if entry.contexts is None or now >= entry.ends:
            raise CertificateUnavailable(entry.identity, entry.problem(now) or "it is being fetched")
        return entry.contexts

    def _is_due(self, entry: _Entry, now: datetime.datetime) -> bool:
        if self._source.stamp(entry.identity) != entry.stamp:
            return True
        is_wanted = not entry.is_usable(now) or (entry.renew_at is not None and now >= entry.renew_at)
        return is_wanted and now >= entry.retry_at

    def _ask(self, identity: SpiffeId) -> _Answer:
        stamp = self._source.stamp(identity)
        try:
            credentials = self._source.load(identity)
            if credentials.usable_until <= self._clock():
                raise TlsConfigError(_expired(credentials.usable_until))
            contexts = Contexts(
                client_context(credentials, self._settings), server_context(credentials, self._settings), credentials
            )
        except TlsConfigError as error:
            return _Answer(stamp, None, str(error))
        return _Answer(stamp, contexts, None)

    def _settle(self, entry: _Entry, answer: _Answer, now: datetime.datetime) -> None:
        """Take the answer over: what is good replaces, what is bad is remembered."""
        entry.stamp = answer.stamp
        if answer.contexts is None:
            _remember_failure(entry, answer.failure or "", now)
            return
        ends = answer.contexts.credentials.usable_until
        if entry.contexts is not None:
            log.info("the certificate of %s is renewed, it now ends at %s", entry.identity, _show(ends))
        entry.contexts, entry.ends = answer.contexts, ends
        entry.renew_at = now + max((ends - now) / 2, SHORTEST_RENEWAL) if self._source.renews else None
        entry.failure, entry.retry_at, entry.is_told = None, _NEVER, False


def _remember_failure(entry: _Entry, failure: str, now: datetime.datetime) -> None:
    if failure != entry.failure:
        entry.failure, entry.is_told = failure, False
    entry.retry_at = now + RETRY_AFTER
    # Three files cannot change in one step: while the old certificate still serves, a second look decides.
    if not entry.is_usable(now):
        _tell(entry)


def _tell(entry: _Entry) -> None:
    if entry.failure is None or entry.is_told:
        return
    entry.is_told = True
    if entry.contexts is None:
        log.warning("no certificate for %s: %s", entry.identity, entry.failure)
    else:
        log.warning("%s keeps its certificate, the new one cannot be used: %s", entry.identity, entry.failure)


def _expired(ends: datetime.datetime) -> str:
    return f"it expired at {_show(ends)}"


def _show(moment: datetime.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
