"""Each behaviour as one conversation, with a plain asyncio client."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from typing import TYPE_CHECKING

import pytest

from lab_py.apps import tcp_echo
from lab_py.apps.payload import digest_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

BODY = b"0123456789" * 50_000


@contextlib.asynccontextmanager
async def talking_to(
    mode: str, count: int = 0, report: Callable[[str], None] = print
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    behaviour = tcp_echo.behaviour_of(mode, count, "seed", report)
    async with tcp_echo.serve("127.0.0.1", 0, behaviour) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def test_echo_answers_at_once_and_ends_after_the_caller() -> None:
    async with talking_to("echo") as (reader, writer):
        writer.write(b"ping")
        assert await reader.readexactly(4) == b"ping"
        writer.write_eof()
        assert await reader.read() == b""


async def test_sink_answers_after_the_callers_end() -> None:
    async with talking_to("sink") as (reader, writer):
        writer.write(BODY)
        writer.write_eof()
        assert (await reader.read()).decode() == f"{len(BODY)} {hashlib.sha256(BODY).hexdigest()}\n"


async def test_source_sends_the_seeds_bytes_and_ends_first() -> None:
    async with talking_to("source", 300_000) as (reader, writer):
        body = await reader.read()
        assert hashlib.sha256(body).hexdigest() == digest_of(300_000, "seed")
        writer.write_eof()


async def test_half_close_ends_first_and_reads_on() -> None:
    reported = asyncio.get_running_loop().create_future()
    async with talking_to("half-close", report=reported.set_result) as (reader, writer):
        assert await reader.read() == tcp_echo.GREETING
        writer.write(b"still here")
        writer.write_eof()
        assert await reported == f"10 {hashlib.sha256(b'still here').hexdigest()}"


async def test_reset_is_no_end() -> None:
    async with talking_to("reset") as (reader, writer):
        writer.write(b"x")
        with pytest.raises(ConnectionResetError):
            await reader.read()


async def test_hold_takes_no_more_than_the_kernel_does() -> None:
    async with talking_to("hold") as (_, writer):
        for _ in range(200):  # 100 MB, which no kernel buffers
            writer.write(BODY)
            await asyncio.sleep(0)
        assert writer.transport.get_write_buffer_size() > 50_000_000
        writer.transport.abort()
