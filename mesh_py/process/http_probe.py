"""Requests of a demonstration, straight or by SOCKS5, each with a deadline; and what it reads in metrics."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from typing import Any

    Greet = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]
    """Says what has to be said before HTTP. Raises ValueError."""

DEADLINE = 10.0
"""Seconds for each request."""


class AskFailed(Exception):
    """A request got no answer; the text says which."""


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    body: str


def sample_sum(metrics: str, name: str, *labels: str) -> int:
    """The sum of the samples of a family with these labels."""
    lines = (line for line in metrics.splitlines() if re.match(rf"{name}\{{", line))
    return sum(int(float(line.rpartition(" ")[2])) for line in lines if all(label in line for label in labels))


async def get(host: str, port: int, path: str) -> Answer:
    """GET straight from an address. Raises AskFailed."""
    return await _ask(host, port, f"{host}:{port}", "GET", path, {}, None)


async def ask_by_socks(
    socks: tuple[str, int], authority: str, path: str, headers: Mapping[str, str] | None = None, method: str = "GET"
) -> Answer:
    """Ask `name:port` through a SOCKS5 listener. Raises AskFailed."""
    host, _, port = authority.rpartition(":")
    name = host.encode()
    connect = b"\x05\x01\x00\x03" + bytes([len(name)]) + name + int(port).to_bytes(2, "big")

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x05\x01\x00")
        if await reader.readexactly(2) != b"\x05\x00":
            raise ValueError("SOCKS5 wants authentication")
        writer.write(connect)
        if code := (await reader.readexactly(10))[1]:
            raise ValueError(f"SOCKS5 refused with code {code}")

    return await _ask(*socks, authority, method, path, headers or {}, greet)


async def _ask(
    host: str, port: int, authority: str, method: str, path: str, headers: Mapping[str, str], greet: Greet | None
) -> Answer:
    try:
        async with asyncio.timeout(DEADLINE):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                if greet is not None:
                    await greet(reader, writer)
                lines = [f"{method} {path} HTTP/1.1", f"Host: {authority}", "Connection: close"]
                lines += [f"{name}: {value}" for name, value in headers.items()]
                writer.write("\r\n".join([*lines, "", ""]).encode())
                return await _answer(reader)
            finally:
                writer.close()
    except TimeoutError:
        raise AskFailed(f"http://{authority}{path}: no answer in {DEADLINE:.0f} s") from None
    except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
        raise AskFailed(f"http://{authority}{path}: {error}") from None


async def _answer(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    names = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    length = names.get("content-length")
    body = await (reader.readexactly(int(length)) if length is not None else reader.read())
    return Answer(int(head[0].partition(" ")[2][:3]), body.decode(errors="replace"))
