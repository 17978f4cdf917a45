"""Texts of flags, environment and files as values [pure].

Each reader takes the text and raises ValueError with what is wrong, worded so that the quoted text comes before it:
`'5x'` `is not a duration, such as 5m, 180s or 500ms`.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T_co = TypeVar("T_co", covariant=True)

_DURATION_PART = re.compile(r"\s*(\d+(?:\.\d+)?)(us|ms|s|m|h|d)", re.ASCII)
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE = re.compile(r"(\d+)\s*(KiB|MiB|GiB|)", re.IGNORECASE | re.ASCII)
_BYTES = {"": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}


@dataclass(frozen=True, slots=True)
class WorkloadInfo:
    """The one workload that a proxy serves (`PROXY_WORKLOAD_INFO`)."""

    namespace: str
    name: str
    service_account: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}/{self.service_account}"


@dataclass(frozen=True, slots=True)
class WorkerCount:
    """How many processes share the work: a number (0: one a core), or a share of the cores in percent."""

    number: int
    is_share: bool = False

    def on(self, cores: int) -> int:
        """The number on a machine with that many cores; at least one."""
        share = cores * self.number // 100 if self.is_share else self.number or cores
        return max(1, share)

    def __str__(self) -> str:
        return f"{self.number}%" if self.is_share else str(self.number)


@dataclass(frozen=True, slots=True)
class Kind(Generic[T_co]):
    """A way to read a text, and what help pages call it."""

    read: Callable[[str], T_co]
    metavar: str
    write: Callable[[Any], str] = str
    """The value as text that `read` takes."""


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("is neither true nor false")
    return text == "true"


def _maybe(text: str) -> bool | None:
    if text not in ("true", "false", "auto"):
        raise ValueError("is none of true, false, auto")
    return None if text == "auto" else text == "true"


def duration(text: str) -> float:
    """Seconds: `5m`, `180s`, `1h30m`, `500ms`; a bare number is seconds."""
    if text.isascii() and text.isdigit():
        return float(text)
    total, position = 0.0, 0
    while match := _DURATION_PART.match(text, position):
        total += float(match[1]) * _SECONDS[match[2]]
        position = match.end()
    if not text or position != len(text):
        raise ValueError("is not a duration, such as 5m, 180s or 500ms")
    return total


def _positive(text: str) -> float:
    seconds = duration(text)
    if seconds <= 0:
        raise ValueError("is no time at all: a duration above 0 is needed")
    return seconds


def _whole_seconds(text: str) -> int:
    seconds = duration(text)
    if seconds < 1 or seconds != int(seconds) or seconds > 32_767:  # tcp(7): the kernel's own bound
        raise ValueError("is not a duration of whole seconds from 1s to 32767s")
    return int(seconds)


def whole(low: int, high: int) -> Callable[[str], int]:
    """A reader of whole numbers from `low` to `high`."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit()) or not low <= int(text) <= high:
            raise ValueError(f"is not a whole number from {low} to {high}")
        return int(text)

    return read


def size(text: str) -> int:
    """Bytes: `1048576`, `512KiB`, `64MiB`, `1GiB`."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError("is not a size, such as 1048576, 512KiB or 64MiB")
    return int(match[1]) * _BYTES[match[2].lower()]


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        raise ValueError("is not an IP address") from None


def _local_address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    try:
        return host if host == "localhost" else _address(host), whole(0, 65_535)(port)
    except ValueError:
        raise ValueError("is not localhost:port or ip:port") from None


def _name_servers(text: str) -> tuple[tuple[str, int], ...]:
    return tuple(_name_server(part) for part in filter(None, text.replace(",", " ").split()))


def _name_server(text: str) -> tuple[str, int]:
    try:
        return _address(text), 53
    except ValueError:
        host, _, port = text.rpartition(":")
    try:
        return _address(host), whole(1, 65_535)(port)
    except ValueError:
        raise ValueError("is not a list of addresses, such as 10.0.0.10 or 127.0.0.1:5353,[fd00::10]:53") from None


def write_address(address: tuple[str, int]) -> str:
    """`host:port`, brackets around IPv6; `hbone_py.address` would load all of that package for a `--help`."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _text(text: str) -> str:
    return text


def _name(text: str) -> str:
    if not text or not text.isprintable() or any(character in text for character in " /"):
        raise ValueError("is not a name: no spaces, no slashes, not empty")
    return text


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError("is not a path")
    return Path(text)


def choice(*words: str) -> Callable[[str], str]:
    """A reader of one of these words."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"is none of {', '.join(filter(None, words))}")
        return text

    return read


def _workload_info(text: str) -> WorkloadInfo:
    parts = text.split("/")
    if len(parts) != 3 or not all(parts):
        raise ValueError("is not namespace/name/service-account")
    return WorkloadInfo(*parts)


def _workload_name(text: str) -> str:
    if len(parts := text.split("/")) != 2 or not all(parts):
        raise ValueError("is not namespace/name")
    return text


def _worker_count(text: str) -> WorkerCount:
    if text.endswith("%"):
        return WorkerCount(whole(1, 100)(text[:-1]), is_share=True)
    return WorkerCount(whole(0, 256)(text))


def write_boolean(value: bool | None) -> str:
    """true, false, or auto."""
    return "auto" if value is None else str(value).lower()


def write_duration(seconds: float) -> str:
    """In the largest unit that leaves a whole number: `5m`, `90s`, `250ms`."""
    for unit in ("d", "h", "m", "s", "ms"):
        count = seconds / _SECONDS[unit]
        if count >= 1 and count == int(count):
            return f"{int(count)}{unit}"
    return f"{round(seconds / _SECONDS['us'])}us"


def write_size(count: int) -> str:
    """In the largest unit that leaves a whole number: `16MiB`, `1000`."""
    for unit in ("GiB", "MiB", "KiB"):
        if count and count % _BYTES[unit.lower()] == 0:
            return f"{count // _BYTES[unit.lower()]}{unit}"
    return str(count)


BOOLEAN = Kind(_boolean, "true|false", write_boolean)
MAYBE = Kind(_maybe, "true|false|auto", write_boolean)
POSITIVE_TIME = Kind(_positive, "TIME", write_duration)
WHOLE_SECONDS = Kind(_whole_seconds, "TIME", write_duration)
SIZE = Kind(size, "BYTES", write_size)
PORT = Kind(whole(0, 65_535), "PORT")
ADDRESS = Kind(_address, "IP")
LOCAL_ADDRESS = Kind(_local_address, "IP:PORT", write_address)
NAME_SERVERS = Kind(_name_servers, "IP[:PORT],...", lambda found: ",".join(map(write_address, found)))
TEXT = Kind(_text, "TEXT")
NAME = Kind(_name, "NAME")
PATH = Kind(_path, "PATH")
WORKLOAD_INFO = Kind(_workload_info, "NS/NAME/SA")
WORKLOAD_NAME = Kind(_workload_name, "NS/NAME")
WORKER_COUNT = Kind(_worker_count, "N|N%")
