"""Where the engine and plain h2 4.4.1 differ on purpose, and why.

`KINDER`: h2 ends the connection for one stream's fault; RFC 9113 calls that a stream error, and a hundred good
tunnels must not die of it. `OTHER_CODE`: both end the connection, for another reason in the peer's eyes. `STRICTER`:
h2 lets pass what the RFC, or the tunnel, does not.

Each has a conversation of its own in test_deviations.py; the differential test (tests/fuzz) allows these and no others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hbone_py.errors import ErrorCode
from tests.support.frames import (
    DATA,
    HAS_PRIORITY,
    HEADERS,
    PADDED,
    PRIORITY,
    PUSH_PROMISE,
    SETTINGS_ACK,
    Frame,
    block,
    connect,
    continuation,
    data,
    goaway,
    headers,
    headers_of,
    ok,
    priority,
    rst,
    settings,
    window,
)
from tests.support.playbook import (
    Told,
    accepted,
    ended,
    going_away,
    over,
    refused,
    request_refused,
    requested,
    was_reset,
)

if TYPE_CHECKING:
    from h2.exceptions import ProtocolError

PLAIN = (":method CONNECT", ":authority 10.1.0.2:8080")
GET = (":method GET", ":scheme https", ":path /", ":authority a")
OTHERS = connect(3)
"""A neighbour: it must go on."""


@dataclass(frozen=True)
class Deviation:
    """One case. A server hears `heard` after SETTINGS; a client has opened 1 and 3 before."""

    name: str
    why: str
    heard: tuple[Frame, ...]
    ours: tuple[Told, ...]
    """What the engine reports."""
    h2_raises: str = ""
    """What h2's exception says (a pattern); empty when h2 finds no fault."""
    h2_reports: tuple[Told, ...] = field(default=())
    """What plain h2 reports, when it finds no fault."""
    role: str = "server"


MALFORMED = (request_refused(1), requested(3))
RESET = was_reset(1, ErrorCode.PROTOCOL_ERROR, by_peer=False)


def _malformed(name: str, why: str, h2_raises: str, *lines: str) -> Deviation:
    return Deviation(name, why, (headers(1, *lines), OTHERS), MALFORMED, h2_raises)


KINDER = [
    _malformed(":path or :scheme on CONNECT", "8.5, 8.1.1", "Ordinary CONNECT MUST NOT", *PLAIN, ":path /"),
    _malformed(":protocol, not enabled", "RFC 8441", "missing mandatory b':scheme'", *PLAIN, ":protocol x"),
    _malformed("no :path", "8.3.1", "missing mandatory b':path'", ":method GET", ":scheme http", ":authority a"),
    _malformed("no :method", "8.3.1", "missing mandatory b':method'", ":authority a:1"),
    _malformed("no authority at all", "8.5", "does not have an :authority or Host", ":method CONNECT"),
    Deviation(
        "a request of a scheme that needs no authority",
        "8.3.1: well-formed, and no tunnel: 400",
        (headers(1, ":method GET", ":scheme coap", ":path /", end=True), OTHERS),
        (request_refused(1, 400), requested(3)),
        "does not have an :authority or Host",
    ),
    _malformed("an upper-case name", "8.2.1", "uppercase header name", *PLAIN, "Upper 1"),
    _malformed("an empty name", "8.2.1", "header name with zero length", *PLAIN, " 1"),
    _malformed("a forbidden byte in a name", "8.2.1", "(?s)Illegal character .* in header name", *PLAIN, "a\x80 1"),
    _malformed("a forbidden byte in a value", "8.2.1", "(?s)Illegal character .* in header value", *PLAIN, "x a\nb"),
    _malformed("white space around a value", "8.2.1", "surrounded by whitespace", *PLAIN, "x  a"),
    _malformed("a header of the connection", "8.2.2", "Connection-specific header", *PLAIN, "connection close"),
    _malformed("te other than trailers", "8.2.2", "Invalid value for TE", *PLAIN, "te gzip"),
    _malformed("a doubled pseudo-header", "8.3", "duplicate pseudo-header", *PLAIN, ":authority a:1"),
    _malformed("an unknown pseudo-header", "8.3", "custom pseudo-header", *PLAIN, ":x 1"),
    _malformed("a late pseudo-header", "8.3", "out of sequence", ":method CONNECT", "x 1", ":authority a:1"),
    _malformed("a pseudo-header of responses", "8.3", "response-only headers", *PLAIN, ":status 200"),
    _malformed(
        ":protocol without CONNECT",
        "RFC 8441",
        "connect-request-only headers",
        ":method GET",
        ":scheme http",
        ":path /",
        ":authority a",
        ":protocol x",
    ),
    _malformed("host and :authority differ", "8.3.1", "mismatched :authority and Host", *PLAIN, "host b:1"),
    _malformed("content-length is no number", "8.1.1", "Invalid content-length", *PLAIN, "content-length x"),
    _malformed("two lengths", "8.1.1", "Conflicting content-length", *PLAIN, "content-length 1", "content-length 2"),
    Deviation(
        "one stream too many",
        "5.1.2: REFUSED_STREAM, for another try; nothing is reported",
        (connect(1), OTHERS, connect(5), connect(7)),
        (requested(1), requested(3), requested(5)),
        "Max inbound streams",
    ),
    Deviation(
        "a header list above the limit",
        "10.5.1, hbone-dataplane 1.3: 431",
        (headers(1, *PLAIN, f"long {'x' * 3000}"), OTHERS),
        (request_refused(1, 431), requested(3)),
        "Oversized header block",
    ),
    Deviation(
        "another amount of data than content-length",
        "8.1.1",
        (connect(1, "10.1.0.2:8080", "content-length 1"), OTHERS, data(1, b"two")),
        (requested(1, "10.1.0.2:8080", "content-length 1"), requested(3), RESET),
        "InvalidBodyLengthError",
    ),
    Deviation(
        "a second header block that does not end the stream",
        "8.1",
        (connect(1), OTHERS, headers(1, "x 1")),
        (requested(1), requested(3), RESET),
        "Trailers must have END_STREAM",
    ),
    Deviation(
        "a pseudo-header in trailers",
        "8.1",
        (connect(1), OTHERS, headers(1, ":status 200", end=True)),
        (requested(1), requested(3), RESET),
        "pseudo-header in trailer",
    ),
    Deviation(
        "WINDOW_UPDATE of nothing",
        "6.9: a stream error, if on a stream",
        (connect(1), OTHERS, window(1, 0)),
        (requested(1), requested(3), RESET),
        "non-compliant data",
    ),
    Deviation(
        "PRIORITY of a wrong length",
        "6.3: a stream error",
        (connect(1), OTHERS, Frame(PRIORITY, 0, 1, b"1234")),
        (requested(1), requested(3), was_reset(1, ErrorCode.FRAME_SIZE_ERROR, by_peer=False)),
        "Frame data missing or invalid",
    ),
    Deviation(
        "a stream that depends on itself",
        "5.3.2: priorities are not looked at any more",
        (priority(1, 1), connect(1)._replace(flags=HAS_PRIORITY | 4, payload=b"\0\0\0\1\x0f" + block(*PLAIN))),
        (requested(1),),
        "may not depend on itself",
    ),
    Deviation(
        "HEADERS of padding alone",
        "6.2: the padding does not exceed what is left, the block comes in a CONTINUATION",
        (Frame(HEADERS, PADDED, 1, b"\x07" + bytes(7)), continuation(1, block(*PLAIN)), OTHERS),
        (requested(1), requested(3)),
        "invalid padding",
    ),
    Deviation(
        "SETTINGS that overflow the window of a stream that is over",
        "6.9.2: only open streams have windows; h2 has not swept this one away yet",
        (connect(1), window(1, 2**30), rst(1, 8), settings({4: 2**30}), OTHERS),
        (requested(1), was_reset(1, 8), ("settings",), requested(3)),
        "increment flow control window past",
    ),
    Deviation(
        "GOAWAY",
        "6.8: a drain begins, open tunnels go on",
        (connect(1), goaway(0), data(1, b"", end=True)),
        (requested(1), going_away(0), ended(1)),
        "in state ConnectionState.CLOSED",
    ),
    Deviation(
        "ALTSVC that cannot be read",
        "4.1: of types we do not know, nothing is looked at",
        (Frame(0xA, 0, 0, b"x"), OTHERS),
        (requested(3),),
        "Frame data missing or invalid",
    ),
    Deviation(
        "HEADERS behind DATA on a stream that ended",
        "5.1: the DATA was answered with RST_STREAM; what follows is ignored",
        (headers(1, *GET, end=True), OTHERS, data(1, b"x"), headers(1, "x 1", end=True)),
        (request_refused(1, 400), requested(3)),
        "StreamClosedError",
    ),
    Deviation(
        "DATA before the answer",
        "8.1",
        (data(1, b"x"), ok(3)),
        (RESET, accepted(3)),
        "cannot receive data before headers",
        role="client",
    ),
    Deviation(
        "a response without :status",
        "8.3.2",
        (headers(1, "x 1"), ok(3)),
        (RESET, accepted(3)),
        "missing mandatory b':status'",
        role="client",
    ),
    Deviation(
        "a pseudo-header of requests",
        "8.3",
        (ok(1, ":path /"), ok(3)),
        (RESET, accepted(3)),
        "request-only headers",
        role="client",
    ),
    Deviation(
        "an interim answer that ends the stream",
        "8.1",
        (headers(1, ":status 103", end=True), ok(3)),
        (RESET, accepted(3)),
        "Cannot set END_STREAM on informational",
        role="client",
    ),
    Deviation(
        "an interim answer behind the last one",
        "8.1",
        (ok(1), headers(1, ":status 103"), ok(3)),
        (accepted(1), RESET, accepted(3)),
        "Informational response after final",
        role="client",
    ),
    Deviation(
        "an interim answer on a stream that is over",
        "5.1: STREAM_CLOSED, as for every other answer",
        (rst(1, 8), headers(1, ":status 103"), ok(3)),
        (was_reset(1, 8), accepted(3)),
        "RECV_INFORMATIONAL_HEADERS in state",
        role="client",
    ),
    Deviation(
        "a content-length in the 200 to CONNECT",
        "RFC 9110 9.3.6: it means nothing",
        (ok(1, "content-length 1"), data(1, b"", end=True), ok(3, "content-length x")),
        (accepted(1, "content-length 1"), ended(1), accepted(3, "content-length x")),
        "InvalidBodyLengthError",
        role="client",
    ),
]
"""h2 ends the connection; here one stream, or nothing, is touched."""

OTHER_CODE = [
    Deviation(
        "a header block that cannot be decoded",
        "4.3: COMPRESSION_ERROR, where h2 says PROTOCOL_ERROR",
        (headers_of(1, b"\xbe"),),
        (over(ErrorCode.COMPRESSION_ERROR),),
        "Error decoding header block",
    ),
    Deviation(
        "a header list above the limit that cannot be decoded to its end",
        "4.3: COMPRESSION_ERROR; h2 stops reading at the limit and never sees it",
        (headers_of(1, block(*PLAIN, f"long {'x' * 3000}") + b"\xbe"),),
        (over(ErrorCode.COMPRESSION_ERROR),),
        "Oversized header block",
    ),
    Deviation(
        "a flood of CONTINUATIONs",
        "10.5: ENHANCE_YOUR_CALM after 32, where h2 says PROTOCOL_ERROR after 64",
        (headers_of(1, b"", last=False), *[continuation(1, last=False)] * 64),
        (over(ErrorCode.ENHANCE_YOUR_CALM),),
        "Too many continuation",
    ),
    Deviation(
        "two faults in one frame: DATA on stream 0, too short for its padding",
        "4.2 and 6.1: we look at the length first",
        (Frame(DATA, PADDED, 0),),
        (over(ErrorCode.FRAME_SIZE_ERROR),),
        "Stream ID must be non-zero for DataFrame",
    ),
    Deviation(
        "PUSH_PROMISE that cannot be read",
        "8.4: PROTOCOL_ERROR without a look at it, where h2 says FRAME_SIZE_ERROR",
        (Frame(PUSH_PROMISE, 4, 1, b"123"),),
        (over(ErrorCode.PROTOCOL_ERROR),),
        "Frame data missing or invalid",
    ),
    Deviation(
        "CONTINUATION of a stream that ended, out of place",
        "6.10: PROTOCOL_ERROR, where h2 says STREAM_CLOSED",
        (headers(1, *GET, end=True), OTHERS, continuation(1)),
        (request_refused(1, 400), requested(3), over(ErrorCode.PROTOCOL_ERROR)),
        "StreamClosedError",
    ),
    Deviation(
        "HEADERS on a stream that was refused and is over, while as many are open as may be",
        "5.1: STREAM_CLOSED; h2 has forgotten the stream, and counts",
        (headers(1, *GET, end=True), OTHERS, connect(5), connect(7), headers(1, "x-trailer 1", end=True)),
        (
            request_refused(1, 400),
            *(requested(stream) for stream in (3, 5, 7)),
            over(ErrorCode.STREAM_CLOSED),
        ),
        "Max inbound streams",
    ),
]
"""Both end the connection, with another code."""

STRICTER = [
    Deviation(
        "PUSH_PROMISE whose block goes on",
        "8.4: nothing may be promised, whatever follows",
        (Frame(PUSH_PROMISE, 0, 1, b"\0\0\0\2"),),
        (over(ErrorCode.PROTOCOL_ERROR),),
    ),
    Deviation(
        "CONTINUATION of a stream that was reset, out of place",
        "6.10",
        (connect(1), rst(1, 8), OTHERS, continuation(1)),
        (requested(1), was_reset(1, 8), requested(3), over(ErrorCode.PROTOCOL_ERROR)),
        h2_reports=(requested(1), was_reset(1, 8), requested(3)),
    ),
    Deviation(
        "the first frame is not SETTINGS",
        "3.4 (this server has not heard any)",
        (SETTINGS_ACK, settings()),
        (over(ErrorCode.PROTOCOL_ERROR),),
        h2_reports=(("settings",),),
        role="fresh server",
    ),
    Deviation(
        "RST_STREAM on an idle stream",
        "6.4",
        (connect(1), Frame(3, 0, 5, b"\0\0\0\x08")),
        (requested(1), over(ErrorCode.PROTOCOL_ERROR)),
        h2_reports=(requested(1),),
    ),
    Deviation(
        "a name that is no token",
        "8.2.1, RFC 9110 5.1",
        (connect(1, "10.1.0.2:8080", "a(b 1"), OTHERS),
        MALFORMED,
        h2_reports=(requested(1, "10.1.0.2:8080", "a(b 1"), requested(3)),
    ),
    Deviation(
        "an authority that is no visible text",
        "8.5",
        (connect(1, "a b:1"), OTHERS),
        MALFORMED,
        h2_reports=(requested(1, "a b:1"), requested(3)),
    ),
    Deviation(
        "a host in place of :authority",
        "8.5",
        (headers(1, ":method CONNECT", "host a:1"), OTHERS),
        MALFORMED,
        h2_reports=(requested(1, "", "host a:1"), requested(3)),
    ),
    Deviation(
        "a method that is no token",
        "RFC 9110 9.1",
        (headers(1, ":method G T", ":scheme http", ":path /", ":authority a", end=True), OTHERS),
        MALFORMED,
        h2_reports=(request_refused(1, 400), requested(3)),
    ),
    Deviation(
        "an empty :scheme or an empty :protocol of another method",
        "8.3.1",
        (headers(1, ":method GET", ":scheme ", ":path /", ":authority a", end=True), OTHERS),
        MALFORMED,
        h2_reports=(request_refused(1, 400), requested(3)),
    ),
    Deviation(
        "content-length and no content at all",
        "8.1.1",
        (connect(1, "10.1.0.2:8080", "content-length 3", end=True), OTHERS),
        MALFORMED,
        h2_reports=(requested(1, "10.1.0.2:8080", "content-length 3"), ended(1), requested(3)),
    ),
    Deviation(
        "trailers before content-length is reached",
        "8.1.1",
        (connect(1, "10.1.0.2:8080", "content-length 3"), OTHERS, headers(1, "x 1", end=True)),
        (requested(1, "10.1.0.2:8080", "content-length 3"), requested(3), RESET),
        h2_reports=(requested(1, "10.1.0.2:8080", "content-length 3"), requested(3), ended(1)),
    ),
    Deviation(
        "a status that is no number of three digits",
        "8.3.2",
        (headers(1, ":status 2000"), ok(3)),
        (RESET, accepted(3)),
        h2_reports=(refused(1, 2000), accepted(3)),
        role="client",
    ),
    Deviation(
        "status 101",
        "8.6: HTTP/2 has no 101; it is an answer that is not 200",
        (headers(1, ":status 101"), ok(3)),
        (refused(1, 101), accepted(3)),
        h2_reports=(accepted(3),),
        role="client",
    ),
]
"""h2 finds no fault; here a stream, or the connection, ends."""

_TOKEN = re.compile(rb":?[!#$%&'*+\-.^_`|~0-9a-z]+")
_VISIBLE = re.compile(rb"[\x21-\x7e]+")
_STATUS = re.compile(rb"[1-9][0-9]{2}")


def is_stricter_about(lines: list[tuple[bytes, bytes]], ends: bool) -> bool:
    """Whether h2 lets a header list pass that `STRICTER` names."""
    found = dict(lines)
    method, status = found.get(b":method"), found.get(b":status")
    return (
        any(not _TOKEN.fullmatch(name) for name, _ in lines)
        or (method == b"CONNECT" and not _VISIBLE.fullmatch(found.get(b":authority", b"")))
        or (method is not None and not re.fullmatch(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", method))
        or (method not in (None, b"CONNECT") and not (found.get(b":scheme") and found.get(b":path")))
        or (ends and found.get(b"content-length", b"0") != b"0")
        or (status is not None and (not _STATUS.fullmatch(status) or status == b"101"))
    )


def of_exception(death: ProtocolError) -> list[Deviation]:
    """The cases in which h2 says so as it ends a connection."""
    text = f"{type(death).__name__}: {death}"
    return [case for case in [*KINDER, *OTHER_CODE] if re.search(case.h2_raises, text)]
