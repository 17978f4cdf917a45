"""Every error knows its answer, its flag and whose fault it was."""

from __future__ import annotations

from typing import get_args

import pytest

from hbone_py import errors
from hbone_py.errors import Blame, ErrorCode, HboneError, RemoteProtocolError, StreamReset, TunnelRefused, code_name


def all_errors(base: type[HboneError] = HboneError) -> list[type[HboneError]]:
    return [base, *(error for child in base.__subclasses__() for error in all_errors(child))]


@pytest.mark.parametrize("error", [error for error in all_errors() if error.__module__ == errors.__name__])
def test_every_class_has_an_answer(error: type[HboneError]) -> None:
    assert error.status in {400, 401, 503}
    assert error.flag in {"CONNECT", "NETWORK_POLICY", "TLS_FAILURE", "H2_HANDSHAKE_FAILURE"}
    assert error.blame in get_args(Blame)
    assert error.__doc__


def test_codes_have_their_names() -> None:
    assert [code_name(code) for code in (0, 8, 0xD, 0x77)] == ["NO_ERROR", "CANCEL", "HTTP_1_1_REQUIRED", "0x77"]


def test_texts() -> None:
    assert str(TunnelRefused(401)) == "http status: 401 Unauthorized"
    assert str(TunnelRefused(503)) == "http status: 503 Service Unavailable"
    assert str(TunnelRefused(599)) == "http status: 599"
    assert str(StreamReset(8)) == "stream reset by the peer: CANCEL"
    assert str(StreamReset(0x77, by_peer=False)) == "stream reset by us: 0x77"
    assert RemoteProtocolError("x").code == ErrorCode.PROTOCOL_ERROR
