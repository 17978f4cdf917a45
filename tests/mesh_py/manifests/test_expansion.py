"""YAML aliases cannot make a small text large."""

from __future__ import annotations

import pytest

from mesh_py.discovery.problems import ConfigError
from mesh_py.discovery.yaml_reader import compose_all
from mesh_py.manifests import expansion
from mesh_py.manifests.expansion import MOST_NODES, refuse_expansion

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join(['*' + old] * 10)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    "text",
    ["a: &a [x]\nb: *a\nc: [*a, *a]", "&k a: *k", "- &x {y: z}\n- [[*x], *x]\n- *x", "plain: text"],
)
def test_aliases_are_fine(text: str) -> None:
    refuse_expansion(compose_all(text, "f"), "f")


def test_all_documents_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expansion, "MOST_NODES", 10)
    refuse_expansion(compose_all("[a, b, c]\n---\n[a, b, c]\n", "f"), "f")
    with pytest.raises(ConfigError, match="f:5:1: more than 10 nodes"):
        refuse_expansion(compose_all("[a, b, c]\n---\n[a, b, c]\n---\n[a, b]\n", "f"), "f")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param(LAUGHS, f"f:\\d+:\\d+: more than {MOST_NODES:,} nodes", id="a billion laughs"),
        pytest.param("&a [*a]", "f:1:1: an alias that holds itself", id="a list in itself"),
        pytest.param("a: &a {b: {c: *a}}", "f:1:4: an alias that holds itself", id="a mapping in itself"),
    ],
)
def test_what_is_too_much(text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        refuse_expansion(compose_all(text, "f"), "f")
