"""The witness sees who is there, and whether strangers are let in: judged at listeners of known kinds."""

from __future__ import annotations

import asyncio
import datetime
import ssl
from typing import TYPE_CHECKING

import hbone_py
from hbone_py.identity import SpiffeId
from mesh_py.identity.layout import CERT_CHAIN, KEY, ROOT_CERT, write_leaf
from mesh_py.identity.local_ca import LocalCa
from mesh_py.process.tls_witness import refuses_strangers, shown_identity
from tests.support.processes import loopback_address

if TYPE_CHECKING:
    from pathlib import Path

HTTPBIN = SpiffeId("cluster.local", "default", "httpbin")


async def _nobody(tunnel: hbone_py.IncomingTunnel) -> None:
    raise AssertionError(f"a tunnel to {tunnel.request.authority}")


def _certificate(folder: Path) -> Path:
    now = datetime.datetime.now(datetime.UTC)
    write_leaf(folder, LocalCa.throw_away(now).issue(HTTPBIN, now))
    return folder


async def test_hbone_shows_its_identity_and_refuses_strangers(tmp_path: Path) -> None:
    own, host = _certificate(tmp_path), loopback_address()
    mine = hbone_py.Credentials.from_files(*(own / name for name in (CERT_CHAIN, KEY, ROOT_CERT)))
    async with await hbone_py.serve(_nobody, host, 15008, credentials=mine):
        assert await shown_identity(host, 15008, own) == str(HTTPBIN)
        assert await refuses_strangers(host, 15008, own)


async def test_one_sided_tls_lets_strangers_in(tmp_path: Path) -> None:
    own = _certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(own / CERT_CHAIN, own / KEY)

    async def settings(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\0\0\0\4\0\0\0\0\0")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(settings, "127.0.0.1", ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert not await refuses_strangers("127.0.0.1", port, own)


async def test_what_is_no_tls_has_no_identity(tmp_path: Path) -> None:
    own = _certificate(tmp_path)
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1")
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await shown_identity("127.0.0.1", port, own) == ""
        assert not await refuses_strangers("127.0.0.1", port, own)
