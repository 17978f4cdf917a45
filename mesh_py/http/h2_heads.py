"""HTTP/2 heads to messages and back [pure].

The rules of RFC 9113 8.2 and 8.3 are checked here and not by h2: h2 ends the connection where the RFC ends the
stream, and looks at every byte in a loop.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn

from mesh_py.http.errors import BadMessage, HeadTooLarge, UnwritableMessage
from mesh_py.http.headers import NOT_IN_TRAILERS, Headers, spelled
from mesh_py.http.messages import HttpRequest, HttpResponse
from mesh_py.http.targets import is_host, is_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesh_py.http.headers import Field
    from mesh_py.http.limits import Limits

RawFields = list[tuple[bytes, bytes]]

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+").fullmatch
# No registered method has small letters, llhttp takes none, and WSGI's servers read `get` as GET, which no policy did.
_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Z]+").fullmatch
_NO_VALUE = re.compile(r"[\0\r\n]|^[ \t]|[ \t]$").search
_OF_THE_CONNECTION = frozenset({"connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"})
_WRITTEN_BY_US = _OF_THE_CONNECTION | {"host", "http2-settings"}
_REQUEST_PSEUDO = frozenset({":method", ":scheme", ":authority", ":path", ":protocol"})
_RESPONSE_PSEUDO = frozenset({":status"})
_ENTRY_OVERHEAD = 32  # what each field counts beside its bytes (RFC 9113 6.5.2)

_KNOWN_NAMES: dict[bytes, str] = {name.encode(): name for name in _REQUEST_PSEUDO | _RESPONSE_PSEUDO}
_NAMES_KEPT = 2000


def read_request(raw: RawFields, limits: Limits) -> HttpRequest:
    """The request of a HEADERS frame.

    Raises:
        BadMessage: it is malformed (the stream is reset), or too large (431).
    """
    pseudo, headers = _split(raw, _REQUEST_PSEUDO, limits)
    host = headers.get("host")
    if host is not None:
        if pseudo.setdefault(":authority", host) != host or len(headers.get_all("host")) > 1:
            _refuse("a Host field that differs from :authority")
        headers.drop("host")
    method, protocol = pseudo.get(":method", ""), pseudo.get(":protocol", "")
    scheme, path = pseudo.get(":scheme", ""), pseudo.get(":path", "")
    authority = pseudo.get(":authority", "")
    _check_request(method, protocol, scheme, path, authority, pseudo)
    if protocol:
        return _upgrade(path, authority, headers, scheme, protocol)
    return HttpRequest(method, path, authority, headers, scheme or "http", "HTTP/2")


def _check_request(method: str, protocol: str, scheme: str, path: str, authority: str, pseudo: dict[str, str]) -> None:
    if not _METHOD(method):
        _refuse(f"no proper :method: {method!r}")
    if not authority or not is_host(authority):
        _refuse(f"no proper :authority: {authority!r}")
    if method == "CONNECT" and not protocol:
        if ":scheme" in pseudo or ":path" in pseudo:
            _refuse("CONNECT with :scheme or :path")
        return
    if protocol and method != "CONNECT":
        _refuse(f":protocol with {method}")
    if scheme not in ("http", "https"):
        _refuse(f"no proper :scheme: {scheme!r}")
    if not is_path(path) and not (path == "*" and method == "OPTIONS"):
        _refuse(f"no proper :path: {path!r}")


def _upgrade(path: str, authority: str, headers: Headers, scheme: str, protocol: str) -> HttpRequest:
    """RFC 8441's CONNECT in HTTP/1's form."""
    return HttpRequest("GET", path, authority, headers, scheme, "HTTP/2", protocol)


def read_response(raw: RawFields, limits: Limits) -> HttpResponse:
    """The response of a HEADERS frame.

    Raises:
        BadMessage: it is malformed or too large.
    """
    pseudo, headers = _split(raw, _RESPONSE_PSEUDO, limits)
    status = pseudo.get(":status", "")
    if len(status) != 3 or not (status.isascii() and status.isdigit()) or status[0] == "0":
        _refuse(f"no proper :status: {status!r}")
    if status == "101":
        _refuse("101 over HTTP/2")
    return HttpResponse(int(status), headers, "HTTP/2")


def read_trailers(raw: RawFields, limits: Limits) -> Headers:
    """The fields of a HEADERS frame behind a body.

    Raises:
        BadMessage: they are malformed or too many.
    """
    fields = _split(raw, frozenset(), limits)[1].fields
    return Headers([field for field in fields if field[0] not in NOT_IN_TRAILERS])


def _split(raw: RawFields, allowed: frozenset[str], limits: Limits) -> tuple[dict[str, str], Headers]:
    pseudo: dict[str, str] = {}
    fields: list[Field] = []
    cookies: list[str] = []
    size = 0
    for raw_name, raw_value in raw:
        name = _KNOWN_NAMES.get(raw_name) or _known_name(raw_name)
        value = raw_value.decode("latin-1")
        size += len(name) + len(value) + _ENTRY_OVERHEAD
        if _NO_VALUE(value):
            _refuse(f"a value of {name} with characters that may not be there")
        if name[0] == ":":
            if name not in allowed or name in pseudo or fields or cookies:
                _refuse(f"{name} unknown, doubled or out of place")
            pseudo[name] = value
        elif name == "cookie":
            cookies.append(value)
        elif name in _OF_THE_CONNECTION or (name == "te" and value.lower() != "trailers"):
            _refuse(f"{name}, which is a field of HTTP/1's connections")
        else:
            fields.append((name, value))
    if len(fields) + bool(cookies) > limits.head_fields:  # however many a client has split its cookies into
        raise HeadTooLarge(f"more than {limits.head_fields} header fields")
    if size > limits.head_bytes:
        raise HeadTooLarge(f"a header list of more than {limits.head_bytes} bytes")
    if cookies:
        fields.append(("cookie", "; ".join([cookie for cookie in cookies if cookie])))  # RFC 9113 8.2.3
    return pseudo, Headers(fields)


def _known_name(raw: bytes) -> str:
    if _NAME(raw) is None:
        _refuse(f"a field name with characters that may not be there: {raw!r}")
    name = spelled(raw.decode("ascii"))
    if len(_KNOWN_NAMES) < _NAMES_KEPT and len(raw) < 64:
        _KNOWN_NAMES[raw] = name
    return name


def _refuse(reason: str) -> NoReturn:
    raise BadMessage(reason)


# Writing ------------------------------------------------------------------------


def write_request(request: HttpRequest) -> RawFields:
    """The fields of a request; an upgrade becomes RFC 8441's CONNECT.

    Raises:
        UnwritableMessage: some part of it holds what may not be there.
    """
    method = "CONNECT" if request.protocol else request.method
    pseudo = [(":method", method)]
    if request.method != "CONNECT":
        pseudo += [(":scheme", request.scheme), (":path", request.path)]
    pseudo.append((":authority", request.authority))
    if request.protocol:
        pseudo.append((":protocol", request.protocol))
    return _encode(pseudo, request.headers)


def write_response(response: HttpResponse) -> RawFields:
    """The fields of a response; the 101 of an upgrade becomes 200.

    Raises:
        UnwritableMessage: some part of it holds what may not be there.
    """
    status = 200 if response.status == 101 else response.status
    return _encode([(":status", str(status))], response.headers)


def write_trailers(trailers: Headers) -> RawFields:
    """The fields behind a body.

    Raises:
        UnwritableMessage: one holds what may not be there.
    """
    return _encode([], trailers)


def _encode(pseudo: Sequence[Field], headers: Headers) -> RawFields:
    raw: RawFields = []
    try:
        for name, value in (*pseudo, *headers.fields):
            if name in _WRITTEN_BY_US or (name == "te" and value != "trailers"):
                continue
            if _NO_VALUE(value):
                raise UnwritableMessage(f"a value of {name} with characters that may not be there")
            raw.append((name.encode("ascii"), value.encode("latin-1")))
    except UnicodeEncodeError as error:
        raise UnwritableMessage(f"a header field with {error.object[error.start]!r}, which is no byte") from None
    return raw
