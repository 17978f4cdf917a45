"""What a request is hashed by, so that one client goes to one endpoint (DestinationRule `consistentHash`) [pure]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from mesh_py.http.session import cookie

if TYPE_CHECKING:
    from mesh_py.http.messages import HttpRequest


@dataclass(frozen=True, slots=True)
class HashBy:
    """Exactly one of these is set."""

    header: str = ""
    cookie: str = ""
    query_parameter: str = ""
    source_ip: bool = False


def hash_key(request: HttpRequest, by: HashBy, source_ip: str) -> str | None:
    """The text to hash, None where the request has not what is asked for."""
    if by.header:
        name = by.header.lower()
        return request.authority if name in ("host", ":authority") else request.headers.joined(name)
    if by.cookie:
        return cookie(request, by.cookie)
    if by.query_parameter:
        _, _, query = request.path.partition("?")
        values = dict(reversed(parse_qsl(query, keep_blank_values=True, encoding="latin-1")))
        return values.get(by.query_parameter)
    return source_ip if by.source_ip else None
