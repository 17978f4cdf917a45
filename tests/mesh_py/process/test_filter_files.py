"""A user's filter, loaded and run: the one that docs/filters.md shows."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from mesh_py.http.errors import AccessDenied
from mesh_py.http.filters.base import Respond
from mesh_py.http.filters.chain import FilterChain
from mesh_py.http.messages import HttpResponse
from mesh_py.process.filter_files import FilterFile, FilterFileError, load_filter
from tests.mesh_py.http.filters.streams import stream
from tests.mesh_py.http.routes import request
from tests.support.source_tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shown(tmp_path: Path) -> Path:
    """The example, as a file."""
    [code] = re.findall(r"```python\n(.*?)```", (ROOT / "docs/filters.md").read_text(), re.DOTALL)
    file = tmp_path / "tenant.py"
    file.write_text(code)
    return file


def test_the_example_does_what_it_says(shown: Path) -> None:
    chain = FilterChain([load_filter(FilterFile(shown, "Tenant", {"blocked": ["acme"]}))])

    assert isinstance(chain.run(request(), stream()).step, Respond)
    with pytest.raises(AccessDenied):
        chain.run(request(x_tenant="acme"), stream())

    asked, info, response = request(x_tenant="good"), stream(), HttpResponse(200)
    assert chain.run(asked, info).step is None
    chain.finish(response, info)
    assert asked.headers.get("x-caller") == "cluster.local/ns/default/sa/sleep"
    assert response.headers.get("x-tenant-requests") == "1"


@pytest.mark.parametrize(
    ("code", "name", "settings", "words"),
    [
        pytest.param("class A: ...", "B", {}, "no class B", id="no such class"),
        pytest.param("A = 1", "A", {}, "no class A", id="no class"),
        pytest.param("class", "A", {}, "cannot be loaded: SyntaxError", id="no Python"),
        pytest.param("1 / 0", "A", {}, "cannot be loaded: ZeroDivisionError", id="code that fails"),
        pytest.param("class A: ...", "A", {"x": 1}, "does not take its settings", id="settings"),
        pytest.param(
            "class A:\n def on_request(self, request, info): ...", "A", {}, "no method on_response", id="a hook"
        ),
    ],
)
def test_what_cannot_be_used_says_why(
    tmp_path: Path, code: str, name: str, settings: dict[str, object], words: str
) -> None:
    file = tmp_path / "one.py"
    file.write_text(code)
    with pytest.raises(FilterFileError, match=words):
        load_filter(FilterFile(file, name, settings))


def test_an_edit_is_seen_at_once_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """Of the same length, and of the same second by the file's own time."""
    file = tmp_path / "own.py"
    told = []
    for word in ("this", "that"):
        file.write_text(
            f"class A:\n said = {word!r}\n def on_request(self, r, i): ...\n def on_response(self, r, i): ..."
        )
        os.utime(file, (1_800_000_000, 1_800_000_000))
        told.append(load_filter(FilterFile(file, "A")).said)  # type: ignore[attr-defined]
    assert told == ["this", "that"]
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(FilterFileError, match="no such file"):
        load_filter(FilterFile(tmp_path / "none.py", "A"))
    (tmp_path / "one.txt").write_text("")
    with pytest.raises(FilterFileError, match="not a Python file"):
        load_filter(FilterFile(tmp_path / "one.txt", "A"))
