"""Sockets in other network namespaces (redirection d.5): whoever enters one makes its sockets there.

A socket stays in the namespace it was made in, whatever its maker does later, and those it accepts are there too. Only
the calling thread enters, so nothing may be awaited inside.
"""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path
from typing import NamedTuple

CLONE_NEWNET = 0x40000000
OWN = Path("/proc/self/ns/net")


class NamespaceId(NamedTuple):
    """What tells one namespace from another, whatever descriptor or path it is known by."""

    device: int
    inode: int


class NetworkNamespace:
    """A network namespace held open by a descriptor; `with` it, sockets are made inside.

    While the descriptor is open the namespace lives, also without a process in it.
    """

    __slots__ = ("_fd", "id")

    def __init__(self, fd: int) -> None:
        """Take over a descriptor. Raises OSError if it is none."""
        found = os.fstat(fd)
        self.id = NamespaceId(found.st_dev, found.st_ino)
        self._fd = fd

    @staticmethod
    def open(path: Path = OWN) -> NetworkNamespace:
        """The one at a path such as /run/netns/NAME; without a path ours. Raises OSError."""
        return NetworkNamespace(os.open(path, os.O_RDONLY | os.O_CLOEXEC))

    def close(self) -> None:
        """Let go of it; sockets that were made in it stay. Safe to call twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def fileno(self) -> int:
        """The descriptor, which stays ours; -1 once closed."""
        return self._fd

    def __enter__(self) -> None:
        """Raises OSError: no right, no such namespace, or closed."""
        _home()  # opened before we are elsewhere
        _enter(self._fd)

    def __exit__(self, *_: object) -> None:
        try:
            _enter(_home())
        except OSError as error:
            # Everything made from now on would be in a pod: nothing this process did could be trusted.
            raise SystemExit(f"cannot return from a pod's network namespace: {error.strerror}") from error


@functools.cache
def _home() -> int:
    """The namespace this process is in."""
    return os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _enter(fd: int) -> None:
    """setns(2), which Python has from 3.12 on."""
    if _libc().setns(fd, CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
