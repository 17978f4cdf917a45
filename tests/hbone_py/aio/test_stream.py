"""Every kind of stream keeps one contract, and calls back who does not want to wait."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from hbone_py.aio.tcp_stream import TcpStream
from hbone_py.aio.tunnel_stream import TunnelStream
from hbone_py.config import KIB
from hbone_py.errors import HboneError
from tests.hbone_py.aio.stream_pairs import KINDS
from tests.support.sockets import until
from tests.support.streams import HALF_CLOSEABLE
from tests.support.tcp_apps import payload

if TYPE_CHECKING:
    from hbone_py.aio.reactor import Reactor
    from tests.support.certificates import MeshCertificates
    from tests.support.streams import Question


@pytest.mark.parametrize("turned", [False, True], ids=["", "turned"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("question", HALF_CLOSEABLE, ids=lambda question: question.__name__)
async def test_contract(
    reactor: Reactor, certificates: MeshCertificates, kind: str, question: Question, turned: bool
) -> None:
    async with asyncio.timeout(20), KINDS[kind](reactor, certificates) as (left, right):
        await (question(right, left) if turned else question(left, right))
    await until(lambda: not reactor.open_sockets, "every socket closed")
    assert reactor.ledger.used == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_who_is_called_back_gets_all_without_waiting(
    reactor: Reactor, certificates: MeshCertificates, kind: str
) -> None:
    async with asyncio.timeout(20), KINDS[kind](reactor, certificates) as (left, right):
        seen: list[bytes] = []
        assert isinstance(right, TcpStream | TunnelStream)

        def read() -> None:
            while (data := right.receive_now(1000)) is not None:
                seen.append(data)
                if not data:
                    right.on_data = None
                    return

        right.on_data = read
        assert right.receive_now() is None
        await left.send(payload(300 * KIB))
        await left.send_eof()
        await until(lambda: b"" in seen, "the end")
        assert b"".join(seen) == payload(300 * KIB)


@pytest.mark.parametrize("kind", KINDS)
async def test_who_is_called_back_learns_of_a_reset(
    reactor: Reactor, certificates: MeshCertificates, kind: str
) -> None:
    async with asyncio.timeout(20), KINDS[kind](reactor, certificates) as (left, right):
        errors: list[HboneError] = []
        assert isinstance(right, TcpStream | TunnelStream)

        def read() -> None:
            try:
                right.receive_now()
            except HboneError as error:
                errors.append(error)

        right.on_data = read
        left.abort()
        await until(lambda: bool(errors), "the reset")
        right.on_data = None
