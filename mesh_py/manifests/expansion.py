"""A bound on what YAML aliases can make of a small text [pure].

`*name` stands for all of `&name`, aliases may be nested, and a few lines can so mean billions of nodes, or a tree that
holds itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from mesh_py.discovery.problems import ConfigError, Problem
from mesh_py.discovery.yaml_reader import line_and_column

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_NODES = 2_000_000
"""Scalars, lists and mappings of a file, with aliases written out."""


def refuse_expansion(nodes: Iterable[yaml.Node], file: str) -> None:
    """Raises ConfigError if aliases make a tree endless or larger than `MOST_NODES`."""
    sizes: dict[int, int] = {}
    total = 0
    for node in nodes:
        total += _size(node, sizes, file)
        if total > MOST_NODES:
            raise _too_large(node, file)


def _size(root: yaml.Node, sizes: dict[int, int], file: str) -> int:
    """The number of nodes below and with `root`. Depth-first without recursion; `sizes` holds what is done."""
    open_nodes: set[int] = set()
    stack = [(root, False)]
    while stack:
        node, children_done = stack.pop()
        key = id(node)
        if children_done:
            open_nodes.discard(key)
            sizes[key] = 1 + sum(sizes[id(child)] for child in _children(node))
            if sizes[key] > MOST_NODES:
                raise _too_large(node, file)
        elif key in open_nodes:
            raise ConfigError([_problem(node, file, "an alias that holds itself", "write it out")])
        elif key not in sizes:
            open_nodes.add(key)
            stack.append((node, True))
            stack.extend((child, False) for child in _children(node))
    return sizes[id(root)]


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _too_large(node: yaml.Node, file: str) -> ConfigError:
    what = f"more than {MOST_NODES:,} nodes with aliases written out"
    return ConfigError([_problem(node, file, what, "split the file, or use fewer aliases")])


def _problem(node: yaml.Node, file: str, what: str, advice: str) -> Problem:
    return Problem(file, *line_and_column(node), what, advice)
