"""Regular expressions as routes and policies write them, to a tree: RE2's grammar without what needs memory [pure].

Text is bytes in latin-1, so a set of characters is a number of 256 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

ANY_BYTE = (1 << 256) - 1
MOST_REPEATS = 1000
"""Of `{n}`, as in RE2."""


class UnsupportedRegex(ValueError):
    """The expression is malformed, or needs what a linear-time engine has not (backreferences, look-around)."""

    def __init__(self, pattern: str, position: int, reason: str) -> None:
        super().__init__(f"regular expression {pattern!r}, at {position}: {reason}")


@dataclass(frozen=True, slots=True)
class Characters:
    """One character of a set."""

    mask: int


@dataclass(frozen=True, slots=True)
class Sequence:
    """All of the parts, one behind the other. Empty matches nothing of the text."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """Any of the parts."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """The part, so many times."""

    part: Tree
    least: int
    most: int | None


@dataclass(frozen=True, slots=True)
class Begin:
    """`^`: nothing is in front."""


@dataclass(frozen=True, slots=True)
class End:
    """`$`: nothing follows."""


Tree = Characters | Sequence | Choice | Repeat | Begin | End


def _mask(*ranges: tuple[str, str]) -> int:
    return sum(1 << code for first, last in ranges for code in range(ord(first), ord(last) + 1))


_DIGIT = _mask(("0", "9"))
_WORD = _mask(("0", "9"), ("A", "Z"), ("a", "z"), ("_", "_"))
_SPACE = _mask((" ", " "), ("\t", "\r")) & ~_mask(("\v", "\v"))
_CLASSES = {"d": _DIGIT, "w": _WORD, "s": _SPACE}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_POSIX = {
    "alpha": _mask(("A", "Z"), ("a", "z")),
    "digit": _DIGIT,
    "alnum": _WORD & ~_mask(("_", "_")),
    "upper": _mask(("A", "Z")),
    "lower": _mask(("a", "z")),
    "space": _SPACE | _mask(("\v", "\v")),
    "word": _WORD,
    "xdigit": _mask(("0", "9"), ("A", "F"), ("a", "f")),
    "punct": _mask(("!", "/"), (":", "@"), ("[", "`"), ("{", "~")),
}


def parse(pattern: str) -> Tree:
    """The tree of an expression.

    Raises:
        UnsupportedRegex: we have nothing to match it with.
    """
    return _Parser(pattern).parse()


class _Parser:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._position = 0
        self._fold = False

    def parse(self) -> Tree:
        tree = self._choice()
        if self._position < len(self._pattern):
            self._refuse("a ) without its (")
        return tree

    def _peek(self) -> str:
        return self._pattern[self._position : self._position + 1]

    def _take(self) -> str:
        taken = self._peek()
        if not taken:
            self._refuse("it ends too early")
        self._position += 1
        return taken

    def _skip(self, text: str) -> bool:
        if not self._pattern.startswith(text, self._position):
            return False
        self._position += len(text)
        return True

    def _refuse(self, reason: str) -> NoReturn:
        raise UnsupportedRegex(self._pattern, self._position, reason)

    def _choice(self) -> Tree:
        parts = [self._sequence()]
        while self._skip("|"):
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def _sequence(self) -> Tree:
        parts: list[Tree] = []
        while self._peek() not in ("", "|", ")"):
            part = self._atom()
            if part is not None:
                parts.append(self._repeated(part))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _repeated(self, part: Tree) -> Tree:
        repeats = 0
        while (bounds := self._bounds()) is not None:
            self._skip("?")  # lazy or greedy: a whole match is the same
            if repeats or isinstance(part, Begin | End):
                self._refuse("a repetition of nothing that can repeat")
            part, repeats = Repeat(part, *bounds), 1
        return part

    def _bounds(self) -> tuple[int, int | None] | None:
        for sign, bounds in (("*", (0, None)), ("+", (1, None)), ("?", (0, 1))):
            if self._skip(sign):
                return bounds
        return self._counted() if self._peek() == "{" else None

    def _counted(self) -> tuple[int, int | None] | None:
        text, closed, _ = self._pattern[self._position + 1 :].partition("}")
        least, comma, most = text.partition(",")
        if not closed or not least.isdecimal() or (most and not most.isdecimal()):
            return None  # a brace like any other character
        self._position += len(text) + 2
        bounds = int(least), (int(most) if most else None) if comma else int(least)
        if max(bounds[0], bounds[1] or 0) > MOST_REPEATS or (bounds[1] is not None and bounds[1] < bounds[0]):
            self._refuse(f"a repetition beyond {MOST_REPEATS}, or backwards")
        return bounds

    def _atom(self) -> Tree | None:
        character = self._take()
        match character:
            case "(":
                return self._group()
            case "[":
                return Characters(self._set())
            case ".":
                return Characters(ANY_BYTE & ~_mask(("\n", "\n")))
            case "^":
                return Begin()
            case "$":
                return End()
            case "\\":
                return self._escape()
            case "*" | "+" | "?":
                self._refuse("a repetition of nothing")
        return self._literal(character)

    def _literal(self, character: str) -> Tree:
        if character.isascii():
            return Characters(self._folded(1 << ord(character)))
        return Sequence(tuple(Characters(1 << byte) for byte in character.encode()))

    def _folded(self, mask: int) -> int:
        if not self._fold:
            return mask
        upper, lower = mask & _POSIX["upper"], mask & _POSIX["lower"]
        return mask | upper << 32 | lower >> 32

    def _group(self) -> Tree | None:
        fold = self._fold
        if self._skip("?") and not self._opened_by_name() and not self._skip(":") and self._flags():
            return None
        tree = self._choice()
        if not self._skip(")"):
            self._refuse("a ( without its )")
        self._fold = fold  # a flag holds to the end of its group
        return tree

    def _opened_by_name(self) -> bool:
        opened = self._skip("P<") or (self._peek_two() not in ("<=", "<!") and self._skip("<"))
        if opened:
            self._named()
        return opened

    def _peek_two(self) -> str:
        return self._pattern[self._position : self._position + 2]

    def _named(self) -> None:
        while (character := self._take()) != ">":
            if not (character.isalnum() or character == "_"):
                self._refuse("a group's name that is none")

    def _flags(self) -> bool:
        """Flags in front of a group, `(?i:x)`, or for the rest of one, `(?i)`: whether the latter."""
        on = True
        while (character := self._take()) not in (")", ":"):
            if character == "-":
                on = False
            elif character == "i":
                self._fold = on
            elif character not in "sU":  # RE2 knows them; a whole match of one line is the same
                self._refuse("look-around, a backreference, or an unknown flag")
        return character == ")"

    def _escape(self) -> Tree:
        character = self._take()
        if character.lower() in _CLASSES:
            return Characters(_class(character))
        if character == "A":
            return Begin()
        if character == "z":
            return End()
        return self._literal(self._escaped(character))

    def _escaped(self, character: str) -> str:
        if character == "x":
            return self._hex()
        if character in _ESCAPES:
            return _ESCAPES[character]
        if character.isalnum():
            self._refuse(f"\\{character}: a backreference, or nothing we know")
        return character

    def _hex(self) -> str:
        digits = self._take() + self._take()
        try:
            return chr(int(digits, 16))
        except ValueError:
            self._refuse("\\x without two hexadecimal digits")

    def _set(self) -> int:
        negated = self._skip("^")
        mask = 0
        first = True
        while first or self._peek() != "]":
            first = False
            mask |= self._set_item()
        self._take()
        mask = self._folded(mask)
        return ANY_BYTE & ~mask if negated else mask

    def _set_item(self) -> int:
        if self._skip("[:"):
            return self._posix()
        character = self._take()
        if character == "\\":
            character = self._take()
            if character.lower() in _CLASSES:
                return _class(character)
            character = self._escaped(character)
        if self._peek() != "-" or self._pattern[self._position + 1 : self._position + 2] in ("]", ""):
            return self._range(character, character)
        self._take()
        last = self._take()
        return self._range(character, self._escaped(self._take()) if last == "\\" else last)

    def _range(self, first: str, last: str) -> int:
        if not first.isascii() or not last.isascii() or first > last:
            self._refuse("a range backwards, or of what is no ASCII")
        return _mask((first, last))

    def _posix(self) -> int:
        name, closed, _ = self._pattern[self._position :].partition(":]")
        negated = name.startswith("^")
        mask = _POSIX.get(name.removeprefix("^"))
        if not closed or mask is None:
            self._refuse("a class of characters that we do not know")
        self._position += len(name) + 2
        return ANY_BYTE & ~mask if negated else mask


def _class(letter: str) -> int:
    mask = _CLASSES[letter.lower()]
    return mask if letter.islower() else ANY_BYTE & ~mask
