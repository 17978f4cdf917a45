"""One setting, and the table of all that a role has [pure].

Flags, environment, files, `--help`, `config show` and the page of the documentation all come from such a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mesh_py.settings.kinds import Kind

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Setting(Generic[T_co]):
    """One thing that can be set. Compared by identity."""

    name: str
    """In the environment and in files."""
    kind: Kind[T_co]
    default: T_co
    """None where nothing is set, or where the default depends on the machine or on other settings (`note`)."""
    meaning: str
    flag: str = ""
    """Without it the flag is the name in lower case, with dashes."""
    also: tuple[str, ...] = ()
    """Other environment names; they win over `name`, in this order."""
    note: str = ""
    """How the default comes about."""
    theirs: str = ""
    """The default of Istio's own program in this role, where it is another."""
    may_be_empty: bool = False
    """An empty text says "none", and weaker sources count no more; elsewhere it says nothing."""

    @property
    def option(self) -> str:
        """The flag, such as `--node`."""
        return self.flag or "--" + self.name.lower().replace("_", "-")

    @property
    def parameter(self) -> str:
        """The flag as an identifier."""
        return self.name.lower()

    @property
    def default_text(self) -> str:
        """The default as help pages tell it; empty where nothing is set."""
        return self.note or ("" if self.default is None else self.kind.write(self.default))


def setting(name: str, kind: Kind[T], default: T, meaning: str, **more: Any) -> Setting[T]:
    """A setting with a default; `more` are the fields of `Setting`."""
    return Setting(name, kind, default, meaning, **more)


def unset(name: str, kind: Kind[T], meaning: str, **more: Any) -> Setting[T | None]:
    """A setting that is None until somebody sets it."""
    return Setting(name, kind, None, meaning, **more)


@dataclass(frozen=True, eq=False)
class SettingsTable:
    """All settings of a role."""

    sections: Mapping[str, tuple[Setting[Any], ...]]
    """By heading, in the order help pages show them."""

    @cached_property
    def all(self) -> tuple[Setting[Any], ...]:
        """Every setting, in that order."""
        return tuple(one for settings in self.sections.values() for one in settings)

    @cached_property
    def by_name(self) -> Mapping[str, Setting[Any]]:
        """Settings by each of their environment names."""
        return {name: one for one in self.all for name in (one.name, *one.also)}
