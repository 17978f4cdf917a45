"""Which requests of one connection are decided alike."""

from __future__ import annotations

import pytest

from hbone_py.connect import ConnectRequest
from ztunnel_py.inbound_tunnel import _key_of as key_of

Headers = list[tuple[bytes, bytes]]
FROM_A, FROM_B = b'for="10.0.0.1:1"', b'for="10.0.0.1:2"'


def request(*headers: tuple[bytes, bytes], authority: str = "10.0.0.2:80") -> ConnectRequest:
    return ConnectRequest(authority, list(headers))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(request(), request(), id="no headers"),
        pytest.param(
            request((b"forwarded", FROM_A + b";host=x")),
            request((b"forwarded", FROM_B + b";host=x")),
            id="ports differ",
        ),
        pytest.param(request((b"traceparent", b"00-1")), request((b"traceparent", b"00-2")), id="traces differ"),
        pytest.param(request((b"x-unknown", b"1")), request((b"x-unknown", b"2")), id="unknown headers differ"),
    ],
)
def test_alike(one: ConnectRequest, other: ConnectRequest) -> None:
    assert key_of(one) == key_of(other) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(request(), request(authority="10.0.0.2:81"), id="authority"),
        pytest.param(
            request((b"forwarded", FROM_A + b";host=x")), request((b"forwarded", FROM_A + b";host=y")), id="service"
        ),
        pytest.param(request((b"forwarded", b"host=x")), request((b"forwarded", b"host=y")), id="service, named first"),
        pytest.param(request((b"baggage", b"a=1")), request((b"baggage", b"a=2")), id="baggage"),
        pytest.param(request(), request((b"x-forwarded-network", b"")), id="network"),
    ],
)
def test_not_alike(one: ConnectRequest, other: ConnectRequest) -> None:
    assert key_of(one) != key_of(other)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param([(b"baggage", b"a=1"), (b"baggage", b"b=2")], id="a doubled header"),
        pytest.param([(b"baggage", b"a" * 5000)], id="much baggage"),
        pytest.param([(b"forwarded", FROM_A + b";host=" + b"a" * 5000)], id="a long service"),
    ],
)
def test_not_remembered(headers: Headers) -> None:
    assert key_of(request(*headers)) is None
