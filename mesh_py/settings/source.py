"""Where a setting's value comes from: flags, then the environment, then files, then the default [pure].

A value keeps its origin, so that a complaint names the flag, the variable or the place in the file to mend, and
`config show` can tell why a value is what it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mesh_py.settings.setting import Setting, SettingsTable

T = TypeVar("T")


class SettingsError(Exception):
    """The process cannot start as it was told to: one line, what is wrong, where, and what to do."""


class Given(NamedTuple):
    """One value as it was written."""

    text: str
    origin: str
    """`--node`, `NODE_NAME`, or `settings.yaml:3:7: NODE_NAME`."""


def from_flags(table: SettingsTable, flags: Mapping[str, str]) -> dict[str, Given]:
    """Flags by setting name."""
    return {one.name: Given(flags[one.name], one.option) for one in table.all if one.name in flags}


def from_environment(table: SettingsTable, environ: Mapping[str, str]) -> dict[str, Given]:
    """Variables by setting name. An empty one is as good as none, save where emptiness means something."""
    found = {}
    for setting in table.all:
        names = [name for name in (*setting.also, setting.name) if name in environ]
        telling = [name for name in names if environ[name]] or (names if setting.may_be_empty else [])
        if telling:
            found[setting.name] = Given(environ[telling[0]], telling[0])
    return found


class Values:
    """Every setting's value, from the first layer that has it."""

    def __init__(self, layers: Sequence[Mapping[str, Given]]) -> None:
        self._layers = layers

    def given(self, setting: Setting[Any]) -> Given | None:
        """The text of a setting and where it was written; None if it has its default."""
        return next((layer[setting.name] for layer in self._layers if setting.name in layer), None)

    def is_given(self, *settings: Setting[Any]) -> bool:
        """Whether any of them was set somewhere."""
        return any(self.given(setting) is not None for setting in settings)

    def starting_with(self, prefix: str) -> dict[str, str]:
        """What files say under names of that beginning, whether or not a table lists them."""
        found: dict[str, str] = {}
        for layer in reversed(self._layers):
            found |= {name: given.text for name, given in layer.items() if name.startswith(prefix)}
        return found

    def origin(self, setting: Setting[Any]) -> str:
        """Where to change a setting: where it was set, or its flag."""
        given = self.given(setting)
        return given.origin if given is not None else setting.option

    def __getitem__(self, setting: Setting[T]) -> T:
        """The value of a setting. Raises SettingsError."""
        given = self.given(setting)
        if given is None:
            return setting.default
        try:
            return setting.kind.read(given.text)
        except ValueError as error:
            raise SettingsError(f"{given.origin}: {complaint(given.text, str(error))}") from None


def complaint(text: str, problem: str) -> str:
    """A value and what is wrong with it."""
    shown = text if len(text) <= 80 else f"{text[:77]}..."
    return f"{shown!r} {problem}" if problem.startswith("is ") else problem
