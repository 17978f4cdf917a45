"""Certificates signed elsewhere: fetched ahead, waited for, refused, forgotten (hbone-controlplane 3.3)."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pytest

from mesh_py.model.workload import Protocol
from tests.interop.callers import read_to_end, talk
from tests.support import world
from tests.support.certificates import TestRoot
from tests.support.pods import HBONE, RemoteAuthority, dialled
from tests.support.processes import eventually, loopback_address
from tests.support.tcp_apps import echo

if TYPE_CHECKING:
    from tests.support.pods import Pod, Pods, Proxy

EVERYBODY = {"NODE_NAME": ""}
"""A proxy without a node's name fetches nothing ahead."""


@pytest.fixture
def remote(pods: Pods) -> RemoteAuthority:
    """Every proxy of these pods asks this one, which answers once its gate is open."""
    pods.remote = RemoteAuthority(pods.authority)
    return pods.remote


def states(proxy: Proxy) -> dict[str, str]:
    """The state of each certificate by service account, as `/config_dump` has it."""
    return {entry["identity"].rpartition("/")[2]: entry["state"] for entry in proxy.certificates.certificates()}


async def test_a_nodes_own_identities_are_fetched_before_anybody_asks(pods: Pods, remote: RemoteAuthority) -> None:
    """Only its own, only where HBONE is spoken, once each; the last workload of an identity takes it away."""
    remote.gate.set()
    sleep = pods.add("sleep")
    pods.tell(
        world.workload("twin", loopback_address(), node="sleep", service_account="sleep"),
        world.workload("plain", loopback_address(), node="sleep", protocol=Protocol.TCP),
        world.workload("waypoint", loopback_address(), node="sleep", protocol=Protocol.TCP, native_tunnel=True),
        world.workload("far", loopback_address(), node="elsewhere"),
    )
    expected = {"sleep": "Available", "waypoint": "Available"}
    await eventually(lambda: states(sleep.its_proxy) == expected, "both fetched")
    assert sorted(remote.asked) == ["sleep", "waypoint"]
    sleep.its_proxy.state.remove_workload("cluster//Pod/default/waypoint")
    sleep.its_proxy.state.remove_workload("cluster//Pod/default/twin")
    await eventually(lambda: states(sleep.its_proxy) == {"sleep": "Available"}, "the waypoint's forgotten")
    sleep.its_proxy.state.remove_workload("cluster//Pod/default/sleep")
    await eventually(lambda: states(sleep.its_proxy) == {}, "all forgotten")


async def test_both_ends_wait_for_their_certificates(pods: Pods, remote: RemoteAuthority) -> None:
    sleep, server = pods.add("sleep", environment=EVERYBODY), pods.add("server", environment=EVERYBODY)
    async with server.app(echo) as app, sleep.call(app.authority) as caller:
        await eventually(lambda: remote.asked == ["sleep"], "the caller's asked for")
        assert states(sleep.its_proxy) == {"sleep": "Initializing"}
        assert server.its_proxy.open_connections == 0
        remote.gate.set()
        await talk(caller, b"hello")
    assert remote.asked == ["sleep", "server"]
    assert states(server.its_proxy) == {"server": "Available"}
    line = await server.its_proxy.line()
    assert line["src.identity"] == "spiffe://cluster.local/ns/default/sa/sleep"


async def test_many_connections_wait_for_one_certificate(pods: Pods, remote: RemoteAuthority) -> None:
    sleep, server = pods.add("sleep", environment=EVERYBODY), pods.add("server", environment=EVERYBODY)
    async with (
        server.app(echo) as app,
        sleep.call(app.authority) as one,
        sleep.call(app.authority) as two,
        sleep.call(app.authority) as three,
    ):
        await eventually(lambda: sleep.its_proxy.open_connections == 3, "all accepted")
        remote.gate.set()
        for caller in (one, two, three):
            await talk(caller, b"hello")
    assert remote.asked == ["sleep", "server"]


@pytest.mark.parametrize("account", ["sleep", "server"])
async def test_who_gets_none_is_told_why(pods: Pods, remote: RemoteAuthority, account: str) -> None:
    """The reason stands in the log of whoever has none, at once for those who come later."""
    remote.gate.set()
    pods.authority.refuses.add(account)
    sleep, server = pods.add("sleep"), pods.add("server")
    who = sleep if account == "sleep" else server
    await eventually(lambda: states(who.its_proxy).get(account, "").startswith("Unavailable"), "refused")
    async with server.app(echo) as app, sleep.call(app.authority) as caller:
        assert await read_to_end(caller) == (b"", "reset")
    reason = f"identity error: no certificate for spiffe://cluster.local/ns/default/sa/{account}: nothing is there for"
    message = "connection complete" if account == "sleep" else "connection failed"
    assert (await who.its_proxy.line(message=message))["error"].startswith(reason)


async def test_nobody_waits_for_ever(pods: Pods, remote: RemoteAuthority) -> None:
    sleep, server = pods.add("sleep", environment=EVERYBODY), pods.add("server", environment=EVERYBODY)
    clock = pods.stop_the_clock()
    reason = "identity error: no certificate for {}: the authority has not answered within 10 s"
    async with sleep.call(f"{server.ip}:8080") as caller, dialled((server.ip, HBONE), loopback_address()) as (raw, _):
        await eventually(lambda: sorted(remote.asked) == ["server", "sleep"], "both asked for")
        clock.advance(11)
        assert await read_to_end(caller) == (b"", "reset")
        assert (await read_to_end(raw))[0] == b""
    outbound = await sleep.its_proxy.line()
    assert outbound["error"] == reason.format("spiffe://cluster.local/ns/default/sa/sleep")
    inbound = await server.its_proxy.line(message="connection failed")
    assert inbound["error"] == reason.format("spiffe://cluster.local/ns/default/sa/server")


async def test_a_drain_does_not_wait_for_the_authority(pods: Pods, remote: RemoteAuthority) -> None:
    """Who waits is cut at the deadline, like any other; a late answer finds nobody."""
    sleep, server = pods.add("sleep", environment=EVERYBODY), pods.add("server", environment=EVERYBODY)
    async with sleep.call(f"{server.ip}:8080") as caller, dialled((server.ip, HBONE), loopback_address()) as (raw, _):
        await eventually(lambda: sorted(remote.asked) == ["server", "sleep"], "both asked for")
        for pod in (sleep, server):
            assert await pod.its_proxy.plane.drain(0.05) is False
        assert await read_to_end(caller) == (b"", "reset")
        assert (await read_to_end(raw))[0] == b""
    remote.gate.set()
    await eventually(lambda: set(states(sleep.its_proxy).values()) == {"Available"}, "the late answer is kept")


async def test_open_connections_outlive_the_root_they_began_with(pods: Pods, remote: RemoteAuthority) -> None:
    """Both ends renew under another root; the open tunnel goes on, new connections use what is new."""
    remote.gate.set()
    sleep, server = pods.add("sleep"), pods.add("server")
    async with sleep.app(echo) as back, server.app(echo) as app, sleep.call(app.authority) as long_call:
        await talk(long_call, b"before")
        old = [roots_of(sleep), roots_of(server)]
        pods.authority.root = TestRoot(pods.authority.root.folder / "another")
        pods.authority.files.clear()
        pods.later += datetime.timedelta(hours=13)
        for pod in (sleep, server):
            await pod.its_proxy.refresh()
        await eventually(lambda: not {roots_of(sleep), roots_of(server)} & set(old), "both renewed")
        await talk(long_call, b"after")
        async with server.call(back.authority) as caller:
            await talk(caller, b"hello")


def roots_of(pod: Pod) -> str:
    """The roots its proxy believes in now."""
    (entry,) = pod.its_proxy.certificates.certificates()
    return str(entry["rootCerts"])
