"""Checking a folder: everything that reading, converting and the rules have to say, in the order of the files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from istiod_py import folder
from istiod_py.ambient.options import AmbientOptions
from istiod_py.check import (
    behind_waypoints,
    callers,
    codes,
    conversion,
    matches,
    names,
    participation,
    peers,
    policies,
    reading,
    routes,
    services,
    traffic,
)
from istiod_py.check.checked_mesh import CheckedMesh
from istiod_py.check.codes import Finding, Severity
from istiod_py.folder import FolderError, Limits
from istiod_py.last_good import LastGood, SourceFile
from mesh_py.discovery.problems import Problem
from mesh_py.manifests.addresses import Addresses, AddressRanges, RangeFullError
from mesh_py.manifests.reader import scan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from mesh_py.manifests.objects import Manifests
    from mesh_py.manifests.reader import FileContents

RULES = (
    *(conversion, names, services, policies, callers, behind_waypoints, peers, routes, traffic, matches),
    participation,
)
"""Every module with a `check` that takes a CheckedMesh."""


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """How a folder is checked."""

    ambient: AmbientOptions = field(default_factory=AmbientOptions)
    ranges: AddressRanges = field(default_factory=AddressRanges)
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Report:
    """What the linter found."""

    findings: tuple[Finding, ...]
    files: int
    """How many files were looked at."""
    objects: int
    """How many objects they hold."""

    def count(self, severity: Severity) -> int:
        """How many findings are so bad."""
        return sum(finding.code.severity is severity for finding in self.findings)

    @property
    def has_errors(self) -> bool:
        """Whether any finding is an error."""
        return self.count(Severity.ERROR) > 0


def check_folder(path: Path, options: CheckOptions | None = None) -> Report:
    """Check every file of a folder, and all of them together. Raises FolderError if it cannot be looked at."""
    options = options or CheckOptions()
    seen = folder.look(path, options.limits)
    findings = [reading.unreadable(problem) for problem in seen.problems]
    texts: dict[str, str] = {}
    for name in seen.files:
        text = folder.read(name, options.limits)
        if isinstance(text, Problem):
            findings.append(reading.unreadable(text))
        else:
            texts[name] = text
    return check_texts(texts, options, findings)


def check_file(path: Path, options: CheckOptions | None = None) -> Report:
    """Check one file by itself. Raises FolderError if it cannot be read."""
    options = options or CheckOptions()
    text = folder.read(str(path), options.limits)
    if isinstance(text, Problem):
        raise FolderError(str(text))
    return check_texts({str(path): text}, options)


def check_texts(texts: Mapping[str, str], options: CheckOptions, before: Iterable[Finding] = ()) -> Report:
    """Check texts by the names of their files. What was found in reading is told with the rest.

    A file with faults takes part with what could be read of it, so that one slip does not hide the next; but what
    seems to be missing may be in the rest.
    """
    trust_domain = options.ambient.mesh.trust_domain
    contents = {name: scan(text, name, trust_domain=trust_domain) for name, text in texts.items()}
    findings = [*before, *(found for one in contents.values() for found in reading.of_contents(one))]
    is_complete = not any(one.code.severity is Severity.ERROR for one in findings)
    findings += (one for one in _together(contents, options) if is_complete or one.code not in codes.ABSENCES)
    objects = sum(len(one.objects) for one in contents.values())
    return Report(tuple(in_order(findings)), len(texts), objects)


def _together(contents: Mapping[str, FileContents], options: CheckOptions) -> Iterator[Finding]:
    files = LastGood(files={name: SourceFile(one) for name, one in contents.items()})
    manifests, conflicts = files.manifests()
    yield from map(reading.duplicate, conflicts)
    try:
        completed = Addresses(options.ranges).complete(manifests)
    except RangeFullError as error:
        yield codes.NO_ADDRESS_LEFT.anywhere(str(error))
        completed = manifests
    yield from check_manifests(completed, options)


def check_manifests(manifests: Manifests, options: CheckOptions) -> Iterator[Finding]:
    """What the rules say of manifests that are completed."""
    mesh = CheckedMesh(manifests, options.ambient)
    for rules in RULES:
        yield from rules.check(mesh)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """By file, line and column, then by code; none twice."""
    return sorted(dict.fromkeys(findings), key=lambda one: (one.place, one.code.name, one.what))
