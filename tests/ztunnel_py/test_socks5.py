"""SOCKS5 on 15080 (RFC 1928): its two messages as tables, and what becomes of a client (hbone-dataplane 4.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mesh_py.capture.socks_messages import (
    COMMAND_NOT_SUPPORTED,
    HOST_UNREACHABLE,
    NO_ACCEPTABLE_METHOD,
    SocksError,
    read_methods,
    read_request,
)
from tests.interop.callers import read_exactly, read_to_end, talk
from tests.support import world
from tests.support.pods import SOCKS, dialled
from tests.support.processes import eventually, loopback_address
from tests.support.tcp_apps import echo

if TYPE_CHECKING:
    from tests.support.pods import Pods

NO_AUTHENTICATION = b"\x05\x01\x00"
GRANTED = b"\x05\x00\x00\x01\0\0\0\0\0\0"
HOSTNAME = "server.default.svc.cluster.local"


def by_name(host: bytes, port: int = 80) -> bytes:
    return b"\x05\x01\x00\x03" + bytes((len(host),)) + host + port.to_bytes(2)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(b"\x05", None, id="more to come"),
        pytest.param(b"\x05\x02\x00", None, id="one method to come"),
        pytest.param(b"\x05\x01\x00", 3, id="without authentication"),
        pytest.param(b"\x05\x02\x02\x00\x05", 4, id="among others, request behind it"),
    ],
)
def test_methods(seen: bytes, expected: int | None) -> None:
    assert read_methods(seen) == expected


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        pytest.param(b"\x04\x01", COMMAND_NOT_SUPPORTED, id="version 4"),
        pytest.param(b"\x05\x01\x02", NO_ACCEPTABLE_METHOD, id="with a password only"),
    ],
)
def test_methods_we_do_not_offer(seen: bytes, code: int) -> None:
    with pytest.raises(SocksError) as refusal:
        read_methods(seen)
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param(b"\x05\x01\x00\x01", None, id="more to come"),
        pytest.param(b"\x05\x01\x00\x01\x0a\x00\x00\x07\x1f\x90", (10, "10.0.0.7", 8080), id="IPv4"),
        pytest.param(b"\x05\x01\x00\x04" + b"\0" * 15 + b"\x01\x00\x50", (22, "::1", 80), id="IPv6"),
        pytest.param(by_name(b"A.Example.", 443), (17, "a.example", 443), id="name"),
        pytest.param(by_name(b"a.example", 443)[:-1], None, id="name, cut short"),
    ],
)
def test_requests(seen: bytes, expected: tuple[int, str, int] | None) -> None:
    assert read_request(seen) == expected


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(b"\x05\x02\x00\x01\x0a\x00\x00\x07\x1f\x90", id="BIND"),
        pytest.param(b"\x05\x03\x00\x01\x0a\x00\x00\x07\x1f\x90", id="UDP ASSOCIATE"),
        pytest.param(b"\x05\x01\x00\x05\x0a\x00\x00\x07\x1f\x90", id="no such address type"),
        pytest.param(b"\x04\x01\x00\x01\x0a\x00\x00\x07\x1f\x90", id="version changed"),
        pytest.param(by_name(b"\xff.example"), id="name is no text"),
    ],
)
def test_requests_we_do_not_serve(seen: bytes) -> None:
    with pytest.raises(SocksError) as refusal:
        read_request(seen)
    assert refusal.value.code == COMMAND_NOT_SUPPORTED


async def test_everything_at_once(pods: Pods) -> None:
    """A hurried client waits for no answer."""
    sleep, vip = pods.add("sleep"), loopback_address()
    server = pods.add("server", services={f"default/{HOSTNAME}": {80: 8080}})
    pods.tell(world.service(HOSTNAME, vip))
    async with server.app(echo, 8080), dialled((sleep.ip, SOCKS), sleep.ip) as (caller, _):
        await caller.send(NO_AUTHENTICATION + by_name(HOSTNAME.encode()) + b"hello")
        assert await read_exactly(caller, 2 + len(GRANTED) + 5) == b"\x05\x00" + GRANTED + b"hello"
        line = await sleep.its_proxy.line(message="connection opened")
    assert line["dst.service"] == HOSTNAME


async def test_an_unknown_name_is_an_unreachable_host(pods: Pods) -> None:
    sleep = pods.add("sleep")
    async with dialled((sleep.ip, SOCKS), sleep.ip) as (caller, _):
        await caller.send(NO_AUTHENTICATION + by_name(b"nobody.example"))
        refusal = b"\x05\x00" + bytes((5, HOST_UNREACHABLE)) + GRANTED[2:]
        assert await read_to_end(caller) == (refusal, "eof")
    line = await sleep.its_proxy.line(message="connection failed")
    assert (line["error"], line["dst.addr"]) == ("socks5: unknown host nobody.example", "nobody.example:80")


@pytest.mark.parametrize("name", ["web", "web.default", "WEB.default.svc", "web.default.svc.cluster.local."])
async def test_a_short_name_is_completed(pods: Pods, name: str) -> None:
    sleep, vip = pods.add("sleep"), loopback_address()
    hostname = "web.default.svc.cluster.local"
    server = pods.add("server", services={f"default/{hostname}": {80: 8080}})
    pods.tell(world.service(hostname, vip))
    async with server.app(echo, 8080), dialled((sleep.ip, SOCKS), sleep.ip) as (caller, _):
        await caller.send(NO_AUTHENTICATION + by_name(name.encode()) + b"hello")
        assert await read_exactly(caller, 2 + len(GRANTED) + 5) == b"\x05\x00" + GRANTED + b"hello"
    assert (await sleep.its_proxy.line())["dst.service"] == hostname


async def test_a_headless_service_is_reached_by_name(pods: Pods) -> None:
    sleep = pods.add("sleep")
    hostname = "db.default.svc.cluster.local"
    server = pods.add("server", services={f"default/{hostname}": {8080: 8080}})
    pods.tell(world.service(hostname))
    async with server.app(echo, 8080), dialled((sleep.ip, SOCKS), sleep.ip) as (caller, _):
        await caller.send(NO_AUTHENTICATION + by_name(b"db", 8080) + b"hello")
        assert await read_exactly(caller, 2 + len(GRANTED) + 5) == b"\x05\x00" + GRANTED + b"hello"


async def test_a_name_for_a_client_of_nobody(pods: Pods) -> None:
    """Whose name would it be? Which services are seen depends on who asks."""
    sleep = pods.add("sleep")
    async with dialled((sleep.ip, SOCKS), loopback_address()) as (caller, _):
        await caller.send(NO_AUTHENTICATION + by_name(b"web"))
        assert (await read_to_end(caller)).data[2:4] == bytes((5, HOST_UNREACHABLE))
    assert (await sleep.its_proxy.line(message="connection failed"))["error"] == (
        "socks5: unknown source, so web is unknown too"
    )


async def test_a_service_without_an_address_here(pods: Pods) -> None:
    sleep = pods.add("sleep")
    pods.tell(world.service(HOSTNAME, f"elsewhere/{loopback_address()}"))
    async with dialled((sleep.ip, SOCKS), sleep.ip) as (caller, _):
        await caller.send(NO_AUTHENTICATION + by_name(HOSTNAME.encode()))
        assert (await read_to_end(caller)).data[2:4] == bytes((5, HOST_UNREACHABLE))


async def test_what_a_client_says_behind_its_mistake_hides_no_answer(pods: Pods) -> None:
    """Closing over unread bytes would reset the connection, and the answer with it."""
    sleep = pods.add("sleep")
    async with dialled((sleep.ip, SOCKS), sleep.ip) as (caller, _):
        await caller.send(b"\x05\x01\x02" + b"and much more" * 1000)
        assert await read_to_end(caller) == (bytes((5, NO_ACCEPTABLE_METHOD)), "eof")


async def test_a_client_of_nobody_is_told_of_success_and_closed(pods: Pods) -> None:
    """As ztunnel's: the answer comes before anything is attempted."""
    sleep, server, stranger = pods.add("sleep"), pods.add("server"), loopback_address()
    async with dialled((sleep.ip, SOCKS), stranger) as (caller, _):
        await caller.send(NO_AUTHENTICATION + by_name(server.ip.encode()))
        assert await read_to_end(caller) == (b"\x05\x00" + GRANTED, "reset")
    error = (await sleep.its_proxy.line(message="connection failed"))["error"]
    assert error == f"unknown source: no workload of this proxy has the address {stranger}"


async def test_whom_clients_of_this_machine_count_as_follows_the_mesh(pods: Pods) -> None:
    sleep = pods.add("sleep", environment={"SOCKS5_SOURCE_WORKLOAD": "default/awake"})
    server = pods.add("server")
    async with server.app(echo) as app:
        for expected in (b"", b"hello"):
            async with dialled((sleep.ip, SOCKS), "127.0.0.1") as (caller, _):
                await caller.send(NO_AUTHENTICATION + by_name(app.host.encode(), app.port) + b"hello")
                await read_exactly(caller, 2 + len(GRANTED))
                if expected:
                    await talk(caller, b"")
                    assert await read_exactly(caller, 5) == expected
                    assert (await app.connection()).peer[0] == sleep.ip
                else:
                    assert (await read_to_end(caller)).data == expected
            pods.tell(world.workload("awake", sleep.ip, service_account="sleep", node="sleep"))
        await eventually(lambda: sleep.its_proxy.open_connections == 0, "all closed")
