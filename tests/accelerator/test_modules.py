"""The list of compiled modules names files that are there, and nothing that mypyc would get wrong unnoticed."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from accelerator.modules import MODULES
from tests.support.source_tree import ROOT, tree_of

if TYPE_CHECKING:
    from collections.abc import Iterator

WAITS = (ast.Await, ast.AsyncFor, ast.Yield, ast.YieldFrom)
"""Where somebody else runs meanwhile."""


def test_no_module_twice():
    assert len(set(MODULES)) == len(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_no_dataclasses(module: str):
    """mypyc evaluates the types of their fields, whose names are there for type checkers only."""
    tree = tree_of(ROOT / f"{module.replace('.', '/')}.py")
    decorated = [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.decorator_list]
    assert not decorated


def waits_within_an_exception(tree: ast.AST) -> Iterator[int]:
    """Lines at which a coroutine waits while an exception may be under way: mypyc's has no memory of its own for it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncWith):
            yield node.lineno
        elif isinstance(node, ast.Try | ast.TryStar):
            for statement in (*node.handlers, *node.finalbody):
                yield from (inner.lineno for inner in ast.walk(statement) if isinstance(inner, WAITS))


@pytest.mark.parametrize("module", MODULES)
def test_nothing_waits_within_an_exception(module: str):
    assert not list(waits_within_an_exception(tree_of(ROOT / f"{module.replace('.', '/')}.py")))


HARMLESS = ("len", "min", "find")
"""Calls that may be made twice."""


def calls_within_a_slice(tree: ast.AST) -> Iterator[str]:
    """Calls that say where a slice begins or ends: mypyc (2.4) makes them twice where it does not know the sliced."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Slice):
            calls = (inner for inner in ast.walk(node) if isinstance(inner, ast.Call))
            yield from (ast.unparse(call) for call in calls if ast.unparse(call.func).split(".")[-1] not in HARMLESS)


@pytest.mark.parametrize("module", MODULES)
def test_nothing_happens_within_a_slice(module: str):
    assert not list(calls_within_a_slice(tree_of(ROOT / f"{module.replace('.', '/')}.py")))


def test_what_would_happen_twice():
    assert list(calls_within_a_slice(ast.parse("view = view[sock.send(view) :]"))) == ["sock.send(view)"]
    assert not list(calls_within_a_slice(ast.parse("view = view[len(head) : start + 2]")))


@pytest.mark.parametrize(
    "work",
    [
        "async with lock:\n  pass",
        "try:\n  pass\nfinally:\n  await last()",
        "try:\n  pass\nexcept OSError:\n  await last()",
        "try:\n  pass\nexcept* OSError:\n  yield 1",
    ],
)
def test_what_would_be_found(work: str):
    body = work.replace("\n", "\n ")
    assert list(waits_within_an_exception(ast.parse(f"async def f():\n {body}")))


def test_what_is_no_such_wait():
    fine = "async def f():\n try:\n  await one()\n except OSError:\n  raise\n finally:\n  two()\n await three()"
    assert not list(waits_within_an_exception(ast.parse(fine)))
