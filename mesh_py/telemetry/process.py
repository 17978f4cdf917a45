"""What the kernel knows of this process: open files and their limit."""

from __future__ import annotations

import os
import resource

from mesh_py.telemetry.instruments import Family


def process_families() -> list[Family]:
    """`process_open_fds` and `process_max_fds`; for several processes both add up, so their ratio holds."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return [
        Family("process_open_fds", "gauge", "File descriptors in use", samples={(): [_open_files()]}),
        Family("process_max_fds", "gauge", "File descriptors allowed", samples={(): [limit]}),
    ]


def _open_files() -> int:
    # Reading the folder opens it: that one is not in use a moment later.
    return len(os.listdir("/proc/self/fd")) - 1
