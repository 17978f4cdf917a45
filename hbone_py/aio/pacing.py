"""Connections that never leave this machine are not paced.

Where a machine's congestion control is BBR, the kernel times each 64 KiB of every connection, to find out what the
network takes. Between an application and its proxy there is no network, and all that costs a third of the kernel's
work for bulk and a fifth of a lone message's. Such a connection takes Reno instead: every kernel has it, everybody may
choose it, and it does nothing while nothing is lost. Connections to and from other machines stay as the machine is set
up, and where that is Reno or CUBIC, which do not pace either, nothing is done at all.

It has to be said before a connection is up: BBR's timer, once started, stays.
"""

from __future__ import annotations

import functools
import socket

RENO = b"reno"
UNPACED = frozenset({RENO, b"cubic"})
_LONGEST_NAME = 16


def spare_pacing(sock: socket.socket) -> bytes:
    """Take Reno for a socket that connects or listens next; what it had instead, b"" if nothing was to be done.

    What a listener accepts from then on has Reno too.
    """
    choice = congestion_control(sock)
    if choice in UNPACED:
        return b""
    pace(sock, RENO)
    return choice


def pace(sock: socket.socket, choice: bytes) -> None:
    """Let `choice` pace it; Reno, which does not, or for who comes from another machine after all what `spare_pacing`
    has replaced."""
    try:  # noqa: SIM105  # once for each tunnel: a context manager is three calls more
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, choice)
    except OSError:  # the client is gone, or the kernel is not Linux
        pass


def congestion_control(sock: socket.socket) -> bytes:
    """Its name, as the kernel has it; Reno where the kernel does not tell."""
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, _LONGEST_NAME).rstrip(b"\0")
    except OSError:
        return RENO


@functools.cache
def is_paced_here() -> bool:
    """Whether new connections of this machine are paced; looked at once, so that a connection costs no question."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        return congestion_control(probe) not in UNPACED
