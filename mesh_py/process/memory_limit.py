"""How much memory this process may use: its control group's limit, else the machine's."""

from __future__ import annotations

import os
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")


def memory_limit(groups: Path = _GROUPS, own: Path = Path("/proc/self/cgroup")) -> int:
    """Bytes: the least of the machine's memory and the limits of our control group and those above it."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *(limit for file in _limit_files(groups, own) if (limit := _limit(file)))])


def _limit_files(groups: Path, own: Path) -> list[Path]:
    """Where limits may stand: version 1's and, from our group up to the root, version 2's."""
    files = [groups / "memory" / "memory.limit_in_bytes"]
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return files
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            group = groups / path.lstrip("/")
            files += [folder / "memory.max" for folder in (group, *group.parents) if folder.is_relative_to(groups)]
    return files


def _limit(file: Path) -> int | None:
    """The limit in a file; None where there is no such file, or `max`."""
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
