"""On-demand discovery: a connection waits until what it needs was asked for (hbone-controlplane 2.7)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mesh_py.xds.on_demand import OnDemand

ROUNDS = 4
"""A destination names its waypoint, a waypoint's service its endpoints, an endpoint its gateway."""


def is_asking_needed(names: OnDemand, missing: Callable[[], Sequence[str]]) -> bool:
    """Whether any of the missing names is worth asking for."""
    return any(not names.is_known_absent(name) for name in missing())


def ask_beside(names: OnDemand, missing: Callable[[], Sequence[str]]) -> None:
    """Ask for what is missing without waiting: it is of use next time."""
    if is_asking_needed(names, missing):
        names.find(missing(), _nothing)


def _nothing() -> None:
    """Nobody waits."""


def ask_for(
    names: OnDemand, missing: Callable[[], Sequence[str]], go_on: Callable[[], None], rounds: int = ROUNDS
) -> None:
    """Ask for what is missing, then for what that refers to; `go_on` when nothing is left that asking would bring.

    Every round has the deadline of `OnDemand`. What nobody has is treated as unknown from then on.
    """
    if not rounds or not is_asking_needed(names, missing):
        go_on()
    else:
        names.find(missing(), lambda: ask_for(names, missing, go_on, rounds - 1))
