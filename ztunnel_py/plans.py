"""Decisions remembered: what was decided for one kind of connection holds until the mesh changes.

A decision is a pure function of the mesh's state and of the connection's ends. Most connections repeat an earlier one
in all of these, so the common path is one look into a dict. What was decided by chance is decided anew each time.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

    from mesh_py.discovery.state import MeshState

Plan = TypeVar("Plan")

KEPT = 65_536
"""Plans remembered at most: peers choose some parts of the keys."""


class Plans(Generic[Plan]):
    """Plans by key, all forgotten when the mesh changes."""

    __slots__ = ("_by_key", "_kept", "_state", "_version")

    def __init__(self, state: MeshState, *, kept: int = KEPT) -> None:
        self._state = state
        self._kept = kept
        self._version = state.version
        self._by_key: dict[Hashable, Plan] = {}

    def get(self, key: Hashable) -> Plan | None:
        """What was decided for `key`, if nothing has changed since."""
        if self._version != self._state.version:
            self._by_key.clear()
            self._version = self._state.version
            return None
        return self._by_key.get(key)

    def put(self, key: Hashable, plan: Plan) -> None:
        """Remember a decision that chance had no part in."""
        if len(self._by_key) >= self._kept:
            self._by_key.clear()
        self._by_key[key] = plan


class Dice:
    """Random numbers that tell afterwards whether anybody asked for one."""

    __slots__ = ("_random", "rolled")

    def __init__(self) -> None:
        self._random = Random().random
        self.rolled = False

    def __call__(self) -> float:
        self.rolled = True
        return self._random()
