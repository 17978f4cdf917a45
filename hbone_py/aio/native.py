"""The part of the compiled form that is written in C (`_way.c`): there or not, and why not.

It calls OpenSSL without cffi in between, so it has to know where OpenSSL's functions are. Bindings that do not tell, or
tell of other types than C was written for, leave its work to plain Python; the start-up log says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hbone_py.aio import form
from hbone_py.tls import openssl
from hbone_py.tls.records import LARGEST_PLAINTEXT

if TYPE_CHECKING:
    from hbone_py.aio._way import Frames, Ways
    from hbone_py.tls.buffers import SharedBuffer

_READ_SSL, _READ_BIO = "int(*)(SSL *, void *, int)", "int(*)(BIO *, void *, int)"
_FUNCTIONS = {"SSL_read": _READ_SSL, "SSL_write": _READ_SSL, "BIO_read": _READ_BIO, "BIO_write": _READ_BIO}
"""What `Ways` takes first, in this order: the functions' names and types, in cffi's words."""


def addresses() -> list[int]:
    """Where OpenSSL's functions are, as `Ways` takes them. Raises LookupError."""
    return [openssl.address(name, signature) for name, signature in _FUNCTIONS.items()]


def types() -> list[Any]:
    """What cffi calls OpenSSL's objects, as `Ways` takes them. Raises LookupError."""
    return [openssl.c_type(name) for name in ("SSL *", "BIO *")]


def _find() -> tuple[list[Any], str]:
    """What `Ways` takes before its buffers; empty, with the reason, where C cannot do its part."""
    if form.FORM != "compiled":
        return [], ""
    try:
        from hbone_py.aio._way import Ways

        found = [*addresses(), *types()]
        small = memoryview(bytearray(LARGEST_PLAINTEXT))
        Ways(*found, small, small, small)
    except (ImportError, LookupError, AttributeError, TypeError, ValueError) as reason:
        return [], f", messages plain: {reason}"
    return found, ""


_ARGUMENTS, _REASON = _find()

FORM = form.FORM + _REASON
"""Which form of the hot modules runs, in words, for logs and `--version`."""


def ways(ciphertext_in: SharedBuffer, plaintext_in: SharedBuffer, ciphertext_out: SharedBuffer) -> Ways | None:
    """The ways of a TLS message in C over these buffers; None where plain Python does it."""
    if not _ARGUMENTS:
        return None
    from hbone_py.aio._way import Ways

    return Ways(*_ARGUMENTS, ciphertext_in.view, plaintext_in.view, ciphertext_out.view)


def frames(outbox: SharedBuffer) -> Frames | None:
    """Likewise the ways of applications' bytes, to `outbox` and from wherever they are."""
    if not _ARGUMENTS:
        return None
    from hbone_py.aio._way import Frames

    return Frames(outbox.view)
