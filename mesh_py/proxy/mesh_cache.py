"""A cache of what follows from the mesh and the manifests, emptied when either changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from mesh_py.manifests.proxy_file import Further
    from mesh_py.proxy.context import AnyContext

Key = TypeVar("Key")
Value = TypeVar("Value")


class MeshCache(Generic[Key, Value]):
    """Values by key; all are dropped at once, at a change or when there are too many."""

    __slots__ = ("_context", "_further", "_known", "_most", "_version")

    def __init__(self, context: AnyContext, most: int) -> None:
        self._context, self._most = context, most
        self._known: dict[Key, Value] = {}
        self._version = -1
        self._further: Further | None = None

    def get(self, key: Key) -> Value | None:
        """What was kept since the last change; None if nothing."""
        version, further = self._context.state.version, self._context.directory.further
        if version != self._version or further is not self._further:
            self._version, self._further = version, further
            self._known.clear()
        return self._known.get(key)

    def keep(self, key: Key, value: Value) -> Value:
        """Keep what was worked out after `get` had nothing, and return it."""
        if len(self._known) >= self._most:
            self._known.clear()
        self._known[key] = value
        return value
