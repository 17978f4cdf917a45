"""What this process holds memory for, by where it was asked for.

tracemalloc of the standard library notes it, from the moment it is switched on: everything then takes about twice as
long, so that is for somebody who looks for something. Memory of C libraries, such as OpenSSL's, is not among it, and
compiled modules count for the function that called them.
"""

from __future__ import annotations

import tracemalloc

from mesh_py.admin.pprof import encode_pprof

HEAP = (("inuse_objects", "count"), ("inuse_space", "bytes"))
"""What the two values of a heap profile mean."""

_FRAMES = 16
"""How deep a stack is noted."""


class HeapError(Exception):
    """There is no profile; the text says why, and what to do."""


def note_allocations(*, wanted: bool) -> None:
    """Begin, or forget all that was noted."""
    if wanted and not tracemalloc.is_tracing():
        tracemalloc.start(_FRAMES)
    elif not wanted:
        tracemalloc.stop()


def allocations_are_noted() -> bool:
    """Whether `heap_profile` would have something to tell."""
    return tracemalloc.is_tracing()


def heap_profile() -> bytes:
    """What was asked for since then and is held now, in pprof's form. Takes a while. Raises HeapError."""
    if not tracemalloc.is_tracing():
        raise HeapError("allocations are not noted: GET /debug/pprof/heap/profiling?activate=true, and wait")
    found: dict[tuple[str, ...], tuple[int, int]] = {}
    for one in tracemalloc.take_snapshot().statistics("traceback"):
        stack = tuple(f"{frame.filename}:{frame.lineno}" for frame in one.traceback)
        found[stack] = (one.count, one.size)
    return encode_pprof(found, HEAP)
