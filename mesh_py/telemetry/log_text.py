"""Values and times as log lines show them (hbone-dataplane 7.1) [pure]."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_PLAIN = re.compile(r"[ !#-\[\]-~]*")
_BARE = re.compile(r"[!-~]+")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}


class Bare(str):
    """Text that a plain line shows without quotes: an address, a number with a unit of its own."""

    __slots__ = ()


def quoted(text: str) -> str:
    """The text in double quotes, escaped as Rust's debug form does: no line can be forged with it."""
    if _PLAIN.fullmatch(text):
        return f'"{text}"'
    return f'"{"".join(map(_escaped, text))}"'


def bare(text: str) -> str:
    """The text itself if nothing in it could be taken for another field, else quoted."""
    return text if _BARE.fullmatch(text) else quoted(text)


def unbroken(text: str) -> str:
    """The text without quotes, what cannot be printed escaped: it stays on its line."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    if escape := _ESCAPES.get(character):
        return escape
    return character if character.isprintable() else f"\\u{{{ord(character):x}}}"


class Timestamps:
    """RFC 3339 UTC with microseconds. Lines of one second share the work."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def format(self, now: float) -> str:
        """`now` is seconds since the epoch."""
        second, microseconds = divmod(int(now * 1_000_000), 1_000_000)
        if second != self._second:
            self._second = second
            self._text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._text}.{microseconds:06d}Z"
