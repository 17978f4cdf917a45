"""Looking at a folder: which files count, and what is too much."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from istiod_py import folder
from istiod_py.folder import FolderError, Limits
from mesh_py.discovery.problems import Problem

if TYPE_CHECKING:
    from pathlib import Path

LIMITS = Limits()


def names(path: Path, limits: Limits = LIMITS) -> list[str]:
    return [os.path.relpath(name, path) for name in folder.look(path, limits).files]


def write(path: Path, *files: str) -> None:
    for name in files:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(name)


def test_manifests_count_in_all_folders_and_in_order(tmp_path: Path) -> None:
    write(tmp_path, "b.yaml", "a.yml", "c/d/e.json", "c/a.YAML", "c.yaml")
    assert names(tmp_path) == ["a.yml", "b.yaml", "c.yaml", "c/a.YAML", "c/d/e.json"]


def test_other_files_and_hidden_ones_do_not(tmp_path: Path) -> None:
    write(tmp_path, "a.txt", "a.yaml~", ".a.yaml", ".git/a.yaml", "a.yaml.swp", "README.md")
    os.mkfifo(tmp_path / "pipe.yaml")
    assert names(tmp_path) == []


def test_a_mounted_config_map_counts_once(tmp_path: Path) -> None:
    write(tmp_path, "..2024/web.yaml")
    (tmp_path / "..data").symlink_to("..2024")
    (tmp_path / "web.yaml").symlink_to("..data/web.yaml")
    assert names(tmp_path) == ["web.yaml"]


def test_links_in_a_circle_and_links_to_nothing_do_no_harm(tmp_path: Path) -> None:
    write(tmp_path, "a/b.yaml")
    (tmp_path / "a/up").symlink_to("..")
    (tmp_path / "lost.yaml").symlink_to("nothing.yaml")
    assert names(tmp_path) == ["a/b.yaml"]


def test_a_stamp_changes_with_the_file(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "b.yaml")
    before = folder.look(tmp_path, LIMITS).files
    (tmp_path / "b.yaml").write_text("longer than before")
    after = folder.look(tmp_path, LIMITS).files
    assert [name for name in after if before[name] != after[name]] == [str(tmp_path / "b.yaml")]


def test_too_many_files_are_left_out_and_named(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "b.yaml", "c.yaml")
    found = folder.look(tmp_path, Limits(files=2))
    assert [os.path.basename(name) for name in found.files] == ["a.yaml", "b.yaml"]
    assert [str(problem) for problem in found.problems] == [
        f"{tmp_path}/c.yaml: more than 2 files; this and later ones are left out"
    ]


def test_too_deep_a_folder_is_left_out_and_named(tmp_path: Path) -> None:
    write(tmp_path, "a/b/c.yaml", "a/b.yaml")
    found = folder.look(tmp_path, Limits(depth=1))
    assert names(tmp_path, Limits(depth=1)) == ["a/b.yaml"]
    assert [str(problem) for problem in found.problems] == [f"{tmp_path}/a/b: too many folders in folders; left out"]


@pytest.mark.parametrize("kind", ["nothing", "file"])
def test_what_is_no_folder_is_refused(tmp_path: Path, kind: str) -> None:
    if kind == "file":
        write(tmp_path, "it")
    with pytest.raises(FolderError, match=f"{tmp_path}/it: .* name a folder of manifests"):
        folder.look(tmp_path / "it", LIMITS)


def test_a_file_is_read_as_text(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfkind: Pod")
    assert folder.read(str(tmp_path / "a.yaml"), LIMITS) == "kind: Pod"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        pytest.param(b"a\nb\xff", "not UTF-8 text at byte 3", id="no text"),
        pytest.param(b"a" * (1 << 20) + b"b", "more than 1 MiB", id="too large"),
        pytest.param(None, "no such file or directory", id="not there"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path, content: bytes | None, what: str) -> None:
    if content is not None:
        (tmp_path / "a.yaml").write_bytes(content)
    found = folder.read(str(tmp_path / "a.yaml"), Limits(bytes_of_a_file=1 << 20))
    assert isinstance(found, Problem)
    assert found.what == what
