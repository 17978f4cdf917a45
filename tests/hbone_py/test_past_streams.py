"""Streams that are over: which late frames are forgiven, which are an error of the stream, or of the connection."""

from __future__ import annotations

import pytest

from hbone_py.errors import ErrorCode, RemoteProtocolError
from hbone_py.past_streams import PastStreams


@pytest.fixture
def past() -> PastStreams:
    past = PastStreams()
    past.passed_over(3, 9)
    past.reset(11, told=True)
    past.reset(13, told=False)
    return past


@pytest.mark.parametrize(("stream", "forgiven"), [(11, True), (13, False)])
def test_only_our_own_resets_are_news_to_the_peer(past: PastStreams, stream: int, forgiven: bool) -> None:
    assert past.has_late_data(stream) is forgiven
    assert past.has_late_head(stream) is forgiven


@pytest.mark.parametrize(
    ("stream", "code"),
    [
        (3, ErrorCode.STREAM_CLOSED),
        (5, ErrorCode.PROTOCOL_ERROR),
        (7, ErrorCode.PROTOCOL_ERROR),
        (9, ErrorCode.STREAM_CLOSED),
    ],
)
def test_what_ended_in_peace_or_never_was_has_no_head(past: PastStreams, stream: int, code: ErrorCode) -> None:
    assert not past.has_late_data(stream)
    with pytest.raises(RemoteProtocolError) as raised:
        past.has_late_head(stream)
    assert raised.value.code == code


def test_a_peer_chooses_no_memory_of_ours(past: PastStreams) -> None:
    for number in range(5000):
        past.passed_over(4 * number + 11, 4 * number + 15)
        past.reset(4 * number + 15, told=True)
    assert len(past._resets) <= 1024
    assert len(past._gaps) <= 64
    assert not past.has_late_data(11)
