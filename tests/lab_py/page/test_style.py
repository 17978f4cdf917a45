"""Colours that can be read, in light and in dark (WCAG 2.1: 4.5 to 1)."""

from __future__ import annotations

import re

import pytest

from lab_py.page.style import STYLE

PAIRS = [
    (ink, paper) for ink in ("ink", "soft", "good", "bad") for paper in ("paper", "card", "pod")
] + [("paper", "hot"), ("ink", "hot-soft")]  # fmt: skip


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "paper"), PAIRS)
def test_contrast(scheme: int, ink: str, paper: str) -> None:
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", STYLE.split(":root")[scheme + 1]))
    bright, dark = sorted((luminance(colours[ink]), luminance(colours[paper])), reverse=True)
    assert (bright + 0.05) / (dark + 0.05) >= 4.5


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
