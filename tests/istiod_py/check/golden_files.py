"""The golden folders, as documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

GOLDEN = Path(__file__).parent / "golden"


def golden_documents(name: str) -> list[dict[str, Any]]:
    """Every document of a folder that is YAML."""
    return [one for path in sorted((GOLDEN / name).glob("*.yaml")) for one in yaml.safe_load_all(path.read_text())]
