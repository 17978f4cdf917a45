"""A real client, and sockets on ports nobody uses."""

from __future__ import annotations

import socket

import aiohttp
import pytest


@pytest.fixture
def free_socket():
    """Make bound sockets; those a server did not take are closed at the end."""
    made = []

    def make(address: str = "127.0.0.1") -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        made.append(sock)
        sock.bind((address, 0))
        return sock

    yield make
    for sock in made:
        sock.close()


@pytest.fixture
async def client():
    """An HTTP client with a new connection for each request."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        yield session


@pytest.fixture
async def raw_client():
    """The same, which leaves bodies as they come."""
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(auto_decompress=False, connector=connector) as session:
        yield session
