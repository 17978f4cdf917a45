"""What a request is hashed by, so that one client goes to one endpoint (DestinationRule `consistentHash`) [pure]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

from mesh_py.http.session import cookie

if TYPE_CHECKING:
    from collections.abc import Callable

    from mesh_py.http.messages import HttpRequest


@dataclass(frozen=True, slots=True)
class HashBy:
    """Exactly one of the first four is set."""

    header: str = ""
    cookie: str = ""
    query_parameter: str = ""
    source_ip: bool = False
    cookie_ttl: float | None = None
    """Seconds that the cookie lives which a client gets that has none, 0: its session; None: it gets none."""
    cookie_path: str = ""


class HashKey(NamedTuple):
    """The text to hash, None where the request has not what is asked for."""

    text: str | None = None
    set_cookie: str = ""
    """What the client is told, so that it comes with the same next time."""


NO_KEY = HashKey()


def key_of(request: HttpRequest, by: HashBy, source_ip: str, random: Callable[[], float]) -> HashKey:
    """What a request is hashed by; a client without its cookie is given one. `random`: from 0 to 1."""
    found = hash_key(request, by, source_ip)
    if found is not None or not by.cookie or by.cookie_ttl is None:
        return HashKey(found)
    value = f"{int(random() * 2**53):014x}"
    return HashKey(value, _set_cookie(by, by.cookie_ttl, value))


def _set_cookie(by: HashBy, ttl: float, value: str) -> str:
    lasts = f"; Max-Age={int(ttl)}" if ttl else ""
    path = f"; Path={by.cookie_path}" if by.cookie_path else ""
    return f'{by.cookie}="{value}"{lasts}{path}; HttpOnly'


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
