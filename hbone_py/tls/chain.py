"""Whether a certificate leads to the roots that came with it: asked of OpenSSL, as every peer will [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from OpenSSL import crypto

from hbone_py.errors import TlsConfigError

if TYPE_CHECKING:
    import datetime

    from hbone_py.tls.credentials import Credentials


def check_chain(credentials: Credentials, when: datetime.datetime) -> None:
    """Whether a peer with the same roots would believe these credentials at that moment.

    Raises:
        TlsConfigError: the leaf is not valid yet or no more, or its chain is broken, forged or ends elsewhere.
    """
    _check_dates(credentials, when)
    store = crypto.X509Store()
    for root in credentials.roots:
        store.add_cert(crypto.X509.from_cryptography(root))
    # Whatever is in the roots is an anchor, as for peers: see `trust`.
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    store.set_time(when)
    leaf, *between = map(crypto.X509.from_cryptography, credentials.chain)
    try:
        crypto.X509StoreContext(store, leaf, between).verify_certificate()
    except crypto.X509StoreContextError as error:
        raise TlsConfigError(f"certificate chain: does not lead to the roots: {_reason(error)}") from error


def _check_dates(credentials: Credentials, when: datetime.datetime) -> None:
    begin, end = credentials.not_before, credentials.not_after
    if when < begin:
        raise TlsConfigError(
            f"certificate: not valid before {begin:%FT%TZ}, it is {when:%FT%TZ}: which clock is wrong?"
        )
    if when >= end:
        raise TlsConfigError(f"certificate: expired at {end:%FT%TZ}, it is {when:%FT%TZ}: which clock is wrong?")


def _reason(error: crypto.X509StoreContextError) -> str:
    """OpenSSL's words, and the certificate they are about."""
    return f"{error} (the certificate of serial number {error.certificate.get_serial_number():x})"
