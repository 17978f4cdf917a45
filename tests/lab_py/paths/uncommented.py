"""The mesh as somebody edits it who tries what its head proposes."""

from __future__ import annotations

import re


def with_denials(text: str) -> str:
    """Every comment mark before something that could be tried is off; the head's words stay comments."""
    head, rest = text.split("workloads:\n", 1)
    tried = re.sub(r"^(?: {2})?# (?!Layer 7)", lambda match: match[0].replace("# ", ""), rest, flags=re.MULTILINE)
    return f"{head}workloads:\n{tried}"
