"""Is a port free to listen on, and if not, who has it? Linux tells in /proc; of others' processes only root learns."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hbone_py.aio.tcp import family_of, show
from mesh_py.process.reason import reason_of
from mesh_py.settings.source import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LISTEN = "0A"
_ADVICE = {
    errno.EADDRNOTAVAIL: "this machine does not have the address",
    errno.EAFNOSUPPORT: "this machine has no IPv6: set IPV6_ENABLED=false",
    errno.EACCES: "only root may listen on so low a port",
}


def refuse_taken(addresses: Iterable[tuple[str, str, int]]) -> None:
    """Find a live listener on (name, host, port) before anything is started. Raises SettingsError naming who it is."""
    for _, host, port in addresses:
        if (problem := why_not(host, port)) is not None:
            raise SettingsError(f"{problem}; or choose another address with --bind")


def why_not(host: str, port: int) -> str | None:
    """None if a listener can be had, else one line: what is in the way, and what to do.

    A live listener is found, also one that would share its port; what a killed process left behind is not.
    """
    with socket.socket(family_of(host), socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            if probe.family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
            probe.bind((host, port))
        except OSError as error:
            return f"cannot listen on {show((host, port))}: {_reason(error, host, port)}"
    return None


def _reason(error: OSError, host: str, port: int) -> str:
    what = reason_of(error)
    if error.errno in _ADVICE:
        return f"{what}: {_ADVICE[error.errno]}"
    holder = next(iter(holders(host, port)), None)
    if holder is not None:
        return f"{what}: {holder} listens there"
    return f"{what}: look with `ss -ltnp 'sport = :{port}'`"


def holders(host: str, port: int) -> Iterator[str]:
    """`pid 123 (python -m http.server)` for each process that we may see listening where `host:port` would collide."""
    inodes = set(_listening_inodes(host, port))
    for folder in Path("/proc").glob("[0-9]*") if inodes else ():
        try:
            if any(_link(fd) in inodes for fd in (folder / "fd").iterdir()):
                yield f"pid {folder.name} ({_command(folder)})"
        except OSError:
            continue  # it has ended, or is not ours to look into


def _link(fd: Path) -> str:
    try:
        return os.readlink(fd)
    except OSError:  # closed meanwhile
        return ""


def _command(folder: Path) -> str:
    words = (folder / "cmdline").read_bytes().split(b"\0")
    return b" ".join(words).decode(errors="replace").strip()[:80]


def _listening_inodes(host: str, port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        try:
            lines = Path("/proc/net", table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            address, _, its_port = fields[1].partition(":")
            if fields[3] == _LISTEN and int(its_port, 16) == port and _collides(_decoded(address), host):
                yield f"socket:[{fields[9]}]"


def _decoded(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """/proc/net/tcp writes addresses as 32-bit words in the machine's own byte order."""
    words = [bytes.fromhex(text[start : start + 8]) for start in range(0, len(text), 8)]
    return ipaddress.ip_address(b"".join(word[::-1] if sys.byteorder == "little" else word for word in words))


def _collides(theirs: ipaddress.IPv4Address | ipaddress.IPv6Address, host: str) -> bool:
    mapped = getattr(theirs, "ipv4_mapped", None)
    ours = ipaddress.ip_address(host)
    return ours in (theirs, mapped) or ours.is_unspecified or theirs.is_unspecified
