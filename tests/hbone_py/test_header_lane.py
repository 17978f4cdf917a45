"""Requests, answers and trailers on a connection: what becomes of each, and of its neighbours."""

from __future__ import annotations

import pytest
from hpack import Encoder

from hbone_py.config import Http2Config
from hbone_py.errors import ErrorCode
from tests.support.frames import (
    Frame,
    block,
    block_of,
    connect,
    continuation,
    data,
    goaway,
    headers,
    headers_of,
    ok,
    pairs,
    rst,
    wire,
)
from tests.support.playbook import (
    Step,
    accepted,
    client,
    does,
    end_code,
    ended,
    hears,
    opens,
    over,
    play,
    reads,
    reports,
    request_refused,
    requested,
    says,
    server,
    then,
    was_reset,
)

PLAIN = (":method CONNECT", ":authority 10.1.0.2:8080")


class TestBlocks:
    def test_a_block_may_come_in_pieces(self) -> None:
        whole = block(*PLAIN, "baggage k8s.pod.name=a")
        play(
            server(),
            hears(
                headers_of(1, whole[:5], last=False),
                continuation(1, whole[5:30], last=False),
                continuation(1, last=False),
                continuation(1, whole[30:]),
            ),
            reports(requested(1, "10.1.0.2:8080", "baggage k8s.pod.name=a")),
        )

    def test_end_stream_is_remembered_over_continuations(self) -> None:
        whole = block(*PLAIN)
        play(
            server(),
            hears(headers_of(1, whole[:5], end=True, last=False), continuation(1, whole[5:])),
            reports(requested(1), ended(1)),
        )

    def test_padding_is_dropped(self) -> None:
        play(server(), hears(headers(1, *PLAIN, pad=200)), reports(requested(1)))

    def test_compressed_blocks_follow_the_table(self) -> None:
        """The second block is one byte a header; plain blocks in between change nothing."""
        encoder = Encoder()
        lines = pairs(*PLAIN, "baggage k8s.pod.name=a")
        first, second = encoder.encode(lines), encoder.encode(lines)
        assert len(second) == 3
        play(
            server(),
            hears(headers_of(1, first), connect(3), headers_of(5, second)),
            reports(
                requested(1, "10.1.0.2:8080", "baggage k8s.pod.name=a"),
                requested(3),
                requested(5, "10.1.0.2:8080", "baggage k8s.pod.name=a"),
            ),
        )

    def test_a_refused_block_still_moves_the_table(self) -> None:
        encoder = Encoder()
        bad = encoder.encode(pairs(*PLAIN, ":path /"))
        good = encoder.encode(pairs(*PLAIN))
        play(
            server(),
            hears(headers_of(1, bad), headers_of(3, good)),
            says(rst(1, ErrorCode.PROTOCOL_ERROR)),
            reports(request_refused(1), requested(3)),
        )

    def test_a_block_of_a_dead_stream_still_moves_the_table(self) -> None:
        encoder = Encoder()
        late, good = (
            encoder.encode(pairs("x-late 1")),
            encoder.encode(pairs("x-late 1", *PLAIN)[1:] + pairs("x-late 1")),
        )
        play(
            server(),
            hears(connect(1)),
            reports(requested(1)),
            does("reset", 1, ErrorCode.CANCEL),
            says(rst(1, ErrorCode.CANCEL)),
            hears(headers_of(1, late, end=True), headers_of(3, good)),
            reports(requested(3, "10.1.0.2:8080", "x-late 1")),
        )

    @pytest.mark.parametrize(
        ("frames", "code"),
        [
            pytest.param(
                [headers_of(1, b"\xff\xff\xff\xff\xff\xff")], ErrorCode.COMPRESSION_ERROR, id="an endless integer"
            ),
            pytest.param([headers_of(1, b"\xbe")], ErrorCode.COMPRESSION_ERROR, id="an entry the table has not"),
            pytest.param([headers_of(1, b"\x80")], ErrorCode.COMPRESSION_ERROR, id="entry 0"),
            pytest.param([headers_of(1, b"\x00\x05ab")], ErrorCode.COMPRESSION_ERROR, id="a name cut short"),
            pytest.param(
                [headers_of(1, b"\x3f\xe1\xff\x7f")], ErrorCode.COMPRESSION_ERROR, id="a table above its limit"
            ),
            pytest.param(
                [headers_of(1, b"", last=False), connect(3)], ErrorCode.PROTOCOL_ERROR, id="HEADERS in a block"
            ),
            pytest.param(
                [headers_of(1, b"", last=False), continuation(3)],
                ErrorCode.PROTOCOL_ERROR,
                id="CONTINUATION of another stream",
            ),
            pytest.param(
                [headers_of(1, b"", last=False), Frame(0x77, 0, 1)],
                ErrorCode.PROTOCOL_ERROR,
                id="an unknown frame in a block",
            ),
            pytest.param([Frame(1, 0xC, 1, b"\x05abcd")], ErrorCode.PROTOCOL_ERROR, id="more padding than payload"),
            pytest.param([Frame(1, 0xC, 1)], ErrorCode.FRAME_SIZE_ERROR, id="no room for the length of the padding"),
            pytest.param([Frame(1, 0x24, 1, b"1234")], ErrorCode.FRAME_SIZE_ERROR, id="no room for priority fields"),
            pytest.param(
                [headers_of(1, b"", last=False), *[continuation(1, last=False)] * 33],
                ErrorCode.ENHANCE_YOUR_CALM,
                id="a flood of empty CONTINUATIONs",
            ),
            pytest.param(
                [headers_of(1, b"", last=False), *[continuation(1, bytes(100_000), last=False)] * 3],
                ErrorCode.ENHANCE_YOUR_CALM,
                id="a block without end",
            ),
        ],
    )
    def test_a_block_that_cannot_be_read_ends_the_connection(self, frames: list[Frame], code: int) -> None:
        """RFC 9113 sections 4.3, 6.2 and 6.10: the table would be out of step for everybody."""
        engine = server()
        engine.receive_data(wire(*frames))
        assert end_code(engine) == code

    def test_a_bomb_ends_the_connection_before_it_fills_memory(self) -> None:
        """One byte of block, 4000 bytes of header: decoding stops at four times the limit."""
        entry = b"\x40\x01a\x7f\xa1\x1e" + bytes(4000)
        engine = server()
        engine.receive_data(wire(headers_of(1, entry + b"\xbe" * 10_000)))
        assert end_code(engine) == ErrorCode.ENHANCE_YOUR_CALM


class TestRequests:
    def test_what_is_no_connect_is_answered_400(self) -> None:
        play(
            server(),
            hears(headers(1, ":method GET", ":scheme https", ":path /", ":authority a", end=True)),
            says(headers(1, ":status 400", end=True)),
            reports(request_refused(1, 400)),
            hears(headers(3, ":method POST", ":scheme https", ":path /", ":authority a"), data(3, b"body", end=True)),
            says(headers(3, ":status 400", end=True), rst(3, ErrorCode.NO_ERROR)),
            reports(request_refused(3, 400)),
        )

    @pytest.mark.parametrize("limit", [1024, 65_536])
    @pytest.mark.parametrize("compressed", [False, True], ids=["plain", "compressed"])
    def test_a_list_above_the_limit_is_answered_431(self, limit: int, compressed: bool) -> None:
        """RFC 9113 section 6.5.2 counts 32 bytes more for each header."""
        lines = pairs(*PLAIN)
        counted = sum(len(name) + len(value) + 32 for name, value in lines) + len("long") + 32
        encode = Encoder().encode if compressed else block_of
        play(
            server(Http2Config(max_header_list_server=limit)),
            hears(headers_of(1, encode([*lines, (b"long", b"x" * (limit - counted + 1))]))),
            says(headers(1, ":status 431", end=True), rst(1, ErrorCode.NO_ERROR)),
            reports(request_refused(1, 431)),
            hears(headers_of(3, encode([*lines, (b"long", b"x" * (limit - counted))]))),
            reports(requested(3, "10.1.0.2:8080", f"long {'x' * (limit - counted)}")),
        )

    def test_many_small_headers_count_as_well(self) -> None:
        play(
            server(Http2Config(max_header_list_server=1000)),
            hears(headers_of(1, block(*PLAIN) + b"\x90" * 20, end=True)),
            says(headers(1, ":status 431", end=True)),
            reports(request_refused(1, 431)),
        )

    def test_a_tunnel_above_the_limit_is_refused_for_another_try(self) -> None:
        play(
            server(Http2Config(max_concurrent_streams=2)),
            hears(connect(1), connect(3), connect(5), data(5, b"early")),
            reports(requested(1), requested(3)),
            says(rst(5, ErrorCode.REFUSED_STREAM)),
            hears(rst(1, ErrorCode.CANCEL), connect(7)),
            reports(was_reset(1, ErrorCode.CANCEL), requested(7)),
        )

    def test_a_half_closed_tunnel_still_counts(self) -> None:
        play(
            server(Http2Config(max_concurrent_streams=1)),
            hears(connect(1, end=True), connect(3)),
            reports(requested(1), ended(1)),
            says(rst(3, ErrorCode.REFUSED_STREAM)),
        )

    def test_numbers_may_be_passed_over_but_never_come_again(self) -> None:
        """RFC 9113 section 5.1.1."""
        play(
            server(),
            hears(connect(5), connect(99)),
            reports(requested(5), requested(99)),
            hears(connect(7)),
            says(goaway(99, ErrorCode.PROTOCOL_ERROR, b"HEADERS on stream 7, which was passed over")),
            reports(over(ErrorCode.PROTOCOL_ERROR)),
        )


BAD = [
    pytest.param([connect(1, "10.1.0.2:8080")._replace(payload=block(*PLAIN, ":path /"))], None, id=":path on CONNECT"),
    pytest.param([headers(1, *PLAIN, ":scheme https")], None, id=":scheme on CONNECT"),
    pytest.param([headers(1, *PLAIN, ":protocol websocket")], None, id=":protocol on CONNECT"),
    pytest.param([headers(1, ":method CONNECT")], None, id="no authority"),
    pytest.param([headers(1, ":method CONNECT", ":authority ")], None, id="an empty authority"),
    pytest.param([headers(1, *PLAIN, "Upper case")], None, id="an upper-case name"),
    pytest.param([headers(1, *PLAIN, "connection close")], None, id="connection"),
    pytest.param([headers(1, *PLAIN, "keep-alive 5")], None, id="keep-alive"),
    pytest.param([headers(1, *PLAIN, "proxy-connection close")], None, id="proxy-connection"),
    pytest.param([headers(1, *PLAIN, "transfer-encoding chunked")], None, id="transfer-encoding"),
    pytest.param([headers(1, *PLAIN, "upgrade h2c")], None, id="upgrade"),
    pytest.param([headers(1, *PLAIN, "te gzip")], None, id="te"),
    pytest.param([headers(1, *PLAIN, "x a\nb")], None, id="a line feed in a value"),
    pytest.param([headers(1, *PLAIN, "content-length x")], None, id="content-length is no number"),
    pytest.param([headers(1, *PLAIN, "content-length 5", end=True)], None, id="content-length and no content"),
    pytest.param([headers(1, *PLAIN, "host other:1")], None, id="host differs"),
    pytest.param([headers(1, *PLAIN, ":authority x:1")], None, id="a doubled pseudo-header"),
    pytest.param([headers(1, *PLAIN, ":unknown x")], None, id="an unknown pseudo-header"),
    pytest.param([headers(1, ":method CONNECT", "x 1", ":authority a:1")], None, id="a late pseudo-header"),
    pytest.param([headers(1, ":method GET", ":path /", end=True)], None, id="GET without scheme"),
    pytest.param([headers(1, ":authority a:1")], None, id="no method"),
    pytest.param([headers(1, *PLAIN, f"long {'x' * 70_000}")], 431, id="a list above the limit"),
    pytest.param([headers(1, *PLAIN, f"long {'x' * 900_000}")], 431, id="a list far above the limit"),
    pytest.param([headers(1, ":method GET", ":scheme https", ":path /", ":authority a")], 400, id="another method"),
]


class TestNeighbours:
    @pytest.mark.parametrize(("bad", "status"), BAD)
    def test_one_bad_connect_among_a_hundred_good_tunnels_harms_none(
        self, bad: list[Frame], status: int | None
    ) -> None:
        engine, before = server(), list(range(1, 200, 2))
        bad_one, after = 201, 203
        play(
            engine,
            hears(*map(connect, before)),
            reports(*map(requested, before)),
            *[does("accept_tunnel", number) for number in before],
            says(*map(ok, before)),
            hears(*[frame._replace(stream_id=bad_one) for frame in bad]),
            *_answered(bad_one, status, open_still=not bad[0].flags & 1),
            *[step for number in before for step in _carries_on(number)],
            hears(connect(after)),
            reports(requested(after)),
        )

    def test_one_stream_too_many_harms_none(self) -> None:
        before = list(range(1, 400, 2))
        play(
            server(),
            hears(*map(connect, before)),
            reports(*map(requested, before)),
            *[does("accept_tunnel", number) for number in before],
            says(*map(ok, before)),
            hears(connect(401)),
            says(rst(401, ErrorCode.REFUSED_STREAM)),
            *[step for number in before for step in _carries_on(number)],
        )


def _answered(number: int, status: int | None, *, open_still: bool) -> list[Step]:
    """431 and 400 are answers (hbone-dataplane 1.3, 1.5); everything else is a reset (1.4)."""
    if status is None:
        return [says(rst(number, ErrorCode.PROTOCOL_ERROR)), reports(request_refused(number))]
    resets = [rst(number, ErrorCode.NO_ERROR)] if open_still else []
    return [says(headers(number, f":status {status}", end=True), *resets), reports(request_refused(number, status))]


def _carries_on(number: int) -> list[Step]:
    words = b"%d goes on" % number
    return [
        hears(data(number, words)),
        reads(number, words),
        does("send", number, words, gives=len(words)),
        says(data(number, words)),
    ]


class TestAnswers:
    @pytest.mark.parametrize(
        "lines",
        [
            pytest.param([], id="nothing"),
            pytest.param(["x 1"], id="no status"),
            pytest.param(["x 1", ":status 200"], id="a late status"),
            pytest.param([":status 200", ":status 200"], id="two"),
            pytest.param([":status 200", ":path /"], id="another pseudo-header"),
            pytest.param([":status 20"], id="two digits"),
            pytest.param([":status 2000"], id="four digits"),
            pytest.param([":status 099"], id="below 100"),
            pytest.param([":status abc"], id="letters"),
            pytest.param([":status 200", "Upper 1"], id="an upper-case name"),
            pytest.param([":status 200", "connection close"], id="a connection header"),
            pytest.param([":status 200", "baggage a\r\nb: c"], id="a line break in a value"),
            pytest.param([":status 200", f"long {'x' * 20_000}"], id="a list above the limit"),
        ],
    )
    def test_a_malformed_answer_ends_its_stream_and_no_other(self, lines: list[str]) -> None:
        play(
            client(),
            opens(),
            opens(),
            says(connect(1), connect(3)),
            hears(headers(1, *lines), ok(3)),
            says(rst(1, ErrorCode.PROTOCOL_ERROR)),
            reports(was_reset(1, ErrorCode.PROTOCOL_ERROR, by_peer=False), accepted(3)),
        )

    def test_an_interim_answer_cannot_end_a_stream(self) -> None:
        play(
            client(),
            opens(),
            says(connect(1)),
            hears(headers(1, ":status 103", end=True)),
            says(rst(1, ErrorCode.PROTOCOL_ERROR)),
            reports(was_reset(1, ErrorCode.PROTOCOL_ERROR, by_peer=False)),
        )

    def test_a_length_in_the_200_means_nothing(self) -> None:
        """RFC 9110 section 9.3.6: a client ignores content-length in the answer to CONNECT."""
        play(
            client(),
            opens(),
            says(connect(1)),
            hears(ok(1, "content-length 1"), data(1, b"more than one", end=True)),
            reports(accepted(1, "content-length 1"), ended(1)),
            reads(1, b"more than one"),
        )


class TestTrailers:
    @pytest.mark.parametrize(
        "frame",
        [
            pytest.param(headers(1, "x 1"), id="that do not end the stream"),
            pytest.param(headers(1, ":status 200", end=True), id="with a pseudo-header"),
            pytest.param(headers(1, "x 1", ":path /", end=True), id="with a late pseudo-header"),
            pytest.param(headers(1, "Upper 1", end=True), id="with an upper-case name"),
            pytest.param(headers(1, "connection close", end=True), id="with a connection header"),
            pytest.param(headers(1, "x a\0b", end=True), id="with a zero byte"),
            pytest.param(headers(1, f"x {'x' * 70_000}", end=True), id="above the limit"),
        ],
    )
    @pytest.mark.parametrize("role", ["client", "server"])
    def test_malformed_trailers_end_their_stream(self, role: str, frame: Frame) -> None:
        if role == "client":
            first: list[Step] = [opens(), says(connect(1)), hears(ok(1)), reports(accepted(1))]
            engine = client()
        else:
            first = [hears(connect(1)), reports(requested(1)), does("accept_tunnel", 1), says(ok(1))]
            engine = server()
        play(
            engine,
            *first,
            hears(frame),
            says(rst(1, ErrorCode.PROTOCOL_ERROR)),
            reports(was_reset(1, ErrorCode.PROTOCOL_ERROR, by_peer=False)),
        )

    def test_headers_after_the_end_are_that_streams_fault(self) -> None:
        """RFC 9113 section 5.1, half-closed (remote)."""
        play(
            server(),
            hears(connect(1, end=True), connect(3), headers(1, "x 1", end=True)),
            says(rst(1, ErrorCode.STREAM_CLOSED)),
            reports(requested(1), ended(1), requested(3), was_reset(1, ErrorCode.STREAM_CLOSED, by_peer=False)),
            then(lambda engine: list(engine.streams) == [3], "the other is open"),
        )
