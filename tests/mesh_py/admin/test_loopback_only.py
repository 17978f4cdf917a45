"""Who may talk to the admin port: by Host and Origin."""

from __future__ import annotations

import pytest

from mesh_py.admin.loopback_only import is_meant_for_us


@pytest.mark.parametrize(
    ("host", "origin", "answered"),
    [
        pytest.param("localhost", None, True, id="curl localhost"),
        pytest.param("localhost:15000", None, True, id="with a port"),
        pytest.param("LOCALHOST.:15000", None, True, id="as DNS would spell it"),
        pytest.param("127.0.0.1:15000", None, True, id="IPv4"),
        pytest.param("127.0.21.1:15000", None, True, id="another loopback address"),
        pytest.param("[::1]:15000", None, True, id="IPv6"),
        pytest.param(None, None, True, id="HTTP/1.0 without Host"),
        pytest.param("evil.example:15000", None, False, id="a name that resolves here: DNS rebinding"),
        pytest.param("localhost.evil.example", None, False, id="a name that only begins like us"),
        pytest.param("10.0.0.1:15000", None, False, id="an address that is not loopback"),
        pytest.param("127.0.0.1.evil.example", None, False, id="an address that is only the beginning"),
        pytest.param("", None, False, id="empty"),
        pytest.param("[::1", None, True, id="a bracket left open, still ourselves"),
        pytest.param("localhost:15000", "http://evil.example", False, id="a form on anybody's page"),
        pytest.param("localhost:15000", "null", False, id="a sandboxed page"),
        pytest.param("localhost:15000", "http://localhost:15000", True, id="our own page"),
        pytest.param("localhost:15000", "http://[::1]:15000", True, id="our own page by IPv6"),
    ],
)
def test_is_meant_for_us(host: str | None, origin: str | None, answered: bool):
    assert is_meant_for_us(host, origin) is answered
