"""The arenas of a run: started when first needed, kept, and started anew when one has broken."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Self

from benchmarks.arena import Arena
from benchmarks.contestants import DIRECT, peer_of
from benchmarks.world import Topology

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    from benchmarks.plan import Contestant
    from benchmarks.world import Capture

_UNPACED = "reno"
"""The congestion control that every kernel has. BBR times even loopback: no limit of the machine, since it can be
avoided, as our proxies do for their own connections."""


class Arenas(contextlib.AbstractContextManager["Arenas"]):
    """Entered, nothing runs yet; left, everything has ended."""

    def __init__(
        self,
        certificates: Path,
        folder: Path,
        topology: Topology,
        capture: Capture,
        started: Callable[[Arena], None],
        *,
        congestion: str = "",
    ) -> None:
        """`started` is told of every arena that came up; `congestion` as in `open_world`."""
        self._certificates, self._folder = certificates, folder
        self._topology, self._capture, self._congestion = topology, capture, congestion
        self._started = started
        self._kept: dict[Contestant, Arena] = {}
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._kept:
            self._kept.popitem()[1].__exit__(None, None, None)

    def of(self, contestant: Contestant) -> Arena:
        """The contestant's arena. Raises BenchmarkError when it cannot be started."""
        arena = self._kept.get(contestant)
        if arena is not None and not arena.has_ended:
            return arena
        self.drop(contestant)
        arena = self._make(contestant).__enter__()
        self._kept[contestant] = arena
        self._started(arena)
        return arena

    @contextlib.contextmanager
    def fresh(self, contestant: Contestant) -> Iterator[Arena]:
        """An arena for one measurement."""
        with self._make(contestant) as arena:
            yield arena

    def drop(self, contestant: Contestant) -> None:
        """Ends the contestant's arena, so that the next to ask gets a new one."""
        arena = self._kept.pop(contestant, None)
        if arena is not None:
            arena.__exit__(None, None, None)

    def _make(self, contestant: Contestant) -> Arena:
        self._count += 1
        folder = self._folder / str(self._count)
        topology = Topology.VETH if contestant.stage.apart else self._topology
        peer = peer_of(contestant)
        congestion = congestion_for(contestant, self._congestion)
        return Arena(contestant, peer, self._certificates, folder, topology, self._capture, congestion)


def congestion_for(contestant: Contestant, chosen: str) -> str:
    """What was chosen; else the machine's, but nothing that paces loopback where the machine's limit is asked for."""
    return chosen or (_UNPACED if contestant.peer == DIRECT else "")
