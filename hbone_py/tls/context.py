"""TLS as HBONE wants it, once per credentials and direction: versions, suites, groups, ALPN, whom to believe.

Everything here is hbone-dataplane 1.1. A context serves any number of connections. What a setting promises is
kept or refused with TlsConfigError, never ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from OpenSSL import SSL, crypto

from hbone_py.errors import TlsConfigError
from hbone_py.tls import openssl
from hbone_py.tls.keylog import KeyLog
from hbone_py.tls.reasons import describe, reason_texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from hbone_py.tls.credentials import Credentials

ALPN: Final = b"h2"
GROUPS: Final = "X25519:P-256:P-384:X25519MLKEM768"
POST_QUANTUM_GROUP: Final = "X25519MLKEM768"
TLS12_SUITES: Final = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
)

# OpenSSL's numbers of modes that pyOpenSSL does not name (openssl/ssl.h).
_MODE_ENABLE_PARTIAL_WRITE = 0x1
_MODE_NO_AUTO_CHAIN = 0x8

# Errors of a revocation check that do not refuse a peer (hbone-dataplane 1.1, "Revocation"): no list of its
# issuer, a list not yet or no longer valid.
_TOLERATED_CRL_ERRORS = frozenset({3, 11, 12})


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """How TLS is spoken; the defaults are HBONE's."""

    tls12: bool = False
    """Also speak TLS 1.2, with the four suites of hbone-dataplane 1.1 (`TLS12_ENABLED`)."""
    post_quantum_only: bool = False
    """Exchange keys by X25519MLKEM768 and nothing else (`COMPLIANCE_POLICY=pqc`)."""
    suites: tuple[str, ...] = ("TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256")
    """TLS 1.3 suites, the preferred one first."""
    alpn: tuple[bytes, ...] = (ALPN,)
    """What is spoken inside, the preferred one first; none: ALPN is not used."""
    alpn_is_demanded: bool = True
    """Server: refuse a client that knows ALPN and offers none of them, instead of going on without."""
    keylog: Path | None = None
    """Where to write the secrets for Wireshark; None: nowhere."""
    crls_pem: tuple[bytes, ...] = ()
    """Revocation lists, one PEM each. If there are any, every peer's whole chain is looked up in them."""


class NoCommonProtocol(Exception):
    """The peer speaks ALPN and offers nothing of ours. Raised into OpenSSL, which makes it the fatal alert."""

    def __init__(self, offered: list[bytes], wanted: tuple[bytes, ...] = (ALPN,)) -> None:
        super().__init__(f"no_application_protocol: the peer offers {_names(offered)}, not {_names(wanted)}")


@dataclass(frozen=True, slots=True)
class TlsContext:
    """A prepared side of TLS: give it to `TlsEngine`. Made by `client_context` and `server_context`."""

    ssl: SSL.Context
    is_server: bool
    server_name: str = ""
    """What a client names in its first message (SNI); empty, as in HBONE: nothing."""
    alpn: tuple[bytes, ...] = ()
    """What a client offers instead of what its settings say; empty: that."""


def client_context(credentials: Credentials, settings: TlsSettings) -> TlsContext:
    """The side that dials. Sends no server name; offers `settings.alpn`; shows its certificate when asked.

    Raises:
        TlsConfigError: the library cannot do what `settings` asks, or the credentials are of no use to it.
    """
    context = _context(credentials, settings)
    if settings.alpn:
        context.set_alpn_protos(list(settings.alpn))
    return TlsContext(context, is_server=False)


def server_context(credentials: Credentials, settings: TlsSettings) -> TlsContext:
    """The side that accepts. Demands a client certificate; takes `settings.alpn` or a peer that knows no ALPN.

    Raises:
        TlsConfigError: as `client_context`.
    """
    context = _context(credentials, settings)
    if settings.alpn:
        context.set_alpn_select_callback(partial(_select_among, settings))
    return TlsContext(context, is_server=True)


def bare_context(settings: TlsSettings) -> SSL.Context:
    """Versions, suites, groups and options alone: no certificate to show, nobody to believe, no protocol yet.

    What HBONE and the control plane's TLS (mesh_py/rpc) have in common.

    Raises:
        TlsConfigError: the library cannot do what `settings` asks.
    """
    context = SSL.Context(SSL.TLS_METHOD)
    # SSL_write takes all it is given. The root stays at home: OpenSSL would find it in the store and send it.
    context.clear_mode(_MODE_ENABLE_PARTIAL_WRITE)
    context.set_mode(_MODE_NO_AUTO_CHAIN)
    # Half the memory of an idle connection, for a tenth of a microsecond a record.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION)
    _set_algorithms(context, settings)
    if settings.keylog is not None:
        context.set_keylog_callback(_key_log(settings.keylog))
    return context


def show_certificate(context: SSL.Context, credentials: Credentials) -> None:
    """Authenticate ourselves with these. Raises TlsConfigError when OpenSSL has no use for them."""
    intermediates = [one for one in credentials.chain[1:] if one not in credentials.roots]
    show_chain(context, (credentials.leaf, *intermediates), credentials.key)


def show_chain(context: SSL.Context, chain: Sequence[x509.Certificate], key: PrivateKeyTypes) -> None:
    """The same with a certificate, those behind it, and its key. Raises TlsConfigError."""
    try:
        context.use_certificate(chain[0])
        for intermediate in chain[1:]:
            context.add_extra_chain_cert(intermediate)
        context.use_privatekey(key)  # type: ignore[arg-type]  # a kind OpenSSL refuses is refused below
        context.check_privatekey()
    except (SSL.Error, crypto.Error) as error:
        reason = describe(reason_texts(error))
        raise TlsConfigError(f"OpenSSL does not accept the certificate or its key: {reason}") from error


def trust(context: SSL.Context, roots: Iterable[x509.Certificate]) -> None:
    """Believe peers that these vouch for."""
    store = _store(context)
    for root in roots:
        store.add_cert(crypto.X509.from_cryptography(root))
    # Whatever is in the roots is an anchor, also an intermediate (rustls has no other notion).
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)


def select_protocol(_connection: SSL.Connection, offered: list[bytes]) -> bytes:
    """A server's answer to ALPN: h2, or an end with the alert. A peer that knows no ALPN never gets here."""
    if ALPN not in offered:
        raise NoCommonProtocol(offered)
    return ALPN


def _select_among(settings: TlsSettings, _connection: SSL.Connection, offered: list[bytes]) -> Any:
    chosen = next((protocol for protocol in settings.alpn if protocol in offered), None)
    if chosen is None and settings.alpn_is_demanded:
        raise NoCommonProtocol(offered, settings.alpn)
    return SSL.NO_OVERLAPPING_PROTOCOLS if chosen is None else chosen


def _names(protocols: Sequence[bytes]) -> str:
    return ", ".join(name.decode("ascii", "backslashreplace") for name in protocols)


def _context(credentials: Credentials, settings: TlsSettings) -> SSL.Context:
    context = bare_context(settings)
    show_certificate(context, credentials)
    trust(context, credentials.roots)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT)
    revoke_by(context, settings.crls_pem)
    return context


def _set_algorithms(context: SSL.Context, settings: TlsSettings) -> None:
    context.set_min_proto_version(SSL.TLS1_2_VERSION if settings.tls12 else SSL.TLS1_3_VERSION)
    context.set_max_proto_version(SSL.TLS1_3_VERSION)
    context.set_cipher_list(":".join(TLS12_SUITES).encode())
    try:
        context.set_tls13_ciphersuites(":".join(settings.suites).encode())
    except SSL.Error as error:
        raise TlsConfigError(f"OpenSSL does not know all of the suites {', '.join(settings.suites)}") from error
    groups = POST_QUANTUM_GROUP if settings.post_quantum_only else GROUPS
    if not openssl.set_groups(context, groups):
        raise TlsConfigError(f"this OpenSSL cannot restrict key exchange to {groups}")


def revoke_by(context: SSL.Context, crls_pem: tuple[bytes, ...]) -> None:
    """Refuse whoever these lists name; none: nobody. Raises TlsConfigError."""
    if not crls_pem:
        return
    store = _store(context)
    for pem in crls_pem:
        try:
            store.add_crl(x509.load_pem_x509_crl(pem))
        except (ValueError, x509.InvalidVersion, crypto.Error) as error:
            raise TlsConfigError(f"revocation list: not PEM ({error})") from error
    store.set_flags(crypto.X509StoreFlags.CRL_CHECK | crypto.X509StoreFlags.CRL_CHECK_ALL)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _tolerate_unknown_revocation)


def _store(context: SSL.Context) -> crypto.X509Store:
    store = context.get_cert_store()
    assert store is not None, "a context always has a store"
    return store


def _tolerate_unknown_revocation(
    _connection: SSL.Connection, _certificate: crypto.X509, error: int, _depth: int, is_good: int
) -> bool:
    return bool(is_good) or error in _TOLERATED_CRL_ERRORS


@lru_cache(maxsize=16)
def _key_log(path: Path) -> KeyLog:
    """One open file per path, whatever number of contexts write to it."""
    return KeyLog(path)
