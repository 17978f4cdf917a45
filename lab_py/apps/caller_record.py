"""Who called the application: the witness that a test asks, because no proxy can write here."""

from __future__ import annotations

import collections
import datetime
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

RING = 10_000
"""How many calls are kept; the oldest goes first."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request as the application saw it.

    ``peer`` and ``local`` are the two ends of the TCP connection ("ip:port"), ``path`` includes the
    query, ``time`` is UTC in RFC 3339 form. A header that came twice has its values joined by a comma.
    """

    time: str
    peer: str
    local: str
    method: str
    path: str
    headers: dict[str, str]

    def mentions(self, token: str) -> bool:
        """Whether the token travelled in the path, the query or a header."""
        return token in self.path or any(token in value for value in self.headers.values())


class CallerRecord:
    """The last calls, in memory and, if a file is named, as one JSON object a line."""

    def __init__(self, file: Path | None = None) -> None:
        """:raises OSError: the file cannot be appended to."""
        self._calls: collections.deque[Call] = collections.deque(maxlen=RING)
        # Line-buffered: a reader finds a call in the file as soon as the caller has its answer.
        self._file = file.open("a", buffering=1, encoding="utf-8") if file else None

    def add(self, call: Call) -> None:
        """Keep one call."""
        self._calls.append(call)
        if self._file:
            self._file.write(json.dumps(asdict(call)) + "\n")

    def calls(self, token: str = "") -> list[Call]:
        """The calls that mention a token, oldest first; without a token all of them."""
        return [call for call in self._calls if call.mentions(token)]

    def close(self) -> None:
        """Close the file; the calls in memory stay."""
        if self._file:
            self._file.close()


def timestamp() -> str:
    """The time now, UTC, to the microsecond."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers as a plain mapping, in the order they came; doubled ones joined by a comma."""
    merged: dict[str, str] = {}
    first_spelling: dict[str, str] = {}
    for name, value in headers:
        key = first_spelling.setdefault(name.lower(), name)
        merged[key] = f"{merged[key]},{value}" if key in merged else value
    return merged
