"""How many connections a node proxy takes for how many calls, and when it lets go of them (hbone-dataplane 5, 11).

The witness is the other side: how many HBONE connections the destination's proxy has.
"""

from __future__ import annotations

import contextlib
import gc
from typing import TYPE_CHECKING

import pytest

from hbone_py.aio.client import Dial
from hbone_py.aio.peer import Peer
from hbone_py.aio.relay import Relay
from hbone_py.connection import HboneConnection
from hbone_py.streams import Stream
from tests.interop.callers import TcpCaller, talk
from tests.support.processes import eventually, free_port, loopback_address
from tests.support.tcp_apps import echo
from ztunnel_py.inbound import InboundPeer
from ztunnel_py.inbound_tunnel import InboundTunnel
from ztunnel_py.outbound_tunnel import TunnelConnection

if TYPE_CHECKING:
    from tests.support.pods import Pod, Pods
    from tests.support.tcp_apps import TcpApp


def two(pods: Pods, **environment: str) -> tuple[Pod, Pod]:
    """A caller whose proxy has these settings, and a server."""
    return pods.add("sleep", environment=environment), pods.add("server")


def connections_to(server: Pod) -> int:
    return len(server.its_proxy.plane.inbound.peers)


async def calls(
    stack: contextlib.AsyncExitStack, sleep: Pod, app: TcpApp, count: int, sources: list[str] | None = None
) -> list[TcpCaller]:
    """Open calls, each answered once, from these addresses in turn."""
    callers = []
    for number in range(count):
        source = sources[number % len(sources)] if sources else None
        callers.append(await stack.enter_async_context(sleep.call(app.authority, source)))
    for number, caller in enumerate(callers):
        await talk(caller, b"call %d" % number)
    return callers


async def test_calls_at_once_and_later_share_one_connection_until_the_pool_is_closed(pods: Pods) -> None:
    sleep, server = two(pods)
    async with server.app(echo) as app:
        for _ in range(2):
            async with contextlib.AsyncExitStack() as stack:
                await calls(stack, sleep, app, 10)
                assert connections_to(server) == 1
        await eventually(lambda: sleep.its_proxy.open_connections == 0, "all calls are over")
        assert connections_to(server) == 1
        sleep.its_proxy.plane.outbound.close()
        await eventually(lambda: connections_to(server) == 0, "the connection is closed")


async def test_a_full_connection_is_followed_by_another(pods: Pods) -> None:
    """Two on each: four calls take two connections, and five more three."""
    sleep, server = two(pods, POOL_MAX_STREAMS_PER_CONNECTION="2")
    async with server.app(echo) as app, contextlib.AsyncExitStack() as stack:
        await calls(stack, sleep, app, 4)
        assert connections_to(server) == 2
        await calls(stack, sleep, app, 5)
        assert connections_to(server) == 5


async def test_room_that_has_become_free_is_used_again(pods: Pods) -> None:
    """The real one never comes back to a connection that was full."""
    sleep, server = two(pods, POOL_MAX_STREAMS_PER_CONNECTION="2")
    async with server.app(echo) as app:
        for _ in range(3):
            async with contextlib.AsyncExitStack() as stack:
                await calls(stack, sleep, app, 4)
            await eventually(lambda: sleep.its_proxy.open_connections == 0, "all calls are over")
        assert connections_to(server) == 2


@pytest.mark.parametrize(
    ("limit", "count", "sources", "expected"),
    [
        pytest.param(1, 4, 1, 4, id="one call on each"),
        pytest.param(101, 100, 1, 1, id="a hundred where a hundred and one may be"),
        pytest.param(101, 100, 100, 100, id="a hundred sources"),
        pytest.param(101, 300, 3, 3, id="three hundred from three sources"),
    ],
)
async def test_how_many_connections(pods: Pods, limit: int, count: int, sources: int, expected: int) -> None:
    sleep, server = two(pods, POOL_MAX_STREAMS_PER_CONNECTION=str(limit))
    addresses = list({loopback_address() for _ in range(2 * sources)})[:sources]
    pods.change("sleep", workload_ips=(sleep.ip, *addresses))
    async with server.app(echo) as app, contextlib.AsyncExitStack() as stack:
        await calls(stack, sleep, app, count, addresses)
        assert connections_to(server) == expected


async def test_an_unused_connection_goes_and_a_used_one_stays(pods: Pods) -> None:
    sleep, server = two(pods, POOL_UNUSED_RELEASE_TIMEOUT="300ms", POOL_MAX_STREAMS_PER_CONNECTION="2")
    async with server.app(echo) as app:
        async with contextlib.AsyncExitStack() as stack:
            [kept] = await calls(stack, sleep, app, 1)
            async with contextlib.AsyncExitStack() as more:
                await calls(more, sleep, app, 2)
                assert connections_to(server) == 2
            await eventually(lambda: connections_to(server) == 1, "the second connection goes by itself")
            await talk(kept, b"still here")
        await eventually(lambda: connections_to(server) == 0, "the first goes when its call is over")


PARTS = (Dial, HboneConnection, InboundPeer, InboundTunnel, Peer, Relay, Stream, TunnelConnection)
"""What is made for a connection or for a tunnel."""


@pytest.mark.parametrize("end", ["cleanly", "cut", "refused"])
async def test_what_is_over_leaves_nothing_to_the_garbage_collector(pods: Pods, end: str) -> None:
    """Rings of objects go with a full collection only, and each of those is a stall for everybody."""
    sleep, server = two(pods, POOL_UNUSED_RELEASE_TIMEOUT="10ms")
    gc.collect()
    older = parts()  # of other tests, which may hold on to them
    gc.disable()
    try:
        async with contextlib.AsyncExitStack() as stack:
            app = await stack.enter_async_context(server.app(echo))
            if end == "refused":
                await stack.enter_async_context(sleep.call(f"{server.ip}:{free_port(server.ip)}"))
                await sleep.its_proxy.line()
            else:
                [caller] = await calls(stack, sleep, app, 1)
                if end == "cut":
                    caller.abort()
        await eventually(lambda: connections_to(server) == 0, "the connection goes")
        await eventually(lambda: all(part in older for part in parts()), "nothing is left")
    finally:
        gc.enable()


def parts() -> list[object]:
    """Those that are not freed."""
    return [one for one in gc.get_objects() if isinstance(one, PARTS)]
