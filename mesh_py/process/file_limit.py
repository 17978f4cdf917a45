"""Open files: a proxy's connections are files, and the soft limit of a login is no measure for them."""

from __future__ import annotations

import resource


def raise_file_limit() -> int:
    """Take as many open files as we may (hbone-dataplane 8.3); how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard or hard == resource.RLIM_INFINITY:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):  # a hard limit above the kernel's own
            return soft
        return hard
    return soft


def share_of_files(most: int, part: int = 8) -> int:
    """So many, but no more than a `part`-th of the files we may open: the others are for those who are known."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if soft == resource.RLIM_INFINITY else max(1, min(most, soft // part))
