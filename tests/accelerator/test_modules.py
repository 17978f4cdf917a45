"""The list of compiled modules names files that are there, and nothing that mypyc would get wrong unnoticed."""

from __future__ import annotations

import ast

import pytest

from accelerator.modules import MODULES
from tests.support.source_tree import ROOT, tree_of


def test_no_module_twice():
    assert len(set(MODULES)) == len(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_no_dataclasses(module: str):
    """mypyc evaluates the types of their fields, whose names are there for type checkers only."""
    tree = tree_of(ROOT / f"{module.replace('.', '/')}.py")
    decorated = [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.decorator_list]
    assert not decorated
