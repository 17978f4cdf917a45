"""The user's own filters: made once per entry of the mesh file, in its order (docs/filters.md)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mesh_py.discovery.problems import ConfigError, Problem
from mesh_py.process.filter_files import FilterFile, FilterFileError, load_filter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mesh_py.http.filters.base import HttpFilter
    from mesh_py.manifests.chain import UserFilter


class UserFilters:
    """Those in use. An entry that stays keeps its object, and with it what that has counted."""

    def __init__(self) -> None:
        self._made: list[tuple[UserFilter, HttpFilter]] = []

    @property
    def filters(self) -> list[HttpFilter]:
        """In their order."""
        return [made for _, made in self._made]

    def take(self, entries: Sequence[UserFilter], origin: str = "filters") -> None:
        """These and no others. Raises ConfigError: one cannot be made, and all stays as it was."""
        left = list(self._made)
        found: list[tuple[UserFilter, HttpFilter]] = []
        for entry in entries:
            known = next((pair for pair in left if pair[0] == entry), None)
            if known is not None:
                left.remove(known)
            found.append(known or (entry, _make(entry, origin)))
        self._made = found


def _make(entry: UserFilter, origin: str) -> HttpFilter:
    try:
        return load_filter(FilterFile(Path(entry.file), entry.name, entry.settings))
    except FilterFileError as error:
        raise ConfigError([Problem(origin, 0, 0, str(error))]) from error
