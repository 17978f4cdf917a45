"""Merge keys, judged by PyYAML's own reading of them."""

from __future__ import annotations

import pytest
import yaml

from mesh_py.discovery.problems import ConfigError
from mesh_py.discovery.yaml_reader import compose_all
from mesh_py.manifests.core import Namespace
from mesh_py.manifests.merge_keys import merge_keys
from tests.support.manifests import read


def plain(node: yaml.Node) -> object:
    """A tree as Python has it, every scalar a text."""
    if isinstance(node, yaml.MappingNode):
        return {key.value: plain(value) for key, value in node.value}
    return [plain(item) for item in node.value] if isinstance(node, yaml.SequenceNode) else node.value


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a: &a {x: '1', y: '2'}\nb: {<<: *a, z: '3'}", id="merged"),
        pytest.param("a: &a {x: '1', y: '2'}\nb: {<<: *a, x: '9'}", id="what is written wins"),
        pytest.param("a: &a {x: '1', y: '2'}\nb: {x: '9', <<: *a}", id="wherever it is written"),
        pytest.param("a: &a {x: '1'}\nb: &b {x: '2', y: '2'}\nc: {<<: [*a, *b]}", id="the first of several wins"),
        pytest.param("a: &a {x: '1'}\nb: &b {<<: *a, y: '2'}\nc: {<<: *b, z: '3'}", id="merged twice"),
        pytest.param("- &a {x: '1'}\n- {k: {<<: *a}}\n- *a", id="deep inside"),
        pytest.param("a: {<<: {x: '1'}, y: '2'}", id="a mapping on the spot"),
        pytest.param("a: {'<<': 'text'}", id="a quoted key is a key"),
    ],
)
def test_merge_keys(text: str) -> None:
    nodes = compose_all(text, "f")
    merge_keys(nodes, "f")
    assert [plain(node) for node in nodes] == [yaml.safe_load(text) if "'<<'" not in text else {"a": {"<<": "text"}}]


@pytest.mark.parametrize("text", ["a: &a [x]\nb: {<<: *a}", "a: &a x\nb: {<<: *a}", "a: &a x\nb: {<<: [*a]}"])
def test_only_mappings_can_be_merged(text: str) -> None:
    with pytest.raises(ConfigError, match=r"f:1:.*: only mappings can be merged; write <<: "):
        merge_keys(compose_all(text, "f"), "f")


def test_a_manifest_may_use_them() -> None:
    text = """
    apiVersion: v1
    kind: Namespace
    metadata:
      name: a
      labels: &labels {app: web}
      annotations: {<<: *labels, more: "yes"}
    """
    assert read(Namespace, text).metadata.annotations == {"app": "web", "more": "yes"}
