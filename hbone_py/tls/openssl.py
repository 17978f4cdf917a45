"""The names behind pyOpenSSL's curtain, all in one place [pure].

pyOpenSSL's own send, recv_into and bio_read allocate and copy on every call; the functions below take a pointer
to memory we keep (docs/decisions/0004-tls-library.md). They are not its public interface, so they are looked up
once, at import. Where one is missing, `IS_COMPLETE` is false and hbone_py/tls/engine.py takes the public calls.
"""

from __future__ import annotations

from typing import Any, Final

from cryptography.hazmat.bindings import _rust
from OpenSSL import SSL

# cffi's objects have no types of their own: a function of `lib` and a pointer are `Any` to us.
lib: Final[Any] = getattr(SSL, "_lib", None)
ffi: Final[Any] = getattr(SSL, "_ffi", None)

_FUNCTIONS = (
    "BIO_free",
    "BIO_get_mem_data",
    "BIO_new",
    "BIO_new_mem_buf",
    "BIO_read",
    "BIO_s_mem",
    "BIO_set_mem_eof_return",
    "BIO_write",
    "ERR_clear_error",
    "ERR_get_error",
    "ERR_reason_error_string",
    "SSL_do_handshake",
    "SSL_get_error",
    "SSL_get_peer_certificate",
    "SSL_read",
    "SSL_set_bio",
    "SSL_shutdown",
    "SSL_write",
    "X509_free",
    "i2d_X509_bio",
)
_ATTRIBUTES = ("_from_ssl", "_into_ssl", "_raise_ssl_error", "_ssl")
"""Of a connection."""


def missing_names() -> list[str]:
    """The private names this version of pyOpenSSL does not have; empty where the direct calls can be used."""
    missing = [name for name in _FUNCTIONS if not hasattr(lib, name)]
    connection = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
    missing += [name for name in _ATTRIBUTES if not hasattr(connection, name)]
    return missing if ffi is not None else [*missing, "_ffi"]


IS_COMPLETE: Final[bool] = not missing_names()

CAN_CHOOSE_GROUPS: Final[bool] = hasattr(lib, "SSL_CTX_set1_curves_list")


def set_groups(context: SSL.Context, groups: str) -> bool:
    """Offer exactly these key exchange groups, colon-separated; False if the library does not know one."""
    chosen = CAN_CHOOSE_GROUPS and lib.SSL_CTX_set1_curves_list(context._context, groups.encode()) == 1
    if not chosen and CAN_CHOOSE_GROUPS:
        lib.ERR_clear_error()
    return bool(chosen)


def address(function: str, signature: str) -> int:
    """Where a function of OpenSSL's is, for whoever calls it without cffi.

    Raises LookupError when the bindings do not tell, or tell of another signature (in cffi's words).
    """
    try:
        # `lib` is a copy of these bindings that has functions only by name.
        pointer = ffi.addressof(_rust._openssl.lib, function)
    except AttributeError:
        raise LookupError(f"OpenSSL's bindings do not tell where {function} is") from None
    if (found := ffi.typeof(pointer).cname) != signature:
        raise LookupError(f"{function} of OpenSSL's bindings is {found}, not {signature}")
    return int(ffi.cast("uintptr_t", pointer))


def c_type(name: str) -> Any:
    """cffi's own object for a type of OpenSSL's, such as ``SSL *``. Raises LookupError when the bindings have none."""
    try:
        return ffi.typeof(name)
    except ffi.error as error:
        raise LookupError(f"OpenSSL's bindings have no {name}: {error}") from None


def verify_problem(connection: SSL.Connection) -> str | None:
    """Why OpenSSL did not accept the peer's chain, in its words; None if it did or never looked."""
    if not hasattr(lib, "SSL_get_verify_result"):
        return None
    code = lib.SSL_get_verify_result(connection._ssl)
    if code == 0:
        return None
    return str(ffi.string(lib.X509_verify_cert_error_string(code)).decode())


def leaf_der(ssl: Any) -> bytes:
    """The peer's leaf in DER form, as it was shown; empty if none was. `ssl` is a connection's own `_ssl`."""
    certificate = lib.SSL_get_peer_certificate(ssl)
    if certificate == ffi.NULL:
        return b""
    memory = lib.BIO_new(lib.BIO_s_mem())
    try:
        lib.i2d_X509_bio(memory, certificate)
        start = ffi.new("char **")
        size = lib.BIO_get_mem_data(memory, start)
        return bytes(ffi.buffer(start[0], size))
    finally:
        lib.BIO_free(memory)
        lib.X509_free(certificate)


def take_errors() -> list[str]:
    """Empty OpenSSL's queue of errors: the reasons, oldest first."""
    errors = []
    while code := lib.ERR_get_error():
        text = lib.ERR_reason_error_string(code)
        name = ffi.string(text).decode() if text != ffi.NULL else f"error {code:#x}"
        errors.append(name)
    return errors
