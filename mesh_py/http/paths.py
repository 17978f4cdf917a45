"""Paths made one of many spellings, before anybody compares them [pure].

A policy for `/admin` is worth nothing if `/x/../admin` or `//admin` goes by it. Istio's levels
(`meshConfig.pathNormalization`); what is normalised is also what goes upstream, so that nobody behind us reads it in
another way.
"""

from __future__ import annotations

import re
from enum import Enum

from mesh_py.http.errors import BadMessage


class Normalization(Enum):
    """How much is made equal. Istio's default is BASE."""

    NONE = "NONE"
    BASE = "BASE"
    """Dot segments resolved, backslashes turned, needless escapes decoded (RFC 3986 6.2.2)."""
    MERGE_SLASHES = "MERGE_SLASHES"
    """Also `//` made `/`."""
    DECODE_AND_MERGE_SLASHES = "DECODE_AND_MERGE_SLASHES"
    """Also `%2F` and `%5C` decoded before."""


_PLAIN = re.compile(r"/[A-Za-z0-9\-_~!$&'()*+,;=:@./]*").fullmatch
_ESCAPE = re.compile("%([0-9A-Fa-f]{2})")
_SLASHES = re.compile("//+")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def without_query(path: str) -> str:
    """The path alone."""
    end = path.find("?")
    return path if end < 0 else path[:end]


def normalize(target: str, level: Normalization = Normalization.BASE) -> str:
    """The path and query in one spelling, which is Envoy's; the query stays as it is.

    Raises:
        BadMessage: the path has an escaped NUL.
    """
    path, mark, query = target.partition("?")
    if level is Normalization.NONE or path in ("*", ""):
        return target
    if _PLAIN(path) and "/." not in path and (level is Normalization.BASE or "//" not in path):
        return target
    if "%00" in path:
        raise BadMessage(f"a path with an escaped NUL: {path!r}")
    if level is Normalization.DECODE_AND_MERGE_SLASHES:
        path = re.sub("%2[Ff]", "/", re.sub("%5[Cc]", "\\\\", path))
    path = _without_dots(_ESCAPE.sub(_decoded, path).replace("\\", "/"))
    if level is not Normalization.BASE:
        path = _SLASHES.sub("/", path)  # last: `/a//../b` is `/a/b`
    return path + mark + query


def _decoded(escape: re.Match[str]) -> str:
    character = chr(int(escape[1], 16))
    return character if character in _UNRESERVED else escape[0]


def _without_dots(path: str) -> str:
    """RFC 3986 5.2.4: what climbs above the root stays there."""
    if "/." not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)
