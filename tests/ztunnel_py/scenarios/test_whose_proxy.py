"""Whom a proxy serves, in both modes, and with which certificate (contract of modes; hbone-dataplane 10.4)."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from tests.interop.callers import read_to_end, talk
from tests.support import world
from tests.support.pods import dialled, preamble
from tests.support.processes import loopback_address
from tests.support.tcp_apps import echo

if TYPE_CHECKING:
    from tests.support.pods import Pods

DEDICATED = {"PROXY_MODE": "dedicated", "PROXY_WORKLOAD_INFO": "default/sleep/sleep"}
FAILED = "istio_tcp_connections_failed_total"


async def test_a_dedicated_proxy_serves_one_workload_whatever_the_source(pods: Pods) -> None:
    sleep, server, stranger = pods.add("sleep", environment=DEDICATED), pods.add("server"), loopback_address()
    async with server.app(echo) as app:
        async with sleep.call(app.authority, source=stranger) as caller:
            await talk(caller, b"hello")
        assert (await app.connection()).peer[0] == sleep.ip
        line = await sleep.its_proxy.line()
    assert (line["src.workload"], line["src.identity"]) == ("sleep", "spiffe://cluster.local/ns/default/sa/sleep")


async def test_a_dedicated_proxy_is_dialled_at_any_address(pods: Pods) -> None:
    """15006 and 15008 reach the one workload, wherever the mesh says it is."""
    environment = {"PROXY_MODE": "dedicated", "PROXY_WORKLOAD_INFO": "default/server/server"}
    sleep, server = pods.add("sleep"), pods.add("server", environment=environment)
    server.its_proxy.state.upsert_workload(world.workload("server", "127.63.0.9", node="server"))
    async with server.app(echo) as app:
        async with sleep.call(app.authority) as caller:
            await talk(caller, b"hello")
        async with server.call_plain(loopback_address(), app.authority) as caller:
            await talk(caller, b"hello")


async def test_a_dedicated_proxy_without_its_workload(pods: Pods) -> None:
    nobody = DEDICATED | {"PROXY_WORKLOAD_INFO": "default/nobody/nobody"}
    sleep, server = pods.add("sleep", environment=nobody), pods.add("server")
    async with server.app(echo) as app, dialled((sleep.ip, 15001), sleep.ip) as (caller, local):
        await caller.send(preamble(local, world.address(app.authority)))
        assert await read_to_end(caller) == (b"", "reset")
    error = (await sleep.its_proxy.line(message="connection failed"))["error"]
    assert error == "failed to fetch information about local workload: nobody.default (nobody)"


async def test_each_pod_of_a_node_has_its_own_certificate(pods: Pods) -> None:
    """One process, two pods: a call is made in the name of the pod it comes from."""
    sleep, server = pods.add("sleep"), pods.add("server")
    other = pods.add("other", proxied=False, node="sleep")
    async with server.app(echo) as app:
        for pod in (sleep, other):
            async with sleep.call(app.authority, source=pod.ip) as caller:
                await talk(caller, b"hello")
        for index, pod in enumerate((sleep, other)):
            line = await server.its_proxy.line(index)
            assert line["src.identity"] == f"spiffe://cluster.local/ns/default/sa/{pod.name}"


async def test_an_expired_certificate_opens_nothing_and_ends_nothing(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    async with server.app(echo) as app, sleep.call(app.authority) as before:
        await talk(before, b"hello")
        pods.later = datetime.timedelta(days=2)
        await talk(before, b"still here")
        pods.change("sleep", workload_ips=(sleep.ip, again := loopback_address()))
        async with sleep.call(app.authority, source=again) as caller:
            assert await read_to_end(caller) == (b"", "reset")
        error = (await sleep.its_proxy.line())["error"]
    assert error.startswith("identity error: no certificate for spiffe://cluster.local/ns/default/sa/sleep: it expired")
    assert sleep.its_proxy.total(FAILED, response_flags="IDENTITY_ERROR") == 1
