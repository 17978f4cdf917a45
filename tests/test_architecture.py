"""The layers of this project, as assertions: who may import whom, what is pure, how large things may grow.

    ztunnel_py  sidecar_py  waypoint_py  istiod_py       lab_py (starts them as processes)
          |           |           |          |             |
    mesh_py:   telemetry, identity, xds, admin, exchange, proxy, ...  I/O allowed
               http > manifests > discovery > policy > model          pure
    hbone_py:  aio                                                    I/O allowed
               tls > everything else                                  pure (tls reads certificate files)

A module imports only what is below it or beside it. ``hbone_py`` imports nothing else of ours, so that it is a library
by itself; the roles never import each other, and nobody imports the roles or the lab.
"""

from __future__ import annotations

import ast
import graphlib
from typing import TYPE_CHECKING

import pytest

from tests.support.source_tree import (
    ROOT,
    imports_of,
    module_of,
    our_modules,
    packages,
    source_files,
    statements_in,
    tree_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

ROLES = {"ztunnel_py", "sidecar_py", "waypoint_py", "istiod_py"}
MAY_IMPORT = {
    "hbone_py": {"hbone_py"},
    "mesh_py": {"hbone_py", "mesh_py"},
    "lab_py": {"hbone_py", "mesh_py", "lab_py"},
    **{role: {"hbone_py", "mesh_py", role} for role in ROLES},
}

# Within a package, a higher number may import a lower one. What is not named stands at the package's "*".
LEVELS = {
    "hbone_py": {"aio": 2, "tls": 1, "*": 0},
    "mesh_py": {"model": 0, "policy": 1, "discovery": 2, "manifests": 3, "http": 4, "*": 5},
}
IMPURE_MODULES = frozenset(
    {"asyncio", "uvloop", "aiohttp", "selectors", "select", "socket", "ssl"}
    | {"threading", "multiprocessing", "concurrent", "subprocess", "signal"}
    | {"time", "random", "secrets", "os", "sys"}
)
PURE_PARTS_OF_ISTIOD = frozenset({"ambient", "proxy_config"})
IMPURE_CALLS = frozenset({"open", "input", "now", "utcnow", "today"})
# The TLS engine works over memory buffers; beside it stand the files of certificates and of the key log.
TLS_MAY = frozenset({"ssl", "os", "open"})

MOST_LINES_OF_A_FILE = 500
MOST_LINES_OF_A_FUNCTION = 80


def package_of(module: str) -> str:
    return module.partition(".")[0]


def part_of(module: str) -> str:
    """The part of its package that a module belongs to: ``mesh_py.model.route`` is in ``model``."""
    return [*module.split("."), ""][1]


def level_of(module: str) -> int:
    levels = LEVELS[package_of(module)]
    return levels.get(part_of(module), levels["*"])


def is_front(module: str) -> bool:
    """A package's own __init__, which may offer the best of every layer under one name."""
    return module in {path.name for path in packages()}


def is_pure(module: str) -> bool:
    """What decides and never acts: no sockets, no clock, no chance, no environment."""
    match package_of(module):
        case "hbone_py":
            return level_of(module) < 2 and not is_front(module)
        case "mesh_py":
            return level_of(module) < LEVELS["mesh_py"]["*"]
        case "istiod_py":
            return part_of(module) in PURE_PARTS_OF_ISTIOD
        case _:
            return False


def upward_imports(module: str, tree: ast.Module) -> Iterator[str]:
    package = package_of(module)
    for imported in imports_of(tree):
        owner = package_of(imported.module)
        if owner not in MAY_IMPORT:
            continue
        inside = owner == package and package in LEVELS and not is_front(module)
        if owner not in MAY_IMPORT[package] or (inside and level_of(imported.module) > level_of(module)):
            yield f"line {imported.line}: {module} may not import {imported.module}"


def impurities(module: str, tree: ast.Module) -> Iterator[str]:
    allowed = TLS_MAY if part_of(module) == "tls" else frozenset()
    for imported in imports_of(tree):
        if package_of(imported.module) in IMPURE_MODULES - allowed:
            yield f"line {imported.line}: a pure module may not import {imported.module}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and called_name(node) in IMPURE_CALLS - allowed:
            yield f"line {node.lineno}: a pure module may not call {called_name(node)}()"


def called_name(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def complaints(rule: Callable[[str, ast.Module], Iterator[str]], files: Iterable[Path]) -> list[str]:
    """Everything a rule has to say. One test for all files: thousands of cases would cost more than what they ask."""
    return [f"{file.relative_to(ROOT)}: {text}" for file in files for text in rule(module_of(file), tree_of(file))]


def test_imports_point_down() -> None:
    assert complaints(upward_imports, source_files()) == []


def test_pure_modules_stay_pure() -> None:
    pure = [file for file in source_files() if is_pure(module_of(file))]
    assert len(pure) > 100
    assert complaints(impurities, pure) == []


def test_nothing_imports_itself_in_a_circle() -> None:
    graph = {
        module_of(file): {
            imported.module
            for imported in imports_of(tree_of(file))
            if imported.at_run_time and imported.module in our_modules()
        }
        for file in source_files()
    }
    order = list(graphlib.TopologicalSorter(graph).static_order())  # a CycleError names the circle
    assert set(order) == our_modules()


def test_files_and_functions_stay_small() -> None:
    assert complaints(excesses, source_files() + source_files("certs", "benchmarks", "tests")) == []


def excesses(module: str, tree: ast.Module) -> Iterator[str]:
    lines = last_line(tree)
    if lines > MOST_LINES_OF_A_FILE:
        yield f"{lines} lines: two ideas want two files"
    for node in functions_in(tree):
        if length_of(node) > MOST_LINES_OF_A_FUNCTION:
            yield f"{node.name} has {length_of(node)} lines"


def functions_in(node: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for child in statements_in(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
        yield from functions_in(child)


def length_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return last_line(node) - node.lineno + 1


def last_line(node: ast.Module | ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return node.body[-1].end_lineno or 0 if node.body else 0


def test_every_file_says_what_it_is() -> None:
    files = source_files() + source_files("certs", "benchmarks")
    assert [file for file in files if not ast.get_docstring(tree_of(file))] == []


@pytest.mark.parametrize("package", [path.name for path in packages()])
def test_a_package_is_typed_and_has_its_place_in_the_layers(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
    assert package in MAY_IMPORT


# The rules themselves, tried on code that breaks them.


@pytest.mark.parametrize(
    ("module", "code", "complaint"),
    [
        pytest.param("hbone_py.frames", "import mesh_py.model", "may not import mesh_py.model", id="library to mesh"),
        pytest.param("hbone_py.frames", "from hbone_py.aio import relay", "hbone_py.aio", id="engine to shell"),
        pytest.param("hbone_py.tls.x", "import hbone_py.aio", "hbone_py.aio", id="TLS to shell"),
        pytest.param("mesh_py.model.x", "from mesh_py.policy import y", "mesh_py.policy", id="model to policy"),
        pytest.param("mesh_py.policy.x", "import mesh_py.rpc", "mesh_py.rpc", id="pure to I/O"),
        pytest.param("ztunnel_py.x", "import waypoint_py", "waypoint_py", id="role to role"),
        pytest.param("lab_py.x", "import ztunnel_py.app", "ztunnel_py.app", id="lab to role"),
        pytest.param("mesh_py.rpc", "def f():\n import lab_py", "lab_py", id="hidden in a function"),
    ],
)
def test_an_import_that_points_up_is_found(module: str, code: str, complaint: str) -> None:
    [found] = upward_imports(module, ast.parse(code))
    assert complaint in found


@pytest.mark.parametrize(
    ("module", "code"),
    [
        pytest.param("hbone_py.frames", "import socket", id="socket"),
        pytest.param("hbone_py.frames", "from time import monotonic", id="from time"),
        pytest.param("hbone_py.frames", "import os.path", id="submodule"),
        pytest.param("hbone_py.tls.x", "import asyncio", id="TLS with a loop"),
        pytest.param("mesh_py.model.x", "import ssl", id="ssl outside TLS"),
        pytest.param("mesh_py.policy.x", "def f(): datetime.datetime.now()", id="a clock"),
        pytest.param("mesh_py.discovery.x", "open('f')", id="a file"),
    ],
)
def test_an_impurity_is_found(module: str, code: str) -> None:
    assert is_pure(module)
    assert len(list(impurities(module, ast.parse(code)))) == 1


@pytest.mark.parametrize(
    ("module", "code"),
    [
        pytest.param("hbone_py.tls.x", "import ssl", id="TLS with ssl"),
        pytest.param("mesh_py.http.x", "from mesh_py.policy import y", id="http to policy"),
        pytest.param("ztunnel_py.x", "from mesh_py.rpc import y\nimport hbone_py", id="role to mesh"),
    ],
)
def test_what_is_allowed_is_let_through(module: str, code: str) -> None:
    tree = ast.parse(code)
    assert list(upward_imports(module, tree)) == []
    assert not is_pure(module) or list(impurities(module, tree)) == []
