"""Headers as a library user gives them, checked and encoded [pure]."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hbone_py.connect import check_name
from hbone_py.errors import LocalProtocolError, MalformedRequest
from hbone_py.header_blocks import literals

Headers = Mapping[str, str] | Iterable[tuple[str, str]]
"""Names in any case; a name may come several times in the second form."""

_NOT_IN_A_VALUE = frozenset("\r\n\0")


def encoded(headers: Headers) -> bytes:
    """Part of a header block. Raises LocalProtocolError for what no header may be (RFC 9113 section 8.2)."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return literals([_checked(name, value) for name, value in pairs])


def _checked(name: str, value: str) -> tuple[bytes, bytes]:
    try:
        found = name.lower().encode("ascii"), value.encode()
        check_name(*found)
    except (UnicodeEncodeError, MalformedRequest) as error:
        raise LocalProtocolError(f"header {name!r}: {error}") from error
    if not _NOT_IN_A_VALUE.isdisjoint(value) or value != value.strip(" \t"):
        raise LocalProtocolError(f"header {name!r}: {value!r} is no value of a header")
    return found
