"""Clients kept with one endpoint by a cookie or a header (Gateway API `sessionPersistence`) [pure].

The value is the endpoint's address in base64: no state of ours, and every proxy of the mesh reads it. An address that
is no endpoint of the backend is passed over.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mesh_py.http.messages import HttpRequest, HttpResponse
    from mesh_py.manifests.routes import SessionPersistence

DEFAULT_NAME = "hbone-session"


def wanted_endpoint(request: HttpRequest, session: SessionPersistence) -> str | None:
    """The `ip:port` that the client was sent to before, None if it says nothing sensible."""
    name = session.session_name or DEFAULT_NAME
    value = request.headers.get(name.lower()) if session.type == "Header" else cookie(request, name)
    if not value:
        return None
    try:
        return base64.b64decode(value, validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return None


def remember_endpoint(response: HttpResponse, session: SessionPersistence, endpoint: str, path: str = "/") -> None:
    """Tell the client, unless it came with that very endpoint: then the caller need not."""
    name = session.session_name or DEFAULT_NAME
    value = base64.b64encode(endpoint.encode("ascii")).decode("ascii")
    if session.type == "Header":
        response.headers.set(name.lower(), value)
        return
    text = f"{name}={value}; Path={path}; HttpOnly"
    if session.cookie_lifetime == "Permanent" and session.absolute_timeout:
        text += f"; Max-Age={int(session.absolute_timeout)}"
    response.headers.add("set-cookie", text)


def cookie(request: HttpRequest, name: str) -> str | None:
    """The value of a cookie, without quotes."""
    for header in request.headers.get_all("cookie"):
        for pair in header.split(";"):
            key, _, value = pair.strip().partition("=")
            if key == name:
                return value.strip('"')
    return None
