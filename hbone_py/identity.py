"""SPIFFE identities as Istio writes them: who is at the other end of a TLS connection.

Pure. `SpiffeId` is a value; reading the URI out of a certificate is the TLS layer's work.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

SCHEME = "spiffe://"


class InvalidSpiffeIdError(ValueError):
    """The text is not `spiffe://<trust domain>/ns/<namespace>/sa/<service account>`."""

    def __init__(self, text: str) -> None:
        super().__init__(
            f"not a SPIFFE identity: {text!r}, expected spiffe://<trust domain>/ns/<namespace>/sa/<account>"
        )
        self.text = text


@dataclass(frozen=True, slots=True)
class SpiffeId:
    """The identity of a workload: a service account of a namespace in a trust domain.

    Equality is of all three parts (hbone-dataplane 1.1). Parts may be empty: the grammar
    counts them and looks no further, as the other implementations do.
    """

    trust_domain: str
    namespace: str
    service_account: str
    principal: str = field(init=False, repr=False, compare=False)
    """The identity without its scheme: `td/ns/x/sa/y`, the form that policies are written in."""

    def __post_init__(self) -> None:
        principal = f"{self.trust_domain}/ns/{self.namespace}/sa/{self.service_account}"
        object.__setattr__(self, "principal", principal)

    def __hash__(self) -> int:
        # Pools look connections up by whole tuples of identities: a text remembers its hash, a dataclass does not.
        return hash(self.principal)

    @staticmethod
    def parse(text: str) -> SpiffeId:
        """Read an identity from its URI form.

        Exactly five parts follow the scheme, the second is `ns`, the fourth `sa`. Equal texts give the
        same object while it is cached.

        Raises:
            InvalidSpiffeIdError: the text has another form.
        """
        return _parse(text)

    @staticmethod
    def of(trust_domain: str, namespace: str, service_account: str) -> SpiffeId:
        """The identity with these parts, shared between equal callers while it is cached."""
        return _of(trust_domain, namespace, service_account)

    def __str__(self) -> str:
        return SCHEME + self.principal


@lru_cache(maxsize=65536)
def _of(trust_domain: str, namespace: str, service_account: str) -> SpiffeId:
    return SpiffeId(trust_domain, namespace, service_account)


@lru_cache(maxsize=65536)
def _parse(text: str) -> SpiffeId:
    parts = text.removeprefix(SCHEME).split("/")
    if not text.startswith(SCHEME) or len(parts) != 5 or parts[1] != "ns" or parts[3] != "sa":
        raise InvalidSpiffeIdError(text)
    return _of(parts[0], parts[2], parts[4])
