"""The memory limit as control groups tell it, on folders made like theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mesh_py.process.memory_limit import memory_limit

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20


def machine(tmp_path: Path, limits: dict[str, str], own: str) -> int:
    groups = tmp_path / "cgroup"
    for name, text in limits.items():
        (groups / name).parent.mkdir(parents=True, exist_ok=True)
        (groups / name).write_text(text)
    (tmp_path / "own").write_text(own)
    return memory_limit(groups, tmp_path / "own")


@pytest.mark.parametrize(
    ("limits", "own", "expected"),
    [
        pytest.param({"pod/memory.max": f"{64 * MIB}\n"}, "0::/pod\n", 64 * MIB, id="our own group"),
        pytest.param(
            {"pod/memory.max": f"{64 * MIB}\n", "pod/box/memory.max": "max\n"},
            "0::/pod/box\n",
            64 * MIB,
            id="one above",
        ),
        pytest.param(
            {"pod/memory.max": f"{64 * MIB}\n", "pod/box/memory.max": f"{32 * MIB}\n"},
            "0::/pod/box\n",
            32 * MIB,
            id="the least counts",
        ),
        pytest.param({"memory.max": f"{16 * MIB}\n"}, "0::/\n", 16 * MIB, id="seen from inside a container"),
        pytest.param({"memory/memory.limit_in_bytes": f"{48 * MIB}\n"}, "4:memory:/\n", 48 * MIB, id="version 1"),
    ],
)
def test_the_limit_is_found(tmp_path: Path, limits: dict[str, str], own: str, expected: int) -> None:
    assert machine(tmp_path, limits, own) == expected


def test_without_a_limit_it_is_the_machine_s_memory(tmp_path: Path) -> None:
    without = machine(tmp_path, {}, "0::/pod\n")
    assert without > 16 * MIB
    assert memory_limit(tmp_path / "nothing", tmp_path / "nowhere") == without
