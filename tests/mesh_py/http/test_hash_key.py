"""What a request is hashed by."""

from __future__ import annotations

import pytest

from mesh_py.http.hash_key import HashBy, HashKey, hash_key, key_of
from tests.mesh_py.http.routes import request


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (HashBy(header="X-User"), "jo"),
        (HashBy(header="x-none"), None),
        (HashBy(header="Host"), "web"),
        (HashBy(cookie="s"), "1"),
        (HashBy(cookie="none"), None),
        (HashBy(query_parameter="q"), "a"),
        (HashBy(query_parameter="none"), None),
        (HashBy(source_ip=True), "10.0.0.1"),
        (HashBy(), None),
    ],
)
def test_keys(by: HashBy, expected: str | None) -> None:
    assert hash_key(request("/?q=a&q=b", x_user="jo", cookie="s=1"), by, "10.0.0.1") == expected


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (HashBy(cookie="s", cookie_ttl=0.0), HashKey("1")),
        (HashBy(cookie="none"), HashKey()),
        (HashBy(cookie="u", cookie_ttl=0.0), HashKey("10000000000000", 'u="10000000000000"; HttpOnly')),
        (
            HashBy(cookie="u", cookie_ttl=9.5, cookie_path="/a"),
            HashKey("10000000000000", 'u="10000000000000"; Max-Age=9; Path=/a; HttpOnly'),
        ),
        (HashBy(header="x-none", cookie_ttl=1.0), HashKey()),
    ],
)
def test_a_client_without_its_cookie_gets_one(by: HashBy, expected: HashKey) -> None:
    assert key_of(request("/", cookie="s=1"), by, "10.0.0.1", lambda: 0.5) == expected
