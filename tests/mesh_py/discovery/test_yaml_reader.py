"""The YAML reader: values as written, and a place for every fault."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

import pytest

from mesh_py.discovery.problems import ConfigError
from mesh_py.discovery.yaml_reader import (
    Fault,
    Field,
    Reader,
    Schema,
    boolean,
    choice,
    compose,
    has_key,
    integer,
    list_of,
    map_of,
    node_of,
    pairs,
    parsed,
    port,
    scalar,
    sequence,
    value_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable


class Colour(Enum):
    RED = "Red"
    BLUE = "Blue"


@pytest.mark.parametrize(
    ("decode", "text", "expected"),
    [
        pytest.param(scalar, "on", "on", id="text that YAML 1.1 takes for true"),
        pytest.param(scalar, "0x10", "0x10", id="text that looks like a number"),
        pytest.param(scalar, "'~'", "~", id="quoted tilde"),
        pytest.param(scalar, "~", "", id="nothing"),
        pytest.param(scalar, "null", "", id="null"),
        pytest.param(scalar, "!!str x", "x", id="a standard tag"),
        pytest.param(scalar, "{a: b}", Fault, id="a mapping is no text"),
        pytest.param(scalar, "!Foo x", Fault, id="a foreign tag"),
        pytest.param(boolean, "true", True, id="true"),
        pytest.param(boolean, "false", False, id="false"),
        pytest.param(boolean, "yes", Fault, id="yes is text"),
        pytest.param(integer(0, 9), "9", 9, id="the largest"),
        pytest.param(integer(0, 9), "'3'", 3, id="quoted, as JSON keys are"),
        pytest.param(integer(0, 9), "10", Fault, id="too large"),
        pytest.param(integer(0, 9), "-1", Fault, id="negative"),
        pytest.param(integer(0, 9), "1.0", Fault, id="not whole"),
        pytest.param(integer(0, 9), "\u00b2", Fault, id="a digit that is none"),
        pytest.param(port, "0", Fault, id="port 0"),
        pytest.param(choice(Colour), "Red", Colour.RED, id="a word of the enum"),
        pytest.param(choice(Colour), "red", Fault, id="not a word of the enum"),
        pytest.param(parsed(int, "a number"), "7", 7, id="parsed"),
        pytest.param(parsed(int, "a number"), "x", Fault, id="not parsed"),
        pytest.param(list_of(port), "[1, 2]", (1, 2), id="list"),
        pytest.param(list_of(port), "1", Fault, id="one value is no list"),
        pytest.param(map_of(port, scalar), "{1: a, 2: b}", {1: "a", 2: "b"}, id="map"),
        pytest.param(map_of(port, scalar), "{1: a, '1': b}", Fault, id="a key twice, however written"),
        pytest.param(pairs, "[]", Fault, id="a list is no mapping"),
        pytest.param(sequence, "{}", Fault, id="a mapping is no list"),
    ],
)
def test_decoders(decode: Callable[[Any], Any], text: str, expected: object) -> None:
    node = compose(text, "f")
    if expected is Fault:
        with pytest.raises(Fault):
            decode(node)
    else:
        assert decode(node) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "f:1:1: nothing to read; an empty mesh is written 'workloads: []'", id="empty"),
        pytest.param("# only a comment\n", "f:1:1: nothing to read", id="a comment"),
        pytest.param("a: [1\nb: 2\n", "f:2:2: not YAML: ", id="a bracket left open"),
        pytest.param("a: 1\n  b: 2\n", "f:2:4: not YAML: ", id="an indentation"),
        pytest.param("a: *nobody\n", "f:1:4: not YAML: ", id="an unknown alias"),
        pytest.param("a: 1\n---\nb: 2\n", "f:2:1: not YAML: ", id="two documents"),
        pytest.param("a: \x00", "f: not YAML: ", id="a character that text cannot have"),
        pytest.param('{"a": ', "f:2:1: not YAML: ", id="JSON cut short"),
    ],
)
def test_what_is_no_document(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as refused:
        compose(text, "f")
    assert str(refused.value).startswith(expected)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"name": "\\ud83d\\ude00"}', id="surrogate escapes"),
        pytest.param('{"name": "\\ud83d\\ude00", "' + "k" * 2000 + '": [null, true, 1]}', id="a long key"),
    ],
)
def test_json_that_is_no_yaml_is_read_all_the_same(text: str) -> None:
    node = compose(text, "f")
    assert has_key(node, "name")
    assert scalar(pairs(node)[0][1]) == "\U0001f600"


SCHEMA = Schema("thing", {"name": Field(scalar, "name", required=True), "size": Field(integer(0, 9), "size")})


def problems_of(text: str, schema: Schema = SCHEMA) -> list[str]:
    reader = Reader("f")
    reader.fields(compose(text, "f"), schema)
    return [str(problem) for problem in reader.problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("name: x\nsize: 1", [], id="nothing wrong"),
        pytest.param("name: x\nsize:", [], id="an optional key without a value is as if it was not there"),
        pytest.param("size: 1", ["f:1:1: thing has no 'name'; add it"], id="a key is missing"),
        pytest.param(
            "name: x\nsiez: 1",
            ["f:2:1: unknown key 'siez' in thing; did you mean 'size'?"],
            id="a key is unknown",
        ),
        pytest.param(
            "name: x\nname: y", ["f:2:1: key 'name' appears twice in thing; remove one"], id="a key appears twice"
        ),
        pytest.param(
            "name: []\nsize: big",
            [
                "f:1:7: expected a single value, found a list",
                "f:2:7: expected a whole number from 0 to 9, found 'big'",
            ],
            id="two values are wrong",
        ),
        pytest.param("[]", ["f:1:1: expected a mapping, found a list; write 'key: value' lines"], id="no mapping"),
    ],
)
def test_every_fault_of_a_mapping_is_noted(text: str, expected: list[str]) -> None:
    assert problems_of(text) == expected


def test_unknown_keys_may_be_allowed() -> None:
    assert problems_of("name: x\nother: 1", SCHEMA._replace(strict=False)) == []


def test_faulty_items_and_records_are_left_out_and_noted() -> None:
    reader = Reader("f")
    record = reader.record(lambda name, size=5: (name, size), SCHEMA)
    items = reader.items(compose("- {name: a}\n- {size: 1}\n- {name: b, size: 2}", "f"), record)
    assert items == (("a", 5), ("b", 2))
    with pytest.raises(ConfigError, match=r"^f:2:3: thing has no 'name'; add it$"):
        reader.finish()


def test_nothing_wrong_raises_nothing() -> None:
    reader = Reader("f")
    reader.finish()
    assert reader.problems == []


# Values, for whoever passes on what was written.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a: {b: [1, x]}", {"a": {"b": [1, "x"]}}, id="nested"),
        pytest.param("[true, false, ~, null]", [True, False, None, None], id="words"),
        pytest.param("[0, -5, 80]", [0, -5, 80], id="whole numbers"),
        pytest.param("[1.10, 010, 1e3, 0x1F, +1]", ["1.10", "010", "1e3", "0x1F", "+1"], id="other numbers"),
        pytest.param("['80', \"true\", 'null', '']", ["80", "true", "null", ""], id="in quotes"),
        pytest.param("[yes, on, 2026-01-01]", ["yes", "on", "2026-01-01"], id="what YAML 1.1 changed"),
        pytest.param("{80: x}", {"80": "x"}, id="keys are text"),
        pytest.param("[12345678901234567890]", ["12345678901234567890"], id="too long for a double"),
    ],
)
def test_the_value_of_a_tree(text: str, expected: object) -> None:
    found = value_of(compose(text, "f"))
    assert found == expected
    assert value_of(node_of(found)) == found
