"""Which requests of one connection are decided alike, and what the connection to the application gets."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from hbone_py.aio.keepalive import AGE
from hbone_py.aio.relay import Relay
from hbone_py.aio.wheel import TICK
from hbone_py.connect import ConnectRequest
from tests.interop.callers import talk
from tests.support.tcp_apps import echo
from ztunnel_py.inbound_tunnel import _key_of as key_of

if TYPE_CHECKING:
    from tests.support.pods import Pods

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


async def test_an_application_that_is_spoken_to_for_long_gets_keepalive(pods: Pods) -> None:
    """hbone-dataplane 8.1; a second after the connection was made."""
    clock, sleep, server = pods.stop_the_clock(), pods.add("sleep"), pods.add("server")
    async with server.app(echo) as app, sleep.call(app.authority) as caller:
        await talk(caller, b"hello")
        (connection,) = server.its_proxy.plane.context.connections.live
        assert isinstance(connection.flow, Relay)
        sock = connection.flow.sock
        assert not sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        clock.advance(AGE + 2 * TICK)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 180
