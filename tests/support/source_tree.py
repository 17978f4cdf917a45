"""The project's source files as syntax trees: which modules there are, and what each imports."""

from __future__ import annotations

import ast
import functools
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.require import require_tool

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
GENERATED = "xds/proto/"


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module. ``at_run_time`` is false below ``if TYPE_CHECKING`` and inside functions."""

    module: str
    line: int
    at_run_time: bool


def packages() -> list[Path]:
    """Every top-level folder whose name ends in _py."""
    return sorted(path for path in ROOT.glob("*_py") if path.is_dir())


def source_files(*folders: str) -> list[Path]:
    """The Python files of our packages (or of other top-level folders), without generated ones."""
    bases = [ROOT / folder for folder in folders] or packages()
    files = (file for base in bases for file in base.rglob("*.py"))
    return sorted(file for file in files if GENERATED not in file.as_posix())


def module_of(file: Path) -> str:
    """``hbone_py/aio/__init__.py`` is ``hbone_py.aio``."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def tree_of(file: Path) -> ast.Module:
    """The file, parsed."""
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


@functools.cache
def our_modules() -> frozenset[str]:
    """The names of all modules and packages of ours."""
    return frozenset(module_of(file) for file in source_files())


def statements_in(node: ast.AST) -> Iterator[ast.AST]:
    """What a node consists of, without expressions: they are nine of ten nodes, and hold no statement."""
    return (child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr))


def imports_of(tree: ast.Module) -> list[Import]:
    """Everything the file imports, wherever in it; a module counts, not the names taken from it.

    :raises ValueError: an import is relative; ours say the whole name.
    """
    found: list[Import] = []
    _collect(tree, True, found)
    return found


def _collect(node: ast.AST, at_run_time: bool, found: list[Import]) -> None:
    match node:
        case ast.Import():
            found += [Import(alias.name, node.lineno, at_run_time) for alias in node.names]
        case ast.ImportFrom():
            found += [Import(module, node.lineno, at_run_time) for module in _modules_of(node)]
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            at_run_time = False
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            at_run_time = False
    for child in statements_in(node):
        _collect(child, at_run_time, found)


def _modules_of(node: ast.ImportFrom) -> set[str]:
    """``from a import b`` imports ``a.b`` where that is a module of ours, else ``a``."""
    if node.level or node.module is None:
        raise ValueError(f"line {node.lineno}: a relative import")
    submodules = {f"{node.module}.{alias.name}" for alias in node.names}
    return {name if name in our_modules() else node.module for name in submodules}


def tracked_files() -> list[Path]:
    """What git keeps of this folder and is still there."""
    listed = subprocess.run(
        [require_tool("git"), "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True, text=True
    )
    files = (ROOT / name for name in listed.stdout.split("\0") if name)
    return [file for file in files if file.is_file()]
