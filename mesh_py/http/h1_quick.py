"""HTTP/1 heads of the usual form, read by two expressions each, or known from before [pure].

A head that is whole, of HTTP/1.1, with the usual framing and nothing about its connection but `keep-alive`, is read
here; for any other the answer is None, and llhttp reads it (`h1_head`), which is the specification: whatever is read
here is read there to the same effect, as a test of random heads shows. Lines that have been read before are only
looked up.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mesh_py.http.h1_head import Framing, Head
from mesh_py.http.headers import Field, Headers, spelled
from mesh_py.http.messages import HttpRequest, HttpResponse, has_no_body
from mesh_py.http.targets import is_host

if TYPE_CHECKING:
    from mesh_py.http.limits import Limits

_REQUEST = re.compile(rb"(GET|HEAD|POST|PUT|DELETE|PATCH|OPTIONS) (/[!$-;=?-\[\]_a-z~]*) HTTP/1\.1\r\n").match
_RESPONSE = re.compile(rb"HTTP/1\.1 ([2-9][0-9][0-9]) ([ -~]*)\r\n").match
_FIELDS = re.compile(rb"(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)*").fullmatch
_VALUE = re.compile(rb"[\t -~\x80-\xff]*").fullmatch

# What is not simply passed on. Those of the second kind are never read here.
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})
_UNUSUAL = frozenset({"keep-alive", "proxy-connection", "upgrade", "te", "http2-settings"})
_LOOKED_AT = _OURS | _UNUSUAL
_MOST_DIGITS = 15
_LINE_FEED = ord("\n")

# Lines that come again and again are taken apart once. No line that may be a secret, or is another each time, is kept.
_REPEATED = frozenset(
    {"host", "user-agent", "accept", "accept-encoding", "accept-language", "cache-control", "connection", "server"}
    | {"content-type", "content-length", "x-forwarded-proto", "x-forwarded-client-cert", "transfer-encoding", "vary"}
    | {"x-envoy-attempt-count"}
)
_LINES_KEPT = 1000
_LINE_KEPT = 300
_lines: dict[str, Field] = {}

# So are heads that come again and again: those of such lines, and of these, which stay the same for a while.
_LASTING = _REPEATED | {"date", "x-envoy-upstream-service-time"}
_HEADS_KEPT = 1000
_HEAD_KEPT = 1000
_heads: dict[bytes, _Facts] = {}

# In a mesh every request has an id of its own: a head is known by its other lines, and by where the id stands.
_ID = "x-request-id"
_ID_LINE = b"x-request-id: "
_with_id: dict[tuple[bytes, int], tuple[_Facts, int]] = {}

_LENGTHS_KEPT = 1000
_of_length: dict[int, Head] = {}


def read_request(data: bytes, limits: Limits, scheme: str) -> tuple[HttpRequest, Head, int] | None:
    """The request at the beginning of `data`, how its body comes, and how many bytes its head has."""
    match = _REQUEST(data)
    if match is None:
        return None
    start = match.end()
    end = data.find(b"\r\n\r\n", start - 2) + 2
    method, target = match.groups()
    if end < start or end + 2 > limits.head_bytes or len(target) > limits.line_bytes:
        return None
    found = _request_lines(data[start:end])
    if found is None:
        return None
    facts, fields = found
    host = facts.host
    if facts.count > limits.head_fields or host is None or facts.is_chunked:
        return None
    request = HttpRequest(method.decode("ascii"), target.decode("ascii"), host, Headers.of(fields), scheme)
    return request, _framed(facts.length), end + 2


def read_response(data: bytes, limits: Limits, method: str) -> tuple[HttpResponse, Head, int] | None:
    """The answer, to a request of `method` that asked for no tunnel, at the beginning of `data`; the same."""
    match = _RESPONSE(data)
    if match is None:
        return None
    start = match.end()
    end = data.find(b"\r\n\r\n", start - 2) + 2
    taken = end + 2
    if end < start or taken > limits.head_bytes:
        return None
    code, reason = match.groups()
    lines = data[start:end]
    facts = _heads.get(lines) or _read(lines)
    if facts is None or facts.count > limits.head_fields or facts.host is not None:
        return None
    status = int(code)
    response = HttpResponse(status, Headers.of(facts.fields.copy()), "HTTP/1.1", reason.decode("ascii"))
    length = facts.length
    if has_no_body(status, method):
        return response, Head(Framing.NONE, length, True) if length else _NO_BODY, taken
    if facts.is_chunked:
        return response, _CHUNKED, taken
    if length is None:
        return None
    return response, _framed(length), taken


def _framed(length: int | None) -> Head:
    if not length:
        return _NO_BODY
    head = _of_length.get(length)
    if head is None:
        if len(_of_length) >= _LENGTHS_KEPT:
            _of_length.clear()
        head = _of_length[length] = Head(Framing.LENGTH, length, True)
    return head


def _request_lines(lines: bytes) -> tuple[_Facts, list[Field]] | None:
    """What the lines of a request's head say, and the fields that pass on, which are the caller's own."""
    facts = _heads.get(lines)
    if facts is None:
        start = _id_line(lines)
        if start >= 0:
            end = lines.find(b"\r\n", start)
            known = _with_id.get((lines[:start] + lines[end:], start))
            value = lines[start + len(_ID_LINE) : end]
            if known is not None and _VALUE(value):
                fields = known[0].fields.copy()
                fields.insert(known[1], (_ID, value.decode("latin-1").strip(" \t")))
                return known[0], fields
        facts = _read(lines)
    return None if facts is None else (facts, facts.fields.copy())


def _id_line(lines: bytes) -> int:
    """Where the line of the id begins; negative where there is none."""
    start = lines.find(_ID_LINE)
    return start if start <= 0 or lines[start - 1] == _LINE_FEED else -1


def _read(lines: bytes) -> _Facts | None:
    """What the lines of a head say; None if they are not all usual."""
    facts = _Facts()
    if _FIELDS(lines) is None or not facts.read(lines.decode("latin-1")):
        return None
    if len(lines) <= _HEAD_KEPT:
        if not facts.passing:
            if len(_heads) >= _HEADS_KEPT:
                _heads.clear()
            _heads[lines] = facts
        elif facts.passing == 1 and facts.id_at >= 0 and (start := _id_line(lines)) >= 0:
            if len(_with_id) >= _HEADS_KEPT:
                _with_id.clear()
            rest = lines[:start] + lines[lines.find(b"\r\n", start) :]
            _with_id[rest, start] = facts.without_id(), facts.id_at
    return facts


_NO_BODY = Head(Framing.NONE, 0, True)
_CHUNKED = Head(Framing.CHUNKED, 0, True)


class _Facts:
    """The fields that pass on, and what the others say."""

    __slots__ = ("count", "fields", "host", "id_at", "is_chunked", "length", "passing")

    def __init__(self) -> None:
        self.count = 0
        """Of all its lines."""
        self.passing = 0
        """How many of them will hardly come again."""
        self.id_at = -1
        """Which field is the request's id."""
        self.fields: list[Field] = []
        self.host: str | None = None
        self.length: int | None = None
        self.is_chunked = False

    def read(self, text: str) -> bool:
        """Whether that is all usual."""
        lines = text.split("\r\n")
        lines.pop()
        self.count = len(lines)
        fields = self.fields
        for line in lines:
            field = _lines.get(line)
            if field is None:
                field = _field(line)
                if field[0] not in _LASTING:
                    self.passing += 1
                    if field[0] == _ID:
                        self.id_at = len(fields)
            if field[0] not in _LOOKED_AT:
                fields.append(field)
            elif not self._look(field):
                return False
        return not (self.is_chunked and self.length is not None)

    def without_id(self) -> _Facts:
        """The same of the other lines, still as many as there were."""
        facts = _Facts()
        facts.count, facts.host, facts.length, facts.is_chunked = self.count, self.host, self.length, self.is_chunked
        facts.fields = self.fields[: self.id_at] + self.fields[self.id_at + 1 :]
        return facts

    def _look(self, field: Field) -> bool:
        name, value = field
        if name == "host":
            if self.host is not None or not is_host(value):
                return False
            self.host = value
            return True
        if name == "content-length":
            if self.length is not None or not (value.isascii() and value.isdigit()) or len(value) > _MOST_DIGITS:
                return False
            self.length = int(value)
            self.fields.append(field)
            return True
        if name == "transfer-encoding":
            if self.is_chunked or value != "chunked":
                return False
            self.is_chunked = True
            return True
        return name == "connection" and value.lower() == "keep-alive"


def _field(line: str) -> Field:
    name, _, value = line.partition(":")
    name = name.lower()
    field = spelled(name) if "_" in name else name, value.strip(" \t")
    if name in _REPEATED and len(line) <= _LINE_KEPT:
        if len(_lines) >= _LINES_KEPT:
            _lines.clear()
        _lines[line] = field
    return field
