"""A user's own layer 7 filter, loaded from a Python file that the configuration names.

The file is code and runs with the proxy's rights: whoever may write it may do what the proxy may. It is read once, at
the start; docs/filters.md shows one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import CodeType, ModuleType

    from mesh_py.http.filters.base import HttpFilter


class FilterFileError(Exception):
    """The file cannot be used; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class FilterFile:
    """One entry of the configuration's `filters`."""

    file: Path
    name: str
    """The class in it."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Handed to the class as keyword arguments."""


def load_filter(entry: FilterFile) -> HttpFilter:
    """The filter of an entry.

    Raises:
        FilterFileError: no such file or class, its code fails, or it is no filter.
    """
    kind = getattr(_module(entry.file), entry.name, None)
    if not isinstance(kind, type):
        raise FilterFileError(f"{entry.file} has no class {entry.name}: name one that is there")
    try:
        made: HttpFilter = kind(**entry.settings)
    except Exception as error:
        raise FilterFileError(f"{entry.file}: {entry.name} does not take its settings: {error}") from error
    for hook in ("on_request", "on_response"):
        if not callable(getattr(made, hook, None)):
            raise FilterFileError(f"{entry.file}: {entry.name} has no method {hook}: a filter has both")
    return made


class _AsWritten(SourceFileLoader):
    """Compiles the file each time. Kept bytecode is told from new by second and length: an edit could go unseen, and
    beside somebody's configuration we write nothing."""

    def get_code(self, fullname: str) -> CodeType:
        """See `SourceFileLoader`."""
        return self.source_to_code(self.get_data(self.path), self.path)


def _module(file: Path) -> ModuleType:
    if not file.is_file():
        raise FilterFileError(f"{file}: no such file")
    if file.suffix != ".py":
        raise FilterFileError(f"{file}: not a Python file (its name has to end in .py)")
    name = f"hbone_filter_{file.stem}"
    loader = _AsWritten(name, str(file))
    module = module_from_spec(ModuleSpec(name, loader, origin=str(file)))
    try:
        loader.exec_module(module)
    except Exception as error:
        raise FilterFileError(f"{file} cannot be loaded: {type(error).__name__}: {error}") from error
    return module
