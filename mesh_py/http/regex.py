"""Regular expressions that match in linear time [pure].

Whoever may write a route must not be able to stop the process with `(a+)+$`, nor whoever may write a path. Python's
engine backtracks; this one keeps the set of all states it may be in (Thompson's construction) and remembers each set
it has met as one state of a deterministic machine, so that most characters cost one look-up. A text that is made to
lead from one new set to the next, through an expression of many states, is given up: nobody else gets his turn
meanwhile.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from mesh_py.http.errors import TooDearToMatch
from mesh_py.http.regex_syntax import Begin, Characters, Choice, End, Repeat, Sequence, Tree, UnsupportedRegex, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MOST_STATES = 10_000
"""Of one expression: about so many characters, repetitions written out."""
MOST_SETS = 1000
"""Remembered at once by one expression; then it forgets them all and begins again."""
MOST_MEMBERS = 50_000
"""States in all of these sets together: some megabytes."""
MOST_WORK = 100_000
"""States looked at for one text, where the sets are new: 10 to 20 ms. What is remembered costs nothing of it."""
_SHOWN = 200

_MATCH, _CHARACTERS, _SPLIT, _BEGIN, _END = range(5)


class _State:
    """A state of the machine without choice: a set of states of the one with."""

    __slots__ = ("accepts", "following", "members")

    def __init__(self, members: frozenset[int], accepts: bool) -> None:
        self.members = members
        self.accepts = accepts
        self.following: dict[str, _State] = {}


class Regex:
    """One expression. `matches` asks for the whole text, as Envoy does."""

    def __init__(self, pattern: str) -> None:
        """Compile it.

        Raises:
            UnsupportedRegex: it is malformed, too large, or needs more than a linear-time engine has.
        """
        self.pattern = pattern
        self._kinds: list[int] = []
        self._masks: list[int] = []
        self._exits: list[tuple[int, ...]] = []
        entry = self._compile(parse(pattern), self._state(_MATCH))
        self._sets: dict[frozenset[int], _State] = {}
        self._members = self._work = 0
        self._first = self._remember(self._closure([entry], at_begin=True))
        self._nowhere = self._remember(frozenset())

    def matches(self, text: str) -> bool:
        """Whether the whole text matches.

        Raises:
            TooDearToMatch: it would take too long to say. The request is refused: no policy passes it unjudged.
        """
        state = self._first
        self._work = 0
        for character in text:
            following = state.following.get(character)
            if following is None:
                following = self._step(state, character)
            state = following
        return state.accepts

    def __repr__(self) -> str:
        return f"Regex({self.pattern!r})"

    # Building -------------------------------------------------------------

    def _state(self, kind: int, *exits: int, mask: int = 0) -> int:
        if len(self._kinds) >= MOST_STATES:
            raise UnsupportedRegex(self.pattern, 0, f"more than {MOST_STATES} states")
        self._kinds.append(kind)
        self._masks.append(mask)
        self._exits.append(exits)
        return len(self._kinds) - 1

    def _compile(self, tree: Tree, after: int) -> int:
        """The state that the tree begins with, if `after` is what follows it."""
        match tree:
            case Characters(mask):
                return self._state(_CHARACTERS, after, mask=mask)
            case Sequence(parts):
                for part in reversed(parts):
                    after = self._compile(part, after)
                return after
            case Choice(parts):
                return self._state(_SPLIT, *[self._compile(part, after) for part in parts])
            case Repeat(part, least, most):
                return self._repeat(part, least, most, after)
            case Begin():
                return self._state(_BEGIN, after)
            case End():
                return self._state(_END, after)

    def _repeat(self, part: Tree, least: int, most: int | None, after: int) -> int:
        if most is None:
            loop = self._state(_SPLIT)
            self._exits[loop] = (self._compile(part, loop), after)
            after = loop
        else:
            end = after
            for _ in range(most - least):
                after = self._state(_SPLIT, self._compile(part, after), end)
        for _ in range(least):
            after = self._compile(part, after)
        return after

    # Matching -------------------------------------------------------------

    def _step(self, state: _State, character: str) -> _State:
        code = ord(character)
        kinds, masks, exits = self._kinds, self._masks, self._exits
        reached = [
            exits[member][0]
            for member in state.members
            if kinds[member] == _CHARACTERS and code < 256 and masks[member] >> code & 1
        ]
        members = self._closure(reached) if reached else frozenset()
        self._work += len(state.members) + len(members)
        if self._work > MOST_WORK:
            raise TooDearToMatch(f"a text for which the expression {_shown(self.pattern)} is too dear to match")
        following = self._sets.get(members) or self._remember(members)
        state.following[character] = following
        return following

    def _closure(self, states: Iterable[int], *, at_begin: bool = False, at_end: bool = False) -> frozenset[int]:
        """All states that are reached without a character."""
        passed = {_SPLIT} | ({_BEGIN} if at_begin else set()) | ({_END} if at_end else set())
        found: set[int] = set()
        waiting = list(states)
        while waiting:
            state = waiting.pop()
            if state not in found:
                found.add(state)
                if self._kinds[state] in passed:
                    waiting += self._exits[state]
        return frozenset(found)

    def _remember(self, members: frozenset[int]) -> _State:
        self._members += len(members)
        if len(self._sets) >= MOST_SETS or self._members > MOST_MEMBERS:
            self._forget()
        at_begin = not self._sets
        final = self._closure(members, at_begin=at_begin, at_end=True)
        state = self._sets[members] = _State(members, any(self._kinds[member] == _MATCH for member in final))
        return state

    def _forget(self) -> None:
        for state in self._sets.values():
            state.following.clear()
        self._sets = {self._first.members: self._first}
        self._members = len(self._first.members)


def _shown(pattern: str) -> str:
    return repr(pattern) if len(pattern) <= _SHOWN else f"{pattern[:_SHOWN]!r}..."


@lru_cache(maxsize=1000)
def compile_regex(pattern: str) -> Callable[[str], bool]:
    """Whether a whole text matches the expression; equal expressions share one machine.

    Raises:
        UnsupportedRegex: it is malformed, too large, or needs more than a linear-time engine has.
    """
    return Regex(pattern).matches
