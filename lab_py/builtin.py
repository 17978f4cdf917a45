"""The scenarios that come with the lab, by name; and a topology from a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lab_py.topology_file import read_topology
from mesh_py.discovery.problems import ConfigError, Problem, suggest
from mesh_py.process.reason import reason_of

if TYPE_CHECKING:
    from lab_py.topology import Topology

_FOLDER = Path(__file__).parent / "scenarios"
SCENARIOS = ("ambient-to-sidecar", "sidecar-to-ambient", "sidecar-to-waypoint", "ambient-to-hbone", "coexistence")
"""In the order in which they are shown; all but the last have a request."""
COEXISTENCE = SCENARIOS[-1]


def load(name_or_file: str) -> Topology:
    """A built-in scenario by its name, or the topology of a YAML file.

    Raises:
        ConfigError: there is no such thing, or it cannot be used; with places and advice.
    """
    if name_or_file in SCENARIOS:
        file = _FOLDER / f"{name_or_file}.yaml"
        return read_topology(file.read_text(encoding="utf-8"), file.name, name_or_file)
    file = Path(name_or_file)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = reason_of(error) if isinstance(error, OSError) else "not UTF-8"
        advice = suggest(name_or_file, SCENARIOS)
        raise ConfigError([Problem(name_or_file, 0, 0, f"no scenario, and no file: {what}", advice)]) from None
    return read_topology(text, name_or_file, file.stem)
