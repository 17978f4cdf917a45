"""What a process knows of its workloads' certificates, whatever they come from.

`store.py` keeps those that are at hand when asked for (files, an authority of our own), `remote_store.py` those that
take a call to an authority. Connections see only `Certificates`: a plain call that answers at once, and for what is not
here yet a way to hear of it.
"""

from __future__ import annotations

import abc
import datetime
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from hbone_py.errors import HboneError, TlsConfigError
from hbone_py.tls.context import client_context, server_context
from mesh_py.identity.certificate_dump import IdentityState, dump_certificates

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable
    from typing import Any

    from hbone_py.identity import SpiffeId
    from hbone_py.tls.context import TlsContext, TlsSettings
    from hbone_py.tls.credentials import Credentials
    from mesh_py.identity.sources import Clock

log = logging.getLogger(__name__)

SHORTEST_RENEWAL = datetime.timedelta(seconds=1)
"""However short a certificate lives, its identity is asked for no more often."""

# Every entry carries moments to compare with; this one has always passed.
NEVER = datetime.datetime.min.replace(tzinfo=datetime.UTC)


class CertificateUnavailable(HboneError):
    """We have no certificate to show for an identity, so nothing can be sent or accepted in its name."""

    flag: ClassVar[str] = "IDENTITY_ERROR"

    def __init__(self, identity: SpiffeId, reason: str) -> None:
        super().__init__(f"identity error: no certificate for {identity}: {reason}")
        self.identity = identity
        self.reason = reason


class CertificatePending(CertificateUnavailable):
    """It is being fetched for the first time: worth waiting for, see `Certificates.on_answer`."""

    def __init__(self, identity: SpiffeId) -> None:
        super().__init__(identity, "it is being fetched")


class Contexts(NamedTuple):
    """What connections of one identity are made with."""

    client: TlsContext
    server: TlsContext
    credentials: Credentials


@dataclass(slots=True)
class Entry:
    """What is known of one identity's certificate."""

    identity: SpiffeId
    contexts: Contexts | None = None
    ends: datetime.datetime = NEVER
    """When `contexts` are of no more use."""
    renew_at: datetime.datetime | None = None
    """When a fresher certificate should be asked for; None: only if the stamp changes."""
    stamp: Hashable = None
    """The source's stamp of what was last tried, good or bad."""
    failure: str | None = None
    """Why the last try failed; None if it did not."""
    failures: int = 0
    """How many tries in a row have failed."""
    is_outage: bool = False
    """Whether the last failure says that the authority was away, and nothing of this identity."""
    retry_at: datetime.datetime = NEVER
    is_told: bool = False
    """Whether the failure is in the log."""
    waiters: list[Callable[[], None]] = field(default_factory=list)
    """Whom to tell of the first answer, good or bad."""

    def is_usable(self, now: datetime.datetime) -> bool:
        """Whether connections can be made with it."""
        return self.contexts is not None and now < self.ends

    def problem(self, now: datetime.datetime) -> str | None:
        """Why nothing can be done in this identity's name; None if something can, or nothing was tried yet."""
        if self.is_usable(now) or (self.contexts is None and self.failure is None):
            return None
        reasons = [self.failure] if self.contexts is None else [expired(self.ends), self.failure]
        return "; ".join(dict.fromkeys(reason for reason in reasons if reason))

    def take_over(self, contexts: Contexts, now: datetime.datetime, *, renews: bool) -> None:
        """A new certificate is in use from now on, and is due for renewal at half of what remains of it."""
        self.contexts, self.ends = contexts, contexts.credentials.usable_until
        self.renew_at = now + max((self.ends - now) / 2, SHORTEST_RENEWAL) if renews else None
        self.failure, self.failures, self.retry_at, self.is_told = None, 0, NEVER, False


class Certificates(abc.ABC):
    """Contexts by identity. For one event loop; nothing here is thread-safe."""

    def __init__(self, settings: TlsSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._entries: dict[SpiffeId, Entry] = {}

    @abc.abstractmethod
    def contexts_for(self, identity: SpiffeId) -> Contexts:
        """What to connect and accept with as `identity`: a plain call.

        Raises:
            CertificatePending: there is none yet, and it is on its way.
            CertificateUnavailable: there is none, or it has expired.
        """

    @abc.abstractmethod
    async def fetch(self, identity: SpiffeId) -> Contexts:
        """As `contexts_for`, waiting beside the event loop for what is on its way.

        Raises:
            CertificateUnavailable: there is none, or it has expired.
        """

    @abc.abstractmethod
    async def watch(self) -> None:
        """Keep certificates fresh until cancelled; the caller owns the task."""

    @abc.abstractmethod
    def prefetch(self, identity: SpiffeId) -> None:
        """A workload of ours has this identity: its certificate will be wanted."""

    def on_answer(self, identity: SpiffeId, answered: Callable[[], None]) -> Callable[[], None]:
        """Call `answered` once after the fetch that is under way, whatever came of it; the result takes it back."""
        entry = self._entry(identity)
        entry.waiters.append(answered)

        def take_back() -> None:
            if answered in entry.waiters:
                entry.waiters.remove(answered)

        return take_back

    def forget(self, identity: SpiffeId) -> None:
        """No workload has this identity any more. What is connected with it goes on."""
        entry = self._entries.pop(identity, None)
        if entry is not None:
            tell_waiters(entry)

    def keep_only(self, identities: Collection[SpiffeId]) -> None:
        """Forget every identity that is not one of these."""
        for identity in [one for one in self._entries if one not in identities]:
            self.forget(identity)

    def certificates(self) -> list[dict[str, Any]]:
        """Every identity and its certificate for `/config_dump` (hbone-controlplane 7.3), sorted by identity."""
        now = self._clock()
        states = (
            IdentityState(str(entry.identity), entry.contexts and entry.contexts.credentials, entry.problem(now))
            for entry in self._entries.values()
        )
        return dump_certificates(sorted(states, key=lambda state: state.identity))

    def _entry(self, identity: SpiffeId) -> Entry:
        entry = self._entries.get(identity)
        if entry is None:
            entry = self._entries[identity] = Entry(identity)
        return entry

    def _contexts_of(self, credentials: Credentials) -> Contexts:
        """Raises TlsConfigError when they cannot be used (now)."""
        if credentials.usable_until <= self._clock():
            raise TlsConfigError(expired(credentials.usable_until))
        settings = self._settings
        return Contexts(client_context(credentials, settings), server_context(credentials, settings), credentials)


def tell_waiters(entry: Entry) -> None:
    """Each of them once; one that breaks must not keep the others waiting, nor end the renewal of certificates."""
    waiters, entry.waiters = entry.waiters, []
    for answered in waiters:
        try:
            answered()
        except Exception:
            log.exception("! somebody who waited for the certificate of %s: unexpected error", entry.identity)


def expired(ends: datetime.datetime) -> str:
    """In words."""
    return f"it expired at {show_moment(ends)}"


def show_moment(moment: datetime.datetime) -> str:
    """As logs show it."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
