"""Lines of the proxies' JSON logs as fields [pure]."""

from __future__ import annotations

import json
from typing import Any


def read_log(text: str) -> list[dict[str, Any]]:
    """The fields of each line that is a JSON object; what is none (a traceback, a cut line) is left out."""
    found = []
    for line in text.splitlines():
        if line.startswith("{"):
            try:
                fields = json.loads(line)
            except ValueError:
                continue
            found.append(fields)
    return found
