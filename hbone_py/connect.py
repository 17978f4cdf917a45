"""CONNECT requests: what is asked, what must be refused, and the headers that travel with it [pure].

hbone-dataplane 1.4 has the wire form; RFC 9113 sections 8.2, 8.3 and 8.5 the rules. A request that breaks them ends
its own stream (`MalformedRequest`); a well-formed one that is no tunnel is answered with 400 (`BadConnect`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

from hbone_py.address import format_address
from hbone_py.errors import BadConnect, MalformedRequest

if TYPE_CHECKING:
    from hbone_py.header_blocks import HeaderList

IPAddress = IPv4Address | IPv6Address

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_AUTHORITY = re.compile(rb"[\x21-\x7e]+")
_STATUS = re.compile(rb"[1-9][0-9]{2}")
_HOST = re.compile(r"[A-Za-z0-9_*](?:[A-Za-z0-9_.\-]*[A-Za-z0-9_])?\.?")
_MOST_TOLD = 80
"""Of what a peer said, in an error's text."""
_FORBIDDEN = frozenset((b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade"))
_KNOWN = frozenset((b"baggage", b"forwarded", b"traceparent", b"x-forwarded-network", b"x-istio-source"))
_REQUEST_PSEUDO = frozenset((b":method", b":authority", b":scheme", b":path", b":protocol"))


@dataclass(frozen=True, slots=True)
class Authority:
    """What CONNECT names: a host and a port; `ip` when the host is an address."""

    host: str
    port: int
    ip: IPAddress | None

    def __str__(self) -> str:
        return format_address(self.host, self.port)


@dataclass(slots=True)
class ConnectRequest:
    """A CONNECT as received: its authority as text, and its regular headers in order."""

    authority: str
    headers: HeaderList
    content_length: int | None = None
    opening: bytes = field(default=b"", compare=False)
    """How its block begins, up to `forwarded`, where only that and a `traceparent` follow; else empty."""

    def get(self, name: bytes) -> bytes | None:
        """The first value of a header, or None."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    def all(self, name: bytes) -> list[bytes]:
        """Every value of a header, in order."""
        return [value for key, value in self.headers if key == name]


@lru_cache(maxsize=4096)
def parse_authority(text: str) -> Authority:
    """`ip:port`, `[ip6]:port` or `host:port`. Raises BadConnect for anything else (hbone-dataplane 1.4)."""
    host, colon, port_text = text.rpartition(":")
    if not colon or not port_text.isascii() or not port_text.isdigit() or not 0 < len(port_text) <= 5:
        raise BadConnect(f"no valid authority pseudo header: {text!r} has no port")
    port = int(port_text)
    if port > 65_535:
        raise BadConnect(f"no valid authority pseudo header: port {port} is above 65535")
    if host.startswith("[") and host.endswith("]"):
        return _ip_authority(host[1:-1], port, text, want=IPv6Address)
    if host.replace(".", "").isdigit():
        return _ip_authority(host, port, text, want=IPv4Address)
    if len(host) > 255 or not _HOST.fullmatch(host):
        raise BadConnect(f"no valid authority pseudo header: {text!r}")
    return Authority(host, port, None)


def _ip_authority(host: str, port: int, text: str, want: type[IPAddress]) -> Authority:
    try:
        ip = ip_address(host)
    except ValueError:
        ip = None
    if not isinstance(ip, want) or "%" in host:
        raise BadConnect(f"no valid authority pseudo header: {text!r}")
    return Authority(str(ip), port, ip)


def read_request(headers: HeaderList) -> ConnectRequest:
    """The CONNECT in a decoded header list.

    Raises MalformedRequest when the list breaks RFC 9113 8.2, 8.3 or 8.5, BadConnect when it is a proper request
    with another method.
    """
    pseudo: dict[bytes, bytes] = {}
    regular: HeaderList = []
    unusual: HeaderList = []  # what a tunnel's CONNECT does not ordinarily carry
    for header in headers:
        name = header[0]
        if name in _KNOWN:
            regular.append(header)
        elif name in _REQUEST_PSEUDO:
            if regular or name in pseudo:
                raise MalformedRequest(f"pseudo-header {name!r} comes late or twice")
            pseudo[name] = header[1]
        else:
            check_name(name, header[1])
            unusual.append(header)
            regular.append(header)
    _check_values(headers)
    if pseudo.get(b":method") != b"CONNECT":
        _check_other_method(pseudo, unusual)
    return _connect(pseudo, regular, unusual)


def continue_request(begun: ConnectRequest, client: bytes, trace: bytes) -> ConnectRequest | None:
    """The request that begins as `begun` and ends with these values of `forwarded` and `traceparent`; None where one of
    them is none, so that the whole must be looked at."""
    text = client + trace
    if b"\n" in text or b"\r" in text or b"\0" in text:
        return None
    if client != client.strip(b" \t") or trace != trace.strip(b" \t"):
        return None
    headers = [*begun.headers, (b"forwarded", client), (b"traceparent", trace)]
    return ConnectRequest(begun.authority, headers, begun.content_length, begun.opening)


def _check_values(headers: HeaderList) -> None:
    """Refuse values with bytes RFC 9113 section 8.2.1 forbids, or white space around them."""
    values = [value for _, value in headers]
    text = b"".join(values)  # one search for each byte, not one for each value
    if b"\n" in text or b"\r" in text or b"\0" in text or values != [value.strip(b" \t") for value in values]:
        raise MalformedRequest("a header value with forbidden bytes, or white space around it")


def check_name(name: bytes, value: bytes) -> None:
    """Refuse what is no regular header's name in HTTP/2 (RFC 9113 sections 8.2.1, 8.2.2 and 8.3)."""
    if not _NAME.fullmatch(name):
        raise MalformedRequest(f"header name {name!r}")
    if name in _FORBIDDEN or (name == b"te" and value != b"trailers"):
        raise MalformedRequest(f"header {name!r} belongs to a connection")


def check_trailers(headers: HeaderList) -> None:
    """Trailers hold regular headers only (RFC 9113 section 8.1). Raises MalformedRequest."""
    for name, value in headers:
        if name[:1] == b":":
            raise MalformedRequest("pseudo-header in trailers")
        check_name(name, value)
    _check_values(headers)


def read_status(headers: HeaderList) -> int:
    """The status of a response: `:status` alone and first, then regular headers (RFC 9113 section 8.3.2).

    Raises MalformedRequest for anything else.
    """
    if not headers or headers[0][0] != b":status" or not _STATUS.fullmatch(headers[0][1]):
        raise MalformedRequest("a response begins with :status")
    if len(headers) > 1:
        check_trailers(headers[1:])
    return int(headers[0][1])


def _connect(pseudo: dict[bytes, bytes], regular: HeaderList, unusual: HeaderList) -> ConnectRequest:
    authority = pseudo.get(b":authority", b"")
    if len(pseudo) != 2 or not authority:
        raise MalformedRequest("CONNECT takes :method and :authority and no other pseudo-header")
    if not _AUTHORITY.fullmatch(authority):
        raise MalformedRequest(f":authority {authority[:_MOST_TOLD]!r} is no visible text")
    request = ConnectRequest(authority.decode("ascii"), regular)
    for name, value in unusual:
        if name == b"host" and value != authority:
            raise MalformedRequest("host and :authority differ")
        if name == b"content-length":
            request.content_length = _content_length(value, request.content_length)
    return request


def _content_length(value: bytes, earlier: int | None) -> int:
    if not value.isdigit() or len(value) > 18 or earlier not in (None, int(value)):
        raise MalformedRequest("content-length is not one number")
    return int(value)


def _check_other_method(pseudo: dict[bytes, bytes], unusual: HeaderList) -> None:
    """Always raises: MalformedRequest for a request RFC 9113 8.3.1 forbids, BadConnect for a proper one."""
    method = pseudo.get(b":method", b"")
    if not re.fullmatch(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+", method):
        raise MalformedRequest("no :method")
    if not pseudo.get(b":path") or not pseudo.get(b":scheme") or b":protocol" in pseudo:
        raise MalformedRequest("a request needs :scheme and :path")
    has_host, length = bool(pseudo.get(b":authority")), None
    for name, value in unusual:
        has_host |= name == b"host"
        if name == b"content-length":
            length = _content_length(value, length)
    if not has_host and pseudo[b":scheme"] in (b"http", b"https"):
        raise MalformedRequest("neither :authority nor host")
    raise BadConnect(f"expected method CONNECT, got {method.decode('ascii')}")


# The headers that travel with a CONNECT ---------------------------------------------------------------

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


def forwarded(source: str, service: str | None = None) -> str:
    """RFC 7239 in ztunnel's form: the application's `ip:port` quoted, the service host not."""
    return f'for="{source}"' if service is None else f'for="{source}";host={service}'


def parse_forwarded_host(value: bytes | None) -> str | None:
    """The `host=` part of a `forwarded` value, unquoted; None if there is none (hbone-dataplane 1.4)."""
    if not value or not value.isascii():
        return None
    for part in value.decode("ascii").split(";"):
        part = part.strip()
        if part.startswith("host="):
            host = part[5:].strip().removeprefix('"').removesuffix('"')
            return host or None
    return None


def traceparent(trace_id: int, span_id: int) -> str:
    """W3C trace context, version 0, flags 00, of two random numbers of 128 and 64 bits."""
    return f"00-{trace_id:032x}-{span_id:016x}-00"


def parse_traceparent(value: bytes | None) -> str | None:
    """The trace id of a well-formed `traceparent`, or None."""
    match = _TRACEPARENT.fullmatch(value.decode("latin-1")) if value and len(value) == 55 else None
    return match.group(1) if match else None
