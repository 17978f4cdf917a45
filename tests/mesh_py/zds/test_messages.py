"""Packets of the agent's conversation, as bytes that were worked out from the field table (hbone-controlplane 8)."""

from __future__ import annotations

import pytest

from mesh_py.settings.kinds import WorkloadInfo
from mesh_py.zds.messages import (
    LONGEST,
    Add,
    Delete,
    Keep,
    Request,
    SnapshotSent,
    UnreadableMessage,
    hello,
    is_hello,
    read_answer,
    read_request,
    write_answer,
    write_request,
)

INFO = WorkloadInfo(namespace="ns", name="pod", service_account="sa")


@pytest.mark.parametrize(
    ("request_", "packet"),
    [
        pytest.param(Add("u", None), b"\x0a\x03\x0a\x01u", id="add without information"),
        pytest.param(Add("u", INFO), b"\x0a\x12\x0a\x01u\x12\x0d\x0a\x03pod\x12\x02ns\x1a\x02sa", id="add"),
        pytest.param(Delete("u"), b"\x12\x03\x12\x01u", id="del, whose uid is field 2"),
        pytest.param(SnapshotSent(), b"\x1a\x00", id="snapshot"),
        pytest.param(Keep("u"), b"\x2a\x03\x0a\x01u", id="keep, which is field 5"),
    ],
)
def test_a_message_and_its_bytes(request_: Request, packet: bytes) -> None:
    assert write_request(request_) == packet
    assert read_request(packet) == request_


def test_the_greeting() -> None:
    assert hello() == b"\x08\x01"
    assert is_hello(hello())
    assert not is_hello(b"")
    assert not is_hello(b"\x08\x02")
    assert not is_hello(b"\xff")


@pytest.mark.parametrize(("error", "packet"), [("", b"\x0a\x00"), ("no", b"\x0a\x04\x0a\x02no")])
def test_an_answer_and_its_bytes(error: str, packet: bytes) -> None:
    assert write_answer(error) == packet
    assert read_answer(packet) == error


def test_an_answer_is_as_long_as_the_agent_reads() -> None:
    packet = write_answer("é" * 2000)
    assert len(packet) <= LONGEST
    assert read_answer(packet).startswith("ééé")


@pytest.mark.parametrize("packet", [b"", b"\xff", b"\x22\x00", b"\x0a\x03\x0a\x01\xff"])
def test_what_is_no_request(packet: bytes) -> None:
    with pytest.raises(UnreadableMessage):
        read_request(packet)


@pytest.mark.parametrize("packet", [b"", b"\xff"])
def test_what_is_no_answer(packet: bytes) -> None:
    with pytest.raises(UnreadableMessage):
        read_answer(packet)
