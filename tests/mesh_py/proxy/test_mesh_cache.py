"""What is remembered is what holds still."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from mesh_py.manifests.proxy_file import Further
from mesh_py.proxy.mesh_cache import MeshCache


def cache(most: int = 10) -> tuple[MeshCache[str, int], Any]:
    context: Any = SimpleNamespace(state=SimpleNamespace(version=1), directory=SimpleNamespace(further=Further()))
    return MeshCache(context, most), context


def test_what_was_kept_is_there() -> None:
    known, _ = cache()
    assert known.get("one") is None
    assert known.keep("one", 1) == 1
    assert known.get("one") == 1


def test_a_change_of_the_mesh_or_of_the_manifests_makes_it_forget() -> None:
    known, context = cache()
    for change in ("mesh", "manifests"):
        known.get("one")
        known.keep("one", 1)
        if change == "mesh":
            context.state.version += 1
        else:
            context.directory.further = Further()
        assert known.get("one") is None, change


def test_it_is_bounded() -> None:
    known, _ = cache(most=2)
    known.get("one")
    for key in ("one", "two", "three"):
        known.keep(key, 1)
    assert [known.get(key) for key in ("one", "two", "three")] == [None, None, 1]
