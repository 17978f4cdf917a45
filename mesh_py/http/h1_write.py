"""HTTP/1 heads as bytes [pure].

What a head says of the connection and of its body is written here and nowhere else; such fields in a message (a
filter may have put them there) are left out.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from mesh_py.http.errors import UnwritableMessage
from mesh_py.http.h1_head import Framing

if TYPE_CHECKING:
    from mesh_py.http.headers import Field, Headers
    from mesh_py.http.messages import HttpRequest, HttpResponse

_REASONS = {status.value: status.phrase for status in HTTPStatus}

_WRITTEN_BY_US = frozenset(
    {"host", "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te", "http2-settings"}
)
# Heads of answers that are written again and again: of fields that stay the same for a while, and are no secret.
_LASTING = frozenset(
    {"cache-control", "content-length", "content-type", "date", "server", "vary", "x-envoy-upstream-service-time"}
)
_HEADS_KEPT = 1000
_HEAD_KEPT = 1000
_written: dict[tuple[object, ...], bytes] = {}

# Heads of requests likewise, without their first line and their id, which are others each time.
_LASTING_OF_REQUESTS = frozenset(
    {"accept", "accept-encoding", "accept-language", "cache-control", "content-length", "content-type", "user-agent"}
    | {"x-envoy-attempt-count", "x-forwarded-client-cert", "x-forwarded-proto"}
)
_ID = "x-request-id"
_asked: dict[tuple[object, ...], tuple[str, str]] = {}

_MEANS_A_BODY = frozenset({"POST", "PUT", "PATCH"})


def write_request(request: HttpRequest, framing: Framing) -> bytes:
    """The head of a request.

    Raises:
        UnwritableMessage: some part of it holds a line end or what is no byte.
    """
    target = request.authority if request.method == "CONNECT" else request.path
    if not target or " " in target or " " in request.authority:
        raise UnwritableMessage(f"a request target that cannot be written: {request.authority!r} {request.path!r}")
    first = f"{request.method} {target} HTTP/1.1"
    last = _last_line(request, framing)
    fields = request.headers.fields
    place = 0
    for name, _ in fields:
        if name == _ID:
            break
        place += 1
    else:
        return _joined([first, f"host: {request.authority}", *_lines(fields), *last])
    key = (request.authority, *last, *fields[:place], _ID, *fields[place + 1 :])
    around = _asked.get(key)
    if around is None:
        before = _text([f"host: {request.authority}", *_lines(fields[:place])])[:-2]
        around = before, _text([*_lines(fields[place + 1 :]), *last])
        _keep_request(key, around, fields)
    own = fields[place][1]
    if not (first.isprintable() and own.isprintable()):  # most are, and then no line ends in them
        _refuse_line_ends(first + own)
    return _bytes(f"{first}\r\n{around[0]}{_ID}: {own}\r\n{around[1]}")


def _last_line(request: HttpRequest, framing: Framing) -> tuple[str, ...]:
    """What the head says of the connection and the body."""
    if request.protocol:
        return "connection: upgrade", f"upgrade: {request.protocol}"
    if framing is Framing.CHUNKED:
        return ("transfer-encoding: chunked",)
    if framing is Framing.NONE and request.method in _MEANS_A_BODY and "content-length" not in request.headers:
        return ("content-length: 0",)
    return ()


def _keep_request(key: tuple[object, ...], around: tuple[str, str], fields: list[Field]) -> None:
    passing = [name for name, _ in fields if name not in _LASTING_OF_REQUESTS]
    if len(passing) == 1 and len(around[0]) + len(around[1]) <= _HEAD_KEPT:
        if len(_asked) >= _HEADS_KEPT:
            _asked.clear()
        _asked[key] = around


def write_response(response: HttpResponse, framing: Framing, connection: str = "", protocol: str = "") -> bytes:
    """The head of a response; `connection` is `close`, `keep-alive` or nothing, `protocol` what a 101 opens.

    Raises:
        UnwritableMessage: some part of it holds a line end or what is no byte.
    """
    is_chunked = framing is Framing.CHUNKED
    key = (response.status, response.reason, connection, protocol, is_chunked, *response.headers.fields)
    written = _written.get(key)
    if written is None:
        written = _response(response, connection, protocol, is_chunked=is_chunked)
        if len(written) <= _HEAD_KEPT and _LASTING.issuperset([name for name, _ in response.headers.fields]):
            if len(_written) >= _HEADS_KEPT:
                _written.clear()
            _written[key] = written
    return written


def _response(response: HttpResponse, connection: str, protocol: str, *, is_chunked: bool) -> bytes:
    reason = response.reason or _REASONS.get(response.status, "")
    lines = [f"HTTP/1.1 {response.status} {reason}", *_lines(response.headers.fields)]
    if protocol:
        lines += ["connection: upgrade", f"upgrade: {protocol}"]
    elif connection:
        lines.append(f"connection: {connection}")
    if is_chunked:
        lines.append("transfer-encoding: chunked")
    return _joined(lines)


def field_lines(headers: Headers) -> bytes:
    """The fields alone, a line each: trailers.

    Raises:
        UnwritableMessage: one holds a line end or what is no byte.
    """
    return _joined(_lines(headers.fields))[:-2]


def _lines(fields: list[Field]) -> list[str]:
    return [f"{name}: {value}" for name, value in fields if name not in _WRITTEN_BY_US]


def _refuse_line_ends(text: str) -> None:
    """Raises UnwritableMessage for what would be more than the line it is to be."""
    if "\n" in text or "\r" in text or "\0" in text:
        raise UnwritableMessage("a line end or NUL inside a header field")


def _joined(lines: list[str]) -> bytes:
    return _bytes(_text(lines))


def _text(lines: list[str]) -> str:
    lines += ["", ""]
    text = "\r\n".join(lines)
    ends = len(lines) - 1
    # The one check that nobody smuggles a line into a head: there are as many line ends as we wrote.
    if text.count("\n") != ends or text.count("\r") != ends or "\0" in text:
        raise UnwritableMessage("a line end or NUL inside a header field")
    return text


def _bytes(text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise UnwritableMessage(f"a header field with {error.object[error.start]!r}, which is no byte") from None
