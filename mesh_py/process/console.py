"""What a person at a terminal reads: colours only there, and never an error because nobody reads any more."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "magenta": "35"}


class Console:
    """Lines to standard output, or to another stream."""

    def __init__(self, stream: TextIO | None = None, *, name_styles: Mapping[str, str] | None = None) -> None:
        """`name_styles` are the styles of children's names; `magenta` where there is none."""
        self._stream = stream if stream is not None else sys.stdout
        self._is_colourful = self._stream.isatty() and not os.environ.get("NO_COLOR")
        self._is_read = True
        self._name_styles = name_styles or {}
        self._name_width = max(7, *map(len, self._name_styles), 0)

    def say(self, text: str = "") -> None:
        """Write a line, or several."""
        if not self._is_read:
            return
        try:
            encoding = self._stream.encoding or "utf-8"
            self._stream.write(f"{text}\n".encode(encoding, "replace").decode(encoding))
            self._stream.flush()
        except OSError:  # the pipe is closed
            self._is_read = False

    def styled(self, text: str, *styles: str) -> str:
        """The text in a style such as `bold` or `green`, where colours are shown."""
        if not self._is_colourful:
            return text
        codes = ";".join(_CODES[style] for style in styles)
        return f"\033[{codes}m{text}\033[0m"

    def styled_name(self, name: str, text: str) -> str:
        """A text in the style of a child's name."""
        return self.styled(text, self._name_styles.get(name, "magenta"))

    def heard(self, name: str, line: str) -> None:
        """A line that a child wrote."""
        self.say(f"{self.styled_name(name, f'{name:<{self._name_width}}')} {line}")
