"""Counters of rules by the rules' names, read from what `iptables-save -c` says [pure]."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_RULE = re.compile(r'^\[(\d+):\d+\] -A .*?--comment (?:"([^"]*)"|(\S+))')


def read_counters(text: str) -> dict[str, int]:
    """Packets by rule; rules without a comment are nobody's evidence."""
    found: dict[str, int] = {}
    for line in text.splitlines():
        match = _RULE.match(line)
        if match is not None:
            name = match[2] or match[3]
            found[name] = found.get(name, 0) + int(match[1])
    return found


def counted_since(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """What each rule that is still there has counted in between."""
    return {name: count - before.get(name, 0) for name, count in after.items()}
