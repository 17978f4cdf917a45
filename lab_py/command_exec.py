"""`exec`: a command of the user's in one of a lab's namespaces."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from lab_py import state
from lab_py.errors import Unusable
from lab_py.netns import need_tool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab_py.state import Record


def execute(name: str, namespace: str, command: Sequence[str]) -> int:
    """Run it; its exit status. Raises Unusable: no such lab, or no such namespace in it; Missing."""
    _, record = state.find(name)
    if namespace not in record.namespaces:
        raise Unusable(f"{name} has no {namespace!r}: it has {', '.join(record.namespaces)}")
    return subprocess.run([*entering(record), "ip", "netns", "exec", namespace, *command], check=False).returncode


def entering(record: Record) -> list[str]:
    """What brings a command into a lab."""
    user = ["--user", "--preserve-credentials"] if record.rootless else []
    return [need_tool("nsenter"), "--target", str(record.first), *user, "--net", "--mount", "--pid", "--"]
