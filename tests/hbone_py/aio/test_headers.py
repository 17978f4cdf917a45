"""Headers as a library user gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hbone_py.aio.headers import encoded
from hbone_py.errors import LocalProtocolError
from tests.support.frames import decoded

if TYPE_CHECKING:
    from hbone_py.aio.headers import Headers


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((), []),
        ({}, []),
        ({"baggage": "a=b", "X-Trace": "ü"}, [(b"baggage", b"a=b"), (b"x-trace", "ü".encode())]),
        ([("via", "one"), ("via", "two")], [(b"via", b"one"), (b"via", b"two")]),
        (iter([("empty", "")]), [(b"empty", b"")]),
        ({"te": "trailers"}, [(b"te", b"trailers")]),
    ],
)
def test_they_reach_the_wire(headers: Headers, expected: list[tuple[bytes, bytes]]) -> None:
    assert decoded(encoded(headers)) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("", "x", id="no name"),
        pytest.param("a b", "x", id="white space in a name"),
        pytest.param("ü", "x", id="a name beyond ASCII"),
        pytest.param(":method", "GET", id="a pseudo-header"),
        pytest.param("connection", "close", id="of HTTP/1.1"),
        pytest.param("te", "gzip", id="te"),
        pytest.param("x", "a\r\nb: c", id="two headers in one"),
        pytest.param("x", "a\0", id="a zero"),
        pytest.param("x", " a", id="white space before the value"),
        pytest.param("x", "a\t", id="white space behind it"),
    ],
)
def test_what_no_header_may_be(name: str, value: str) -> None:
    with pytest.raises(LocalProtocolError, match="header"):
        encoded({name: value})
