"""Reading YAML into values with a place for every fault [pure].

Decoders are functions from a node to a value that raise `Fault`. `Reader.fields` walks a mapping, keeps going
after a fault, and so reports everything that is wrong with a file at once. Scalars are taken as written: `node: on`
is the text `on`, as for the YAML 1.2 parser that the format was made for.
"""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Mapping
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import yaml

from mesh_py.discovery.problems import ConfigError, FaultKind, Problem, suggest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

try:
    from yaml import CSafeLoader as _BaseLoader
except ImportError:  # PyYAML built without libyaml: the same tree, slower
    from yaml import SafeLoader as _BaseLoader  # type: ignore[assignment]

Value = TypeVar("Value")
Key = TypeVar("Key")
Choice = TypeVar("Choice", bound=Enum)

_CORE_TAGS = "tag:yaml.org,2002:"
_TEXT_TAG, _LIST_TAG, _MAP_TAG = f"{_CORE_TAGS}str", f"{_CORE_TAGS}seq", f"{_CORE_TAGS}map"
# As JSON writes it, and small enough for the doubles of a protobuf Struct.
_WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,14}")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


class _Loader(_BaseLoader):
    """Composes nodes only. Every plain scalar is text, so there is nothing to resolve, which is half the work."""

    def resolve(self, kind: type[yaml.Node], value: str | None, implicit: object) -> str:
        if kind is yaml.ScalarNode:
            return _TEXT_TAG
        return _LIST_TAG if kind is yaml.SequenceNode else _MAP_TAG

    def descend_resolver(self, current_node: yaml.Node | None, current_index: object) -> None:
        """No tags depend on a node's place."""

    def ascend_resolver(self) -> None:
        """No tags depend on a node's place."""


class Fault(Exception):
    """A node cannot be read."""

    def __init__(self, node: yaml.Node | None, what: str, advice: str = "", kind: FaultKind = FaultKind.VALUE) -> None:
        super().__init__(what)
        self.node = node
        self.what = what
        self.advice = advice
        self.kind = kind


class Field(NamedTuple):
    """A key of a mapping: how to read it, the argument it becomes, and whether it must be there."""

    decode: Callable[[yaml.Node], Any]
    argument: str
    required: bool = False


class Schema(NamedTuple):
    """The keys of a mapping that stands for a thing."""

    thing: str
    fields: Mapping[str, Field]
    strict: bool = True
    """Whether unknown keys are faults."""


@contextmanager
def without_collection() -> Iterator[None]:
    """Hold the garbage collector back: a large file is a million live nodes, walked again and again in vain."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def compose(text: str, file: str) -> yaml.Node:
    """The tree of a YAML (or JSON) document. Raises ConfigError: not YAML, empty, or several documents."""
    nodes = _composed(text, file, lambda loader: [loader.get_single_node()])
    if nodes[0] is None:
        raise ConfigError([Problem(file, 1, 1, "nothing to read", "an empty mesh is written 'workloads: []'")])
    return nodes[0]


def compose_all(text: str, file: str) -> list[yaml.Node]:
    """The trees of all YAML documents of a text (or of one of JSON), none for empty ones. Raises ConfigError."""
    return [node for node in _composed(text, file, _all_nodes) if node is not None and not is_null(node)]


def _all_nodes(loader: _Loader) -> list[yaml.Node | None]:
    nodes = []
    while loader.check_node():
        nodes.append(loader.get_node())
    return nodes


def _composed(
    text: str, file: str, compose_with: Callable[[_Loader], list[yaml.Node | None]]
) -> list[yaml.Node | None]:
    """What `compose_with` gets from the text, or its tree as JSON."""
    try:
        loader = _Loader(text)
    except yaml.YAMLError as error:  # without libyaml, characters that text cannot have are found at once
        raise ConfigError([_unplaced_problem(error, file)]) from None
    try:
        return compose_with(loader)
    except yaml.MarkedYAMLError as error:
        node = _compose_json(text)
        if node is None:
            raise ConfigError([_syntax_problem(error, file)]) from None
        return [node]
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError([_unplaced_problem(error, file)]) from None
    finally:
        loader.dispose()


def _compose_json(text: str) -> yaml.Node | None:
    """The tree of a JSON object that is no YAML (surrogate escapes, keys above 1,024 characters), without places."""
    try:
        return node_of(json.loads(text)) if text.lstrip().startswith("{") else None
    except (ValueError, RecursionError):
        return None


def node_of(value: object) -> yaml.Node:
    """A tree without places of a value as JSON has it: mappings, lists, text, numbers, true, false, nothing.

    A whole number may come as a float, which is all that a protobuf Struct has.
    """
    if isinstance(value, Mapping):
        return yaml.MappingNode(_MAP_TAG, [(node_of(key), node_of(item)) for key, item in value.items()])
    if isinstance(value, list | tuple):
        return yaml.SequenceNode(_LIST_TAG, [node_of(item) for item in value])
    if isinstance(value, str):
        return yaml.ScalarNode(_TEXT_TAG, value, style='"')
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return yaml.ScalarNode(_TEXT_TAG, json.dumps(value, default=str))


def value_of(node: yaml.Node) -> Any:
    """The value of a tree as JSON has it; `node_of` makes the same texts of it again.

    Whole numbers, true, false and nothing become what they look like; everything else stays the text that was written:
    `1.10` and `010` are not the numbers that JSON would make of them.
    """
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): value_of(item) for key, item in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [value_of(item) for item in node.value]
    if is_null(node):
        return None
    text = str(node.value)
    is_plain = isinstance(node, yaml.ScalarNode) and not node.style
    if is_plain and (text in ("true", "false") or _WHOLE_NUMBER.fullmatch(text)):
        return json.loads(text)
    return text


def _syntax_problem(error: yaml.MarkedYAMLError, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    what = f"not YAML: {error.problem or _first_line(error)}"
    return Problem(file, line, column, what, error.context or "", FaultKind.SYNTAX)


def _unplaced_problem(error: BaseException, file: str) -> Problem:
    return Problem(file, 0, 0, f"not YAML: {_first_line(error)}", kind=FaultKind.SYNTAX)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


class Reader:
    """Collects the faults of one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []

    def note(self, fault: Fault) -> None:
        """Keep a fault as a problem of the file."""
        self.problems.append(self.problem(fault))

    def problem(self, fault: Fault) -> Problem:
        """The fault with its place."""
        line, column = line_and_column(fault.node)
        return Problem(self.file, line, column, fault.what, fault.advice, fault.kind)

    def finish(self) -> None:
        """Raise ConfigError if anything was wrong."""
        if self.problems:
            raise ConfigError(self.problems)

    def attempt(self, decode: Callable[[yaml.Node], Value], node: yaml.Node) -> Value | None:
        """Decode a node; a fault is kept and gives None."""
        try:
            return decode(node)
        except Fault as fault:
            self.note(fault)
            return None

    def items(self, node: yaml.Node, decode: Callable[[yaml.Node], Value | None]) -> tuple[Value, ...]:
        """Decode each item of a list; what is faulty is kept as a problem and left out."""
        items = self.attempt(sequence, node) or []
        values = (self.attempt(decode, item) for item in items)
        return tuple(value for value in values if value is not None)

    def record(self, make: Callable[..., Value], schema: Schema) -> Callable[[yaml.Node], Value | None]:
        """A decoder that hands the fields of a mapping to `make`; None, with problems kept, if any is faulty."""

        def decode(node: yaml.Node) -> Value | None:
            before = len(self.problems)
            arguments = self.fields(node, schema)
            return make(**arguments) if len(self.problems) == before else None

        return decode

    def fields(self, node: yaml.Node, schema: Schema) -> dict[str, Any]:
        """Decode the keys of a mapping that are there, and note unknown, doubled and missing ones."""
        arguments: dict[str, Any] = {}
        seen: set[str] = set()
        for key_node, value_node in self.attempt(pairs, node) or ():
            key = str(key_node.value)
            field = schema.fields.get(key)
            if key in seen:
                what = f"key {key!r} appears twice in {schema.thing}"
                self.note(Fault(key_node, what, "remove one", FaultKind.DOUBLED_KEY))
            elif field is None:
                self._note_unknown(key_node, key, schema)
            elif field.required or not is_null(value_node):
                value = self.attempt(field.decode, value_node)
                if value is not None:
                    arguments[field.argument] = value
            seen.add(key)
        self._note_missing(node, seen, schema)
        return arguments

    def _note_unknown(self, node: yaml.Node, key: str, schema: Schema) -> None:
        if schema.strict:
            advice = suggest(key, schema.fields)
            self.note(Fault(node, f"unknown key {key!r} in {schema.thing}", advice, FaultKind.UNKNOWN_KEY))

    def _note_missing(self, node: yaml.Node, seen: set[str], schema: Schema) -> None:
        for key, field in schema.fields.items():
            if field.required and key not in seen and isinstance(node, yaml.MappingNode):
                self.note(Fault(node, f"{schema.thing} has no {key!r}", "add it", FaultKind.MISSING_KEY))


def line_and_column(node: yaml.Node | None) -> tuple[int, int]:
    """Where a node begins, counted from 1; zeros where it was not written in a file."""
    mark = node.start_mark if node is not None else None
    return (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)


def pairs(node: yaml.Node) -> list[tuple[yaml.Node, yaml.Node]]:
    """The keys and values of a mapping."""
    if isinstance(node, yaml.MappingNode):
        return list(node.value)
    raise Fault(node, f"expected a mapping, found {_kind(node)}", "write 'key: value' lines")


def sequence(node: yaml.Node) -> list[yaml.Node]:
    """The items of a list."""
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    raise Fault(node, f"expected a list, found {_kind(node)}", "write '- item' lines or [item, ...]")


def scalar(node: yaml.Node) -> str:
    """The text of a scalar as written; nothing, `~` and null are empty."""
    if not isinstance(node, yaml.ScalarNode):
        raise Fault(node, f"expected a single value, found {_kind(node)}")
    if not node.tag.startswith(_CORE_TAGS):
        raise Fault(node, f"unexpected tag {node.tag}", "remove it")
    return "" if is_null(node) else str(node.value)


def is_null(node: yaml.Node) -> bool:
    """Whether nothing was written: an empty value, `~` or null, not in quotes."""
    return isinstance(node, yaml.ScalarNode) and not node.style and node.value in _NULLS


def boolean(node: yaml.Node) -> bool:
    """true or false."""
    text = scalar(node)
    if text not in ("true", "false"):
        raise Fault(node, f"expected true or false, found {text!r}")
    return text == "true"


def integer(low: int, high: int) -> Callable[[yaml.Node], int]:
    """A whole number from `low` to `high`."""

    def decode(node: yaml.Node) -> int:
        text = scalar(node)
        if not (text.isascii() and text.isdigit()) or not low <= int(text) <= high:
            raise Fault(node, f"expected a whole number from {low} to {high}, found {text!r}")
        return int(text)

    return decode


port = integer(1, 65535)
port_or_zero = integer(0, 65535)


def choice(values: type[Choice]) -> Callable[[yaml.Node], Choice]:
    """One of the words of an enum."""
    words = {str(member.value): member for member in values}

    def decode(node: yaml.Node) -> Choice:
        text = scalar(node)
        if text not in words:
            raise Fault(node, f"unknown value {text!r}", suggest(text, words))
        return words[text]

    return decode


def parsed(parse: Callable[[str], Value], expected: str) -> Callable[[yaml.Node], Value]:
    """Text that `parse` understands; it raises ValueError otherwise."""

    def decode(node: yaml.Node) -> Value:
        text = scalar(node)
        try:
            return parse(text)
        except ValueError:
            raise Fault(node, f"{text!r} is not {expected}") from None

    return decode


def list_of(decode: Callable[[yaml.Node], Value]) -> Callable[[yaml.Node], tuple[Value, ...]]:
    """A list of such values."""
    return lambda node: tuple(decode(item) for item in sequence(node))


def map_of(
    decode_key: Callable[[yaml.Node], Key], decode_value: Callable[[yaml.Node], Value]
) -> Callable[[yaml.Node], dict[Key, Value]]:
    """A mapping of such keys and values."""

    def decode(node: yaml.Node) -> dict[Key, Value]:
        found: dict[Key, Value] = {}
        for key_node, value_node in pairs(node):
            key = decode_key(key_node)
            if key in found:
                raise Fault(key_node, f"key {key_node.value!r} appears twice", "remove one", FaultKind.DOUBLED_KEY)
            found[key] = decode_value(value_node)
        return found

    return decode


def has_key(node: yaml.Node, *keys: str) -> bool:
    """Whether a mapping has any of the keys."""
    return isinstance(node, yaml.MappingNode) and any(key.value in keys for key, _ in node.value)


def _kind(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return "nothing" if is_null(node) else f"{node.value!r}"
