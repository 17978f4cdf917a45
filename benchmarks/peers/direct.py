"""No proxy: the application straight to the application. What the machine can do, beside what proxies do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.peers.base import Running

if TYPE_CHECKING:
    from benchmarks.peers.base import Surroundings


class Direct:
    """Starts nothing; the measurement leaves the capture out."""

    def start(self, given: Surroundings) -> Running:
        """Ready at once."""
        del given
        return Running({}, "-", "-")
