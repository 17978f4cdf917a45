"""File descriptors, judged by opening some."""

from __future__ import annotations

import os
import resource

from mesh_py.telemetry.process import process_families


def test_open_files_are_counted():
    before = process_families()[0].samples[()][0]
    descriptors = os.pipe()
    try:
        assert process_families()[0].samples[()] == [before + 2]
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def test_the_limit_is_the_kernels():
    opened, allowed = process_families()
    assert (opened.name, allowed.name) == ("process_open_fds", "process_max_fds")
    assert allowed.samples[()] == [resource.getrlimit(resource.RLIMIT_NOFILE)[0]]
