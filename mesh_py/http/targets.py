"""What may stand as a host and as a path, in either version [pure]."""

from __future__ import annotations

import re

_HOST = re.compile(r"[A-Za-z0-9\-._~%!$&'()*+;=:\[\]]*").fullmatch
_PATH = re.compile(r"/[!-\"$-~]*").fullmatch


def is_host(text: str) -> bool:
    """Whether the text has only characters of a host and port (RFC 3986 3.2.2); empty counts. No user name, no list."""
    return _HOST(text) is not None


def is_path(text: str) -> bool:
    """Whether the text is a path and query: visible characters, no fragment (RFC 9112 3.2.1)."""
    return _PATH(text) is not None
