"""HTTP/1 heads: llhttp reads them, and what it would let through is refused here [pure].

llhttp (httptools) in its strict mode refuses bare line feeds, folded lines, control characters, space before the
colon, doubled or malformed Content-Length, and Content-Length beside Transfer-Encoding. Ours are the rules about the
whole head: one Host, one target, a version we speak, `chunked` as the only coding (docs/decisions/0014).
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

import httptools

from mesh_py.http.errors import BadMessage, HeadTooLarge, LineTooLong, VersionNotSupported
from mesh_py.http.headers import Field, Headers, spelled
from mesh_py.http.messages import HttpRequest, HttpResponse, Version, has_no_body
from mesh_py.http.targets import is_host

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesh_py.http.limits import Limits

HEAD_END = b"\r\n\r\n"
_PEEK = len(HEAD_END) - 1


class Framing(Enum):
    """How a body ends."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"
    """With the connection: responses alone."""
    TUNNEL = "tunnel"
    """Not at all: plain bytes until the connection ends."""


class Head(NamedTuple):
    """What a head says about the bytes after it and about the connection."""

    framing: Framing
    length: int
    """Of the body, if the framing is LENGTH."""
    keep_alive: bool


_KNOWN_NAMES: dict[bytes, str] = {}
_NAMES_KEPT = 2000

# Fields that concern this connection alone (RFC 9110 7.6.1), or that the message holds elsewhere.
_OF_THE_CONNECTION = frozenset(
    {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te", "host", "http2-settings"}
)
_READ_BY_US = _OF_THE_CONNECTION | {"content-length"}


def known_name(raw: bytes) -> str:
    """The name in lower case; usual spellings are remembered."""
    name = _KNOWN_NAMES.get(raw)
    if name is None:
        name = spelled(raw.decode("latin-1").lower())
        if len(_KNOWN_NAMES) < _NAMES_KEPT and len(raw) < 64:
            _KNOWN_NAMES[raw] = name
    return name


class HeadReader:
    """Reads one head after another. Bytes are handed to the parser at once, so that nonsense is found early."""

    __slots__ = ("_complete", "_limits", "_padded", "_parser", "_raw", "_size", "_tail", "_target", "is_idle")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._raw: list[tuple[bytes, bytes]] = []
        self._parser: httptools.HttpRequestParser | httptools.HttpResponseParser | None = None
        self._begin()

    def _begin(self) -> None:
        self._complete = False
        self._size = 0
        self.is_idle = True
        """No byte of a head has come."""
        self._tail = b""
        self._target = b""
        self._padded = False
        """Some value may have space behind it, which the parser leaves there."""

    def feed(self, data: bytes, parser_class: type[httptools.HttpRequestParser | httptools.HttpResponseParser]) -> int:
        """Take bytes up to the end of the head and say how many were taken; `is_complete` tells the rest.

        Raises:
            BadMessage: it is malformed or too large.
        """
        if self._parser is None:
            self._parser = parser_class(self)
        taken = 0
        while not self._complete and taken < len(data):
            end = self._end_of_head(data, taken)
            piece = data if end == len(data) and not taken else data[taken:end]
            self._feed_piece(piece)
            taken = end
        return taken

    def _end_of_head(self, data: bytes, start: int) -> int:
        if self._tail:
            joint = (self._tail + data[start : start + _PEEK]).find(HEAD_END)
            if joint >= 0:
                return start + joint + len(HEAD_END) - len(self._tail)
        found = data.find(HEAD_END, start)
        return len(data) if found < 0 else found + len(HEAD_END)

    def _feed_piece(self, piece: bytes) -> None:
        self._size += len(piece)
        self.is_idle = False
        try:
            self._parser.feed_data(piece)  # type: ignore[union-attr]
        except httptools.HttpParserUpgrade:
            pass  # the piece ends with the head: nothing lies behind it
        except httptools.HttpParserCallbackError as error:
            raise error.__context__ or BadMessage("malformed head") from None
        except httptools.HttpParserError as error:
            raise BadMessage(f"malformed head: {error}") from None
        if not self._padded and (b" \r" in piece or b"\t\r" in piece):
            self._padded = True
        if self._size > self._limits.head_bytes:
            raise HeadTooLarge(f"a head of more than {self._limits.head_bytes} bytes")
        if not self._complete:
            self._tail = (self._tail + piece)[-_PEEK:]
            if not self._target and not self._raw and self._size > self._limits.line_bytes:
                raise LineTooLong(f"a first line of more than {self._limits.line_bytes} bytes")

    @property
    def is_complete(self) -> bool:
        """Whether `take_request` or `take_response` may be called."""
        return self._complete

    # What the parser calls.

    def on_url(self, url: bytes) -> None:
        self._target += url
        if len(self._target) > self._limits.line_bytes:
            raise LineTooLong(f"a request line of more than {self._limits.line_bytes} bytes")

    def on_status(self, reason: bytes) -> None:
        self._target += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        self._raw.append((name, value))

    def on_headers_complete(self) -> None:
        self._complete = True
        if len(self._raw) > self._limits.head_fields:
            raise HeadTooLarge(f"more than {self._limits.head_fields} header fields")

    # What the codec calls.

    def take_request(self) -> tuple[HttpRequest, Head]:
        """The request that was read, and how its body comes.

        Raises:
            BadMessage: two readers might understand it in two ways.
        """
        parser, target = self._parser, self._target
        assert isinstance(parser, httptools.HttpRequestParser)
        version = _version(parser.get_http_version())
        facts = _Facts(self._fields(), version)
        method = parser.get_method().decode("ascii")
        request = _request(method, target, version, facts)
        framing = _request_framing(request, facts)
        # A parser that expects nothing more can read the next head; any other has done its work.
        self._finish(reusable=framing is Framing.NONE and not facts.upgrade and method != "CONNECT" and facts.lasts)
        return request, Head(framing, facts.length or 0, facts.lasts)

    def take_response(self, method: str, protocol: str) -> tuple[HttpResponse, Head]:
        """The response that was read, and how its body comes; `method` and `protocol` are the request's.

        Raises:
            BadMessage: two readers might understand it in two ways.
        """
        parser, reason = self._parser, self._target
        assert isinstance(parser, httptools.HttpResponseParser)
        version = _version(parser.get_http_version())
        facts = _Facts(self._fields(), version)
        status = parser.get_status_code()
        if not 100 <= status <= 999:
            raise BadMessage(f"a response of status {status}")
        response = HttpResponse(status, Headers(facts.fields), version, reason.decode("latin-1"))
        framing = _response_framing(status, method, protocol, facts)
        if framing is Framing.TUNNEL and protocol and facts.upgrade.lower() != protocol:
            raise BadMessage(f"an upgrade to {facts.upgrade!r} where {protocol!r} was asked for")
        self._finish(reusable=False)
        return response, Head(framing, facts.length or 0, facts.lasts)

    def _fields(self) -> list[Field]:
        known = _KNOWN_NAMES
        fields = [(known.get(name) or known_name(name), value.decode("latin-1")) for name, value in self._raw]
        if self._padded or self._tail:
            return [(name, value.rstrip(" \t")) for name, value in fields]
        return fields

    def _finish(self, *, reusable: bool) -> None:
        if not reusable:
            self._parser = None
        self._raw = []
        self._begin()


class _Facts:
    """The fields sorted: those that pass on, and what the others said."""

    __slots__ = ("codings", "fields", "hosts", "lasts", "length", "upgrade", "version")

    def __init__(self, fields: list[Field], version: Version) -> None:
        self.version = version
        self.hosts: list[str] = []
        self.length: int | None = None
        self.codings: list[str] = []
        self.upgrade = ""
        self.lasts = version == "HTTP/1.1"
        self.fields = fields
        self._sort(fields)

    def _sort(self, fields: list[Field]) -> None:
        passed: list[Field] = []
        options: set[str] = set()
        upgrades: list[str] = []
        trailers = False
        for field in fields:
            name, value = field
            if name not in _READ_BY_US:
                passed.append(field)
            elif name == "host":
                self.hosts.append(value)
            elif name == "content-length":
                self.length = self._length(value)
                passed.append(field)
            elif name == "connection":
                options.update(_tokens(value))
            elif name == "transfer-encoding":
                self.codings += _tokens(value)
            elif name == "upgrade":
                upgrades.append(value)
            elif name == "te":
                trailers = trailers or "trailers" in _tokens(value)
        self._connection(options)
        if options:
            passed = [field for field in passed if field[0] not in options]
        if upgrades and "upgrade" in options:
            self.upgrade = ",".join(upgrades)
        if trailers:
            passed.append(("te", "trailers"))  # the one value HTTP/2 knows, and gRPC asks for
        self.fields = passed

    def _length(self, value: str) -> int:
        # The parser has read it as one number already; what it refuses never comes here.
        length = int(value)
        if self.length is not None:
            raise BadMessage("two Content-Length fields")
        return length

    def _connection(self, options: set[str]) -> None:
        if "close" in options:
            self.lasts = False
        elif self.version == "HTTP/1.0":
            self.lasts = "keep-alive" in options
        if self.codings and (self.codings != ["chunked"] or self.version == "HTTP/1.0"):
            # Other codings we could not pass on, and a reader of HTTP/1.0 would not see where the body ends.
            raise BadMessage(f"transfer-encoding {', '.join(self.codings)} with {self.version}")
        # Nobody may have an end-to-end field taken away by naming it (RFC 9110 7.6.1).
        if not options.isdisjoint(_NEVER_OPTIONS):
            raise BadMessage("the Connection field names a field that is not the connection's")


_NEVER_OPTIONS = frozenset(
    {"host", "content-length", "authorization", "cookie", "content-type"}
    | {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-client-cert", "x-request-id"}
)


def _tokens(value: str) -> Iterable[str]:
    return [token for token in (part.strip(" \t").lower() for part in value.split(",")) if token]


def _version(text: str) -> Version:
    if text == "1.1":
        return "HTTP/1.1"
    if text == "1.0":
        return "HTTP/1.0"
    raise VersionNotSupported(f"HTTP/{text}")


def _request(method: str, target: bytes, version: Version, facts: _Facts) -> HttpRequest:
    hosts = facts.hosts
    if len(hosts) > 1:
        raise BadMessage("more than one Host field")
    if not hosts and version == "HTTP/1.1":
        raise BadMessage("HTTP/1.1 without a Host field")
    host = hosts[0] if hosts else ""
    if not is_host(host):
        raise BadMessage(f"a Host field that names no host: {host!r}")
    text = target.decode("ascii")
    scheme, authority, path = _target(method, text, host)
    return HttpRequest(method, path, authority, Headers(facts.fields), scheme, version, _protocol(method, facts))


def _target(method: str, target: str, host: str) -> tuple[str, str, str]:
    """Scheme, authority and path of the four request targets (RFC 9112 3.2)."""
    if method == "CONNECT":
        if not is_host(target):
            raise BadMessage(f"CONNECT to what is no host: {target!r}")
        if host and host.lower() != target.lower() and host.lower() != target.rpartition(":")[0].lower():
            raise BadMessage(f"CONNECT to {target} with Host {host}")
        return "http", target, ""
    if target[0] == "/":
        if "#" in target:
            raise BadMessage("a fragment in the request target")
        return "http", host, target
    if target == "*":
        if method != "OPTIONS":
            raise BadMessage(f"{method} of *")
        return "http", host, target
    return _absolute(target, host)


def _absolute(target: str, host: str) -> tuple[str, str, str]:
    scheme, separator, rest = target.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in ("http", "https") or "#" in rest:
        raise BadMessage(f"a request target that is no http address: {target!r}")
    ends = [index for index in (rest.find("/"), rest.find("?")) if index >= 0]
    end = min(ends, default=len(rest))
    authority, path = rest[:end], rest[end:]
    if not authority or not is_host(authority):
        raise BadMessage(f"a request target without a proper host: {target!r}")
    if host and host.lower() != authority.lower():
        # RFC 9112 3.2.2 lets the target win; whoever sends two names hopes that somebody reads the other one.
        raise BadMessage(f"the target names {authority}, the Host field {host}")
    return scheme, authority, path if path.startswith("/") else f"/{path}"


def _protocol(method: str, facts: _Facts) -> str:
    """The protocol of an upgrade we carry out: WebSocket. Any other offer is passed over (RFC 9110 7.8)."""
    if not facts.upgrade or method != "GET" or facts.version == "HTTP/1.0":
        return ""
    if "websocket" not in _tokens(facts.upgrade):
        return ""
    if facts.length or facts.codings:
        raise BadMessage("an upgrade to websocket with a body")
    return "websocket"


def _request_framing(request: HttpRequest, facts: _Facts) -> Framing:
    if request.is_tunnel:
        if facts.length or facts.codings:
            raise BadMessage("a tunnel request with a body")
        return Framing.TUNNEL
    if facts.codings:
        return Framing.CHUNKED
    return Framing.LENGTH if facts.length else Framing.NONE


def _response_framing(status: int, method: str, protocol: str, facts: _Facts) -> Framing:
    """RFC 9112 6.3, in its order."""
    if status == 101:
        if not protocol:
            raise BadMessage("101 to a request that asked for no upgrade")
        return Framing.TUNNEL
    if method == "CONNECT" and 200 <= status < 300:
        return Framing.TUNNEL
    if has_no_body(status, method):
        return Framing.NONE
    if facts.codings:
        return Framing.CHUNKED
    if facts.length is not None:
        return Framing.LENGTH if facts.length else Framing.NONE
    return Framing.CLOSE
