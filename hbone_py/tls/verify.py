"""Who the peer is, and whether that is who we want: the identity rules after the handshake [pure].

The chain itself was checked by the handshake; what it names is checked here, right after it and before a byte
is sent (hbone-dataplane 1.1, 13). Errors carry the texts of 1.1.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hbone_py.errors import PeerIdentityError
from hbone_py.identity import InvalidSpiffeIdError, SpiffeId

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

log = logging.getLogger(__name__)

CACHED_LEAVES = 4096
"""A peer shows the same leaf on each of its connections: this many are remembered."""


def peer_identities(leaf: x509.Certificate) -> tuple[SpiffeId, ...]:
    """The SPIFFE identities of a certificate, in its order.

    Only URI SANs count. One that is not a SPIFFE identity is skipped with a warning (hbone-dataplane 1.1).
    """
    return identities_of_der(leaf.public_bytes(Encoding.DER))


@lru_cache(maxsize=CACHED_LEAVES)
def identities_of_der(leaf_der: bytes) -> tuple[SpiffeId, ...]:
    """As `peer_identities`, from the certificate's DER form."""
    return tuple(_parsed(_uri_names(x509.load_der_x509_certificate(leaf_der))))


def verify_outbound(identities: Collection[SpiffeId], expected: Collection[SpiffeId]) -> None:
    """We are the client: any identity of the server must be one we expect. Nothing expected matches nothing.

    Raises:
        PeerIdentityError: none of them is.
    """
    if not any(identity in expected for identity in identities):
        raise PeerIdentityError(
            "identity verification error: "
            f"peer did not present the expected SAN ({_joined(expected)}), got {_joined(identities)}"
        )


def verify_inbound(identities: Collection[SpiffeId], own_trust_domain: str | None) -> None:
    """We are the server: any identity of the client must be of our trust domain; None (we have none) takes all.

    Raises:
        PeerIdentityError: none of them is.
    """
    if own_trust_domain is None:
        return
    if not any(identity.trust_domain == own_trust_domain for identity in identities):
        raise PeerIdentityError(
            "identity verification error: "
            f"peer did not present the expected trustdomain ({own_trust_domain}), got {_joined(identities)}"
        )


def _uri_names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        # An extension that cannot be read names nobody; the caller's rules then refuse the peer.
        log.warning("certificate %x: extensions cannot be read", certificate.serial_number)
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def _parsed(uris: Iterable[str]) -> Iterable[SpiffeId]:
    for uri in uris:
        try:
            yield SpiffeId.parse(uri)
        except InvalidSpiffeIdError:
            log.warning("certificate name %r is not a SPIFFE identity: skipped", uri)


def _joined(identities: Iterable[SpiffeId]) -> str:
    return ",".join(str(identity) for identity in identities)
