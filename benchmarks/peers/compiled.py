"""Ours again, with the hot modules compiled: the same proxies, the same settings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from benchmarks.plan import Code

if TYPE_CHECKING:
    from benchmarks.peers.base import Peer, Running, Surroundings


class Compiled:
    """A peer of ours that runs in the compiled form."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def start(self, given: Surroundings) -> Running:
        """Starts it as ever."""
        running = self._peer.start(replace(given, code=Code.COMPILED))
        return replace(running, version=f"{running.version}, compiled")
