"""Certificates for Envoys that have no agent beside them: made by us, key and all, and sent over SDS.

Only to a client whose identity is proven, and only its own. The keys live in memory, as long as their certificates.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from istiod_py.envoy.protobuf import pack
from istiod_py.envoy.secrets import identity_secret, roots_secret
from istiod_py.snapshot import NOTHING, Collection, Resource
from mesh_py.identity.signing import CaError
from mesh_py.xds.types import SECRET

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable

    from hbone_py.identity import SpiffeId
    from istiod_py.authority import FolderAuthority

log = logging.getLogger("sds")

MOST_IDENTITIES = 10_000


@dataclass(frozen=True, slots=True)
class _Held:
    secrets: Collection
    renew_at: datetime.datetime


class Secrets:
    """One certificate per identity, renewed at half its life."""

    def __init__(
        self, authority: FolderAuthority, lifetime: datetime.timedelta, now: Callable[[], datetime.datetime]
    ) -> None:
        self._authority = authority
        self._lifetime = lifetime
        self._now = now
        self._held: OrderedDict[SpiffeId, _Held] = OrderedDict()

    def of(self, identity: SpiffeId) -> Collection:
        """The secrets `default` and `ROOTCA` of an identity; nothing while the authority cannot sign."""
        held = self._held.get(identity)
        if held is None:
            try:
                held = self._held[identity] = self._made(identity)
            except CaError as error:
                log.error("no certificate for %s: %s", identity, error)
                return NOTHING
            if len(self._held) > MOST_IDENTITIES:
                self._held.popitem(last=False)
        return held.secrets

    def renew(self, *, all: bool = False) -> bool:
        """Forget what is at half its life, or everything: the next who asks gets it fresh. Whether there was any."""
        now = self._now()
        due = [identity for identity, held in self._held.items() if all or now >= held.renew_at]
        for identity in due:
            del self._held[identity]
        return bool(due)

    def _made(self, identity: SpiffeId) -> _Held:
        leaf = self._authority.issue(identity, self._lifetime)
        assert leaf.key_pem is not None, "no public key was given, so one was made"
        now = self._now()
        remaining = leaf.certificate.not_valid_after_utc - now
        found = [
            identity_secret(leaf.chain_pem.decode(), leaf.key_pem.decode()),
            roots_secret(self._authority.roots_pem.decode()),
        ]
        log.info("made a key and a certificate for %s", identity)
        return _Held(Collection(map(_resource, found)), now + remaining / 2)


def _resource(secret: dict[str, Any]) -> Resource:
    return Resource(*pack(SECRET, secret["name"], secret))
