"""A folder of manifests as it is now: which files count, when each was last written, and what it holds.

Looking costs one `stat` per file. Everything is bounded: files, bytes, depth. Hidden names are passed over, which are
editors' scratch files and the timestamped folders behind a mounted ConfigMap; symbolic links are followed.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from mesh_py.discovery.problems import Problem
from mesh_py.process.reason import reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SUFFIXES = (".yaml", ".yml", ".json")


class FolderError(Exception):
    """The folder cannot be looked at. The text names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a folder may hold; what goes beyond is reported and left out."""

    files: int = 20_000
    bytes_of_a_file: int = 32 << 20
    depth: int = 32
    """Folders in folders."""


class Stamp(NamedTuple):
    """Tells one version of a file from another."""

    modified: int
    """Nanoseconds; ..."""
    changed: int
    """... and of the last change of rights or name, so that a file that could not be read is tried again."""
    size: int
    inode: int
    device: int


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at the folder found."""

    files: Mapping[str, Stamp]
    """By path, beginning with the folder's as it was given; in their order."""
    problems: tuple[Problem, ...] = ()
    """What could not be looked at, or goes beyond the limits."""


def look(folder: Path, limits: Limits) -> Look:
    """All manifests' files of a folder and the folders in it. Raises FolderError if it cannot be looked at at all."""
    files: dict[str, Stamp] = {}
    problems: list[Problem] = []
    try:
        entries = sorted(_walk(str(folder), limits.depth, set(), problems))
    except OSError as error:
        raise FolderError(f"{folder}: {reason_of(error)}: name a folder of manifests that can be read") from None
    for name, found in entries:
        if len(files) == limits.files:
            problems.append(Problem(name, 0, 0, f"more than {limits.files} files; this and later ones are left out"))
            break
        files[name] = Stamp(found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev)
    return Look(files, tuple(problems))


def read(name: str, limits: Limits) -> str | Problem:
    """The text of a file, or why it cannot be had."""
    try:
        with open(name, "rb") as file:
            content = file.read(limits.bytes_of_a_file + 1)
    except OSError as error:
        return Problem(name, 0, 0, reason_of(error), "check its rights")
    if len(content) > limits.bytes_of_a_file:
        return Problem(name, 0, 0, f"more than {limits.bytes_of_a_file >> 20} MiB", "split the file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return Problem(name, line, 0, f"not UTF-8 text at byte {error.start}", "save it as UTF-8")


def _walk(
    folder: str, depth: int, seen: set[tuple[int, int]], problems: list[Problem]
) -> Iterator[tuple[str, os.stat_result]]:
    """Every file that counts, with what `stat` says. `seen` keeps links from leading in a circle."""
    own = os.stat(folder)
    if (own.st_dev, own.st_ino) in seen:
        return
    seen.add((own.st_dev, own.st_ino))
    with os.scandir(folder) as entries:
        # Sorted, so that of two links to one folder it is always the same that counts.
        names = sorted(((entry.name, entry) for entry in entries if not entry.name.startswith(".")), key=itemgetter(0))
    for name, entry in names:
        path = os.path.join(folder, name)
        try:
            found = entry.stat()
            if stat.S_ISDIR(found.st_mode):
                if depth:
                    yield from _walk(path, depth - 1, seen, problems)
                else:
                    problems.append(Problem(path, 0, 0, "too many folders in folders; left out"))
            elif stat.S_ISREG(found.st_mode) and name.lower().endswith(SUFFIXES):
                yield path, found
        except FileNotFoundError:
            continue  # gone between two calls, or a link that leads nowhere: not there
        except OSError as error:
            problems.append(Problem(path, 0, 0, reason_of(error), "check its rights"))
