"""The files of a folder, each in its last good version, and the mesh that they make together [pure]."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mesh_py.discovery.problems import Problem
from mesh_py.manifests.objects import Manifests
from mesh_py.manifests.reader import FileContents, scan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mesh_py.discovery.local_file import LocalConfig
    from mesh_py.manifests.objects import KubernetesObject

EMPTY = FileContents()


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file: what is served of it, and what is wrong with its newest version."""

    served: FileContents = EMPTY
    """The last version without faults; nothing if there was none yet."""
    faults: tuple[Problem, ...] = ()
    """Of the newest version; while there are any, `served` is an older one."""

    @property
    def is_stale(self) -> bool:
        """Whether an older version is served."""
        return bool(self.faults)


@dataclass(slots=True)
class LastGood:
    """All files by their names. Order is that of the names."""

    trust_domain: str = ""
    """Of workloads in LocalConfig files that name none."""
    files: dict[str, SourceFile] = field(default_factory=dict)

    def copy(self) -> LastGood:
        """One that can change while this one is looked at."""
        return LastGood(self.trust_domain, dict(self.files))

    def take(self, name: str, text: str | Problem) -> tuple[Problem, ...]:
        """Take over a new version of a file. A broken one leaves the last good one in place; gives its faults."""
        if isinstance(text, Problem):
            contents = FileContents(faults=(text,))
        else:
            contents = scan(text, name, trust_domain=self.trust_domain)
        served = self.files.get(name, SourceFile()).served if contents.faults else contents
        self.files[name] = SourceFile(served, contents.faults)
        return contents.faults

    def forget(self, name: str) -> None:
        """A file is gone, and what it said with it."""
        self.files.pop(name, None)

    @property
    def faults(self) -> tuple[Problem, ...]:
        """All faults of all newest versions, in the order of the files."""
        return tuple(problem for _, file in sorted(self.files.items()) for problem in file.faults)

    def manifests(self) -> tuple[Manifests, tuple[Problem, ...]]:
        """Everything that is served, and what could not be: a second object of one kind and name."""
        contents = [file.served for _, file in sorted(self.files.items())]
        conflicts: list[Problem] = []
        objects = list(_first_of_each_name((one for file in contents for one in file.objects), conflicts))
        return Manifests.of(objects, tuple(_local_configs(contents))), tuple(conflicts)


def _first_of_each_name(objects: Iterable[KubernetesObject], conflicts: list[Problem]) -> Iterator[KubernetesObject]:
    """Objects whose kind and name is not taken yet; the others become problems."""
    taken: dict[tuple[str, str], KubernetesObject] = {}
    for one in objects:
        first = taken.setdefault((one.kind, one.metadata.key), one)
        if first is one:
            yield one
        else:
            conflicts.append(duplicate(one, first))


def duplicate(one: KubernetesObject, first: KubernetesObject) -> Problem:
    """The problem of a name that is taken."""
    file, line, column = one.metadata.place
    what = f"{one.kind} {one.metadata.key} is there already, at {first.metadata.place}; this one is left out"
    return Problem(file, line, column, what, "rename or remove one")


def _local_configs(contents: Iterable[FileContents]) -> Iterator[LocalConfig]:
    for file in contents:
        if file.local_config is not None:
            yield file.local_config


def changed(before: Mapping[str, object], after: Mapping[str, object]) -> set[str]:
    """The names that came, went, or have another value."""
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
