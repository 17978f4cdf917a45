"""A dict of several values per key, in order, for indexes where one value is the rule [pure]."""

from __future__ import annotations

from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Multimap(Generic[Key, Value]):
    """Values by key; tuples, so that a reader may keep what it got while the index changes."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[Key, tuple[Value, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self._values)

    def get(self, key: Key) -> tuple[Value, ...]:
        """The values of a key, in order; empty if there are none."""
        return self._values.get(key, ())

    def add(self, key: Key, value: Value) -> None:
        """Add a value behind the others."""
        found = self._values.get(key)
        self._values[key] = (value,) if found is None else (*found, value)

    def put(self, key: Key, values: tuple[Value, ...]) -> None:
        """Replace the values of a key."""
        self._values[key] = values

    def discard(self, key: Key, value: Value) -> None:
        """Remove a value (that very object) if it is there."""
        left = tuple(other for other in self._values.get(key, ()) if other is not value)
        if left:
            self._values[key] = left
        else:
            self._values.pop(key, None)
