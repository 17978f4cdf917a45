"""YAML's merge key: `<<: *defaults` brings in the pairs of another mapping, or of several [pure].

YAML 1.1 has it, and so have Kubernetes' own tools. A key that is written wins over one that is merged, and an earlier
mapping of a list over a later one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml

from mesh_py.discovery.problems import ConfigError, Problem
from mesh_py.discovery.yaml_reader import line_and_column

if TYPE_CHECKING:
    from collections.abc import Iterable

MERGE = "<<"
_Pair = tuple[yaml.Node, yaml.Node]


def merge_keys(nodes: Iterable[yaml.Node], file: str) -> None:
    """Replace every merge key by the pairs that it brings. No node may hold itself.

    Raises:
        ConfigError: something else than mappings is to be merged.
    """
    done: set[int] = set()
    stack = [(node, False) for node in nodes]
    while stack:
        node, children_done = stack.pop()
        if id(node) in done:
            continue
        if children_done:
            done.add(id(node))
            _merge(node, file)
        else:
            stack.append((node, True))
            stack.extend((child, False) for child in _children(node))


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [value for _, value in node.value]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _merge(node: yaml.Node, file: str) -> None:
    if not isinstance(node, yaml.MappingNode) or not any(_is_merge(key) for key, _ in node.value):
        return
    own = [(key, value) for key, value in node.value if not _is_merge(key)]
    taken = {key.value for key, _ in own if isinstance(key, yaml.ScalarNode)}
    for key, value in node.value:
        if _is_merge(key):
            for pair in _brought(value, file):
                if pair[0].value not in taken:
                    taken.add(pair[0].value)
                    own.append(pair)
    node.value = own


def _is_merge(key: yaml.Node) -> bool:
    return isinstance(key, yaml.ScalarNode) and key.value == MERGE and not key.style


def _brought(value: yaml.Node, file: str) -> Iterable[_Pair]:
    sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
    for source in sources:
        if not isinstance(source, yaml.MappingNode):
            advice = "write <<: *name, of a mapping"
            raise ConfigError([Problem(file, *line_and_column(source), "only mappings can be merged", advice)])
        yield from ((key, item) for key, item in source.value if isinstance(key, yaml.ScalarNode))
