"""Compressed bodies: what the client takes, and the best of that (RFC 9110 12.5.3) [pure].

The four that ztunnel offers. The libraries for zstd and br are loaded when somebody first serves compressed bodies.
"""

from __future__ import annotations

import gzip
import importlib
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Compress = Callable[[bytes], bytes]


def available_encodings() -> dict[str, Compress]:
    """The content codings we have, best first. Each is quick rather than thorough: a scrape must not cost much."""
    zstd, brotli = _zstd(), importlib.import_module("brotli")
    return {
        "zstd": zstd.compress,
        "br": lambda body: brotli.compress(body, quality=4),
        "gzip": lambda body: gzip.compress(body, compresslevel=4, mtime=0),
        "deflate": lambda body: zlib.compress(body, 4),
    }


def _zstd() -> Any:
    """The standard library's (from Python 3.14 on), else the package's: their `compress` is the same."""
    try:
        return importlib.import_module("compression.zstd")
    except ImportError:
        return importlib.import_module("zstandard")


def choose_encoding(accepted: str, encodings: Mapping[str, Compress]) -> str | None:
    """The coding to use for an Accept-Encoding header, or None to send the body as it is.

    The client's weights decide, the order of `encodings` where they are equal. A header that cannot be read counts
    as absent.
    """
    weights = _weights(accepted)
    best, best_weight = None, weights.get("identity", 0.0)
    for name in encodings:
        weight = weights.get(name, weights.get("*", 0.0))
        if weight > best_weight:
            best, best_weight = name, weight
    return best


def _weights(header: str) -> dict[str, float]:
    weights = {}
    for member in header.split(","):
        name, _, parameters = member.strip().lower().partition(";")
        key, _, text = parameters.strip().partition("=")
        try:
            weights[name.strip()] = float(text) if key.strip() == "q" else 1.0
        except ValueError:
            return {}
    return weights
