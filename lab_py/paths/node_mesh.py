"""The mesh file for ztunnels: the same less what is for layer 7, made anew after every edit.

A ztunnel refuses keys that it does not know, so that nobody believes a policy to be enforced that is not.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

import yaml

from mesh_py.process.file_stamp import stamp_of

if TYPE_CHECKING:
    from pathlib import Path

_KNOWN = frozenset({"workloads", "services", "policies"})
_LOOK_SECONDS = 0.2


def without_further_keys(text: str) -> str:
    """The text with the lines of further keys emptied, so that a complaint still names the right line [pure].

    What is no YAML, or no mapping, stays as it is: whoever reads it complains.
    """
    try:
        node = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return text
    if not isinstance(node, yaml.MappingNode):
        return text
    lines = text.splitlines(keepends=True)
    starts = [key.start_mark.line for key, _ in node.value]
    for (key, _), end in zip(node.value, [*starts[1:], len(lines)], strict=True):
        if key.value not in _KNOWN and end > key.start_mark.line:
            lines[key.start_mark.line : end] = ["\n"] * (end - key.start_mark.line)
    return "".join(lines)


def write_node_mesh(mesh: Path, node_mesh: Path) -> None:
    """Write the node proxies' mesh file from the whole one, atomically. Raises OSError."""
    fresh = node_mesh.with_suffix(".new")
    fresh.write_text(without_further_keys(mesh.read_text(encoding="utf-8")), encoding="utf-8")
    os.replace(fresh, node_mesh)


async def follow(mesh: Path, node_mesh: Path) -> None:
    """Write it again after every edit, until cancelled. A file that cannot be read is tried again."""
    seen = stamp_of(mesh)
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        if (found := stamp_of(mesh)) not in (seen, None):
            with contextlib.suppress(OSError, UnicodeDecodeError):
                write_node_mesh(mesh, node_mesh)
                seen = found
