"""What a request is hashed by."""

from __future__ import annotations

import pytest

from mesh_py.http.hash_key import HashBy, hash_key
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
