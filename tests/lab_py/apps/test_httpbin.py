"""The application's answers, and its record of callers; curl and aiohttp ask, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import socket
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from hbone_py.aio.tcp import reset
from lab_py.apps import httpbin
from lab_py.apps.caller_record import CallerRecord
from lab_py.apps.payload import digest_of
from tests.support.require import require_tool
from tests.support.sockets import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

Json = Any


class World:
    """A running application, and a client that asks it."""

    def __init__(self, client: aiohttp.ClientSession, url: str) -> None:
        self.client = client
        self.url = url

    async def json(self, path: str, **headers: str) -> Json:
        async with self.client.get(self.url + path, headers=headers) as response:
            assert response.status == 200
            return await response.json()


@contextlib.asynccontextmanager
async def running(record_file: Path | None = None) -> AsyncIterator[World]:
    async with (
        httpbin.serve("127.0.0.1", 0, "httpbin-1", CallerRecord(record_file)) as (host, port),
        aiohttp.ClientSession(headers={"User-Agent": "test"}) as client,
    ):
        yield World(client, f"http://{host}:{port}")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running() as world:
        yield world


async def test_ip_is_the_address_that_tcp_tells(world: World) -> None:
    assert await world.json("/ip", **{"X-Forwarded-For": "10.1.1.1"}) == {"origin": "127.0.0.1"}


async def test_headers_come_back_as_they_were_sent(world: World) -> None:
    answer = await world.json("/headers", Traceparent="00-1-2-3", **{"X-Token": "abc"})
    assert answer["headers"]["Traceparent"] == "00-1-2-3"
    assert answer["headers"]["X-Token"] == "abc"
    assert answer["headers"]["Host"] == world.url.removeprefix("http://")


async def test_a_header_sent_twice_is_joined(world: World) -> None:
    host, _, port = world.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"GET /headers HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a: 2\r\nConnection: close\r\n\r\n")
    _, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    assert json.loads(body)["headers"] == {"Host": "h", "X-A": "1,2", "Connection": "close"}


async def test_anything_tells_the_whole_request(world: World) -> None:
    async with world.client.put(world.url + "/anything?a=1", data=b"body") as response:
        answer = await response.json()
    assert {key: answer[key] for key in ("args", "data", "method", "origin")} == {
        "args": {"a": "1"},
        "data": "body",
        "method": "PUT",
        "origin": "127.0.0.1",
    }


@pytest.mark.parametrize("count", [0, 1, 65_536, 200_001])
async def test_bytes_are_those_of_the_seed(world: World, count: int) -> None:
    async with world.client.get(world.url + f"/bytes/{count}?seed=s") as response:
        assert response.content_length == count
        body = await response.read()
    assert (len(body), hashlib.sha256(body).hexdigest()) == (count, digest_of(count, "s"))


async def test_other_seeds_give_other_bytes(world: World) -> None:
    bodies = set()
    for seed in ("1", "2"):
        async with world.client.get(world.url + f"/bytes/32?seed={seed}") as response:
            bodies.add(await response.read())
    assert len(bodies) == 2


@pytest.mark.parametrize("code", [200, 204, 301, 404, 418, 503, 599])
async def test_status_is_answered(world: World, code: int) -> None:
    async with world.client.get(world.url + f"/status/{code}", allow_redirects=False) as response:
        assert response.status == code


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/status/199", id="status too small"),
        pytest.param("/status/600", id="status too large"),
        pytest.param("/status/ok", id="status not a number"),
        pytest.param("/bytes/104857601", id="too many bytes"),
        pytest.param("/bytes/-1", id="negative bytes"),
        pytest.param("/delay/61", id="too long a delay"),
        pytest.param("/delay/nan", id="a delay that is no number"),
        pytest.param("/sse?count=10001", id="too many events"),
        pytest.param("/sse?interval=-1", id="negative interval"),
    ],
)
async def test_what_is_out_of_bounds_is_refused_in_words(world: World, path: str) -> None:
    async with world.client.get(world.url + path) as response:
        assert response.status == 400
        assert "must be a number from" in await response.text()


async def test_delay_answers_after_all(world: World) -> None:
    assert (await world.json("/delay/0.01"))["method"] == "GET"


async def test_echo_answers_while_the_body_is_still_coming(world: World) -> None:
    echoed = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"first"
        await echoed.wait()  # the second piece is sent only when the first has come back
        yield b"second"

    async with world.client.post(world.url + "/echo", data=body()) as response:
        assert await response.content.readexactly(5) == b"first"
        echoed.set()
        assert await response.content.read() == b"second"


@pytest.mark.parametrize(
    "request_text",
    ["GET /bytes/50000000", "GET /sse?interval=0.01&count=1000", "POST /echo", "POST /anything"],
)
async def test_a_client_that_leaves_in_the_middle_is_no_error(
    request_text: str, caplog: pytest.LogCaptureFixture
) -> None:
    record = CallerRecord()
    async with httpbin.serve("127.0.0.1", 0, "httpbin-1", record) as address:
        client = socket.create_connection(address)
        client.sendall(f"{request_text} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n...".encode())
        await until(record.calls, "asked")
        reset(client)
    assert caplog.records == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_echo_takes_any_method_and_keeps_length_and_type(world: World, method: str) -> None:
    headers = {"Content-Type": "application/x-test"}
    async with world.client.request(method, world.url + "/echo", data=b"abc", headers=headers) as response:
        assert (response.content_type, response.content_length) == ("application/x-test", 3)
        assert await response.read() == b"abc"


@pytest.mark.parametrize("path", ["/sse", "/stream"])
async def test_events_are_server_sent_events(world: World, path: str) -> None:
    async with world.client.get(world.url + path + "?count=3&interval=0") as response:
        assert response.content_type == "text/event-stream"
        events = (await response.text()).split("\n\n")
    assert events.pop() == ""
    fields = [dict(line.split(": ", 1) for line in event.splitlines()) for event in events]
    assert [event["id"] for event in fields] == ["0", "1", "2"]
    assert [json.loads(event["data"])["event"] for event in fields] == [0, 1, 2]


async def test_hostname_and_health(world: World) -> None:
    assert await world.json("/hostname") == {"hostname": "httpbin-1"}
    async with world.client.get(world.url + "/healthz") as response:
        assert (response.status, await response.text()) == (200, "ok\n")


async def test_the_record_finds_the_call_that_carried_a_token(world: World) -> None:
    await world.json("/headers", **{"X-Token": "t-1"})
    await world.json("/get?token=t-2")
    await world.json("/ip")
    by_header, by_query = await world.json("/record?token=t-1"), await world.json("/record?token=t-2")
    assert [call["path"] for call in by_header] == ["/headers"]
    assert [call["path"] for call in by_query] == ["/get?token=t-2"]
    call = by_header[0]
    assert call["method"] == "GET"
    assert call["headers"]["X-Token"] == "t-1"
    assert call["peer"].startswith("127.0.0.1:")
    assert f"http://{call['local']}" == world.url


async def test_questions_to_the_witness_are_no_calls(world: World) -> None:
    await world.json("/record?token=t")
    assert await world.json("/record?token=t") == []


async def test_the_record_file_has_the_call_when_the_answer_has_come(tmp_path: Path) -> None:
    file = tmp_path / "calls.jsonl"
    async with running(file) as world:
        await world.json("/ip", **{"X-Token": "t"})
        calls = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(call["path"], call["headers"]["X-Token"]) for call in calls] == [("/ip", "t")]


@pytest.mark.interop
async def test_curl_reads_a_stream(world: World) -> None:
    curl = await asyncio.create_subprocess_exec(
        require_tool("curl"), "-sSN", world.url + "/sse?count=2&interval=0", stdout=asyncio.subprocess.PIPE
    )
    output, _ = await curl.communicate()
    assert (curl.returncode, output.count(b"data: ")) == (0, 2)
