"""One process that stands in for the applications of many workloads, each on addresses and ports of its own.

    python -m lab_py.apps.stand_in --places places.json

The file is a list of objects: ``namespace``, ``workload``, ``ips``, ``ports``. Whoever speaks HTTP/1 is told in JSON
whom it reached, as whom, and with what; any other bytes come back as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from hbone_py.proxy_protocol import SIGNATURE_V2, TLV_IDENTITY, read_preamble
from lab_py.apps import serving
from lab_py.apps.payload import PIECE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from hbone_py.proxy_protocol import Preamble

REQUEST_LINE = re.compile(rb"([A-Z]+) (\S+) HTTP/1\.[01]\r?\n")
METHOD = re.compile(rb"[A-Z]{1,16}(?: |\Z)")
MAX_HEAD = 64 * 1024
MAX_BODY = 1 << 20


class Place(msgspec.Struct, frozen=True):
    """Where one workload is stood in for."""

    namespace: str
    workload: str
    ips: list[str]
    ports: list[int]


@dataclass(slots=True)
class Caller:
    """One connection: the reader, what was read ahead, what stood in front of it."""

    reader: asyncio.StreamReader
    seen: bytes = b""
    preamble: Preamble | None = None

    async def more(self) -> bool:
        """Read on; False at the end."""
        piece = await self.reader.read(PIECE)
        self.seen += piece
        return bool(piece)

    async def skip_preamble(self) -> None:
        """Take a PROXY preamble off, if there is one. Raises PreambleError."""
        while self.seen and self.seen[: len(SIGNATURE_V2)] == SIGNATURE_V2[: len(self.seen)]:
            found = read_preamble(self.seen)
            if found is not None:
                taken, self.preamble = found
                self.seen = self.seen[taken:]
                if not self.seen:
                    await self.more()
                return
            if not await self.more():
                return

    async def request_head(self) -> bytes | None:
        """An HTTP/1 request up to its empty line; None if it is something else."""
        while METHOD.match(self.seen) and len(self.seen) < MAX_HEAD:
            end = self.seen.find(b"\r\n\r\n")
            if end >= 0:
                head, self.seen = self.seen[: end + 4], self.seen[end + 4 :]
                if REQUEST_LINE.match(head):
                    return head
                self.seen = head + self.seen
                return None
            if b"\n" in self.seen and not REQUEST_LINE.match(self.seen):
                return None
            if not await self.more():
                return None
        return None


async def answer(place: Place, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve one connection to its end."""
    caller = Caller(reader)
    await caller.more()
    await caller.skip_preamble()
    head = await caller.request_head()
    if head is None:
        await _echo(caller, writer)
        return
    lines = head.decode("latin-1").splitlines()
    method, path, _ = lines[0].split(" ", 2)
    headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    body = await _body(caller, headers)
    told = _described(place, caller, writer) | {"method": method, "path": path, "headers": headers, "body": body}
    content = json.dumps(told, indent=2).encode() + b"\n"
    start = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    writer.write(f"{start}Connection: close\r\n\r\n".encode() + (b"" if method == "HEAD" else content))


async def _echo(caller: Caller, writer: asyncio.StreamWriter) -> None:
    while caller.seen:
        piece, caller.seen = caller.seen, b""
        writer.write(piece)
        await writer.drain()
        await caller.more()


async def _body(caller: Caller, headers: dict[str, str]) -> str:
    lengths = [value for name, value in headers.items() if name.lower() == "content-length" and value.isdigit()]
    wanted = min(int(lengths[0]) if lengths else 0, MAX_BODY)
    while len(caller.seen) < wanted and await caller.more():
        pass
    return caller.seen[:wanted].decode(errors="replace")


def _described(place: Place, caller: Caller, writer: asyncio.StreamWriter) -> dict[str, object]:
    ours, theirs = writer.get_extra_info("sockname"), writer.get_extra_info("peername")
    told: dict[str, object] = {
        "workload": place.workload,
        "namespace": place.namespace,
        "address": f"{ours[0]}:{ours[1]}",
        "caller": f"{theirs[0]}:{theirs[1]}",
    }
    if caller.preamble is not None:
        identity = dict(caller.preamble.tlvs).get(TLV_IDENTITY, b"")
        told["proxied"] = {
            "source": _shown(caller.preamble.source),
            "destination": _shown(caller.preamble.destination),
            "identity": identity.decode(errors="replace"),
        }
    return told


def _shown(address: tuple[str, int] | None) -> str | None:
    return None if address is None else f"{address[0]}:{address[1]}"


@contextlib.asynccontextmanager
async def serve(places: Sequence[Place]) -> AsyncIterator[tuple[list[serving.Address], list[str]]]:
    """Serve until the context ends; the value is where, and one line for each place that could not be had."""
    listening: list[serving.Address] = []
    problems: list[str] = []
    open_ones: set[asyncio.Task[None]] = set()
    async with asyncio.TaskGroup() as callers:

        def start(place: Place, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = callers.create_task(_guarded(place, reader, writer))
            open_ones.add(task)
            task.add_done_callback(open_ones.discard)

        servers = []
        for place, ip, port in _addresses(places):
            try:
                sock = _bound(ip, port)
            except OSError as error:
                problems.append(f"{place.namespace}/{place.workload}: {ip}:{port}: {(error.strerror or '').lower()}")
                continue
            server = await asyncio.start_server(functools.partial(start, place), sock=sock)
            servers.append(server)
            listening.append(sock.getsockname()[:2])
        try:
            yield listening, problems
        finally:
            for server in servers:
                server.close()
            for task in open_ones:
                task.cancel()


def _addresses(places: Sequence[Place]) -> Iterator[tuple[Place, str, int]]:
    return ((place, ip, port) for place in places for ip in place.ips for port in place.ports)


def _bound(ip: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((ip, port))
    except OSError:
        sock.close()
        raise
    return sock


async def _guarded(place: Place, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        # A caller that vanishes or talks nonsense is an everyday event here.
        with contextlib.suppress(ConnectionError, ValueError):
            await answer(place, reader, writer)
            await writer.drain()
    finally:
        writer.close()


@contextlib.asynccontextmanager
async def _serve_aloud(places: Sequence[Place]) -> AsyncIterator[serving.Address]:
    async with serve(places) as (listening, problems):
        for problem in problems:
            click.echo(f"warning: {problem}", err=True)
        yield listening[0] if listening else ("nowhere", 0)


@click.command(help=__doc__)
@click.option("--places", type=click.Path(path_type=Path, exists=True), required=True, help="Who stands where.")
@click.option("--ready-fd", type=int, help="Write 'host port' to this file descriptor once clients may connect.")
def main(places: Path, ready_fd: int | None) -> None:
    """Run the stand-ins until SIGTERM."""
    known = msgspec.json.decode(places.read_bytes(), type=list[Place])
    serving.run(lambda: _serve_aloud(known), "stand-ins", ready_fd)


if __name__ == "__main__":
    main()
