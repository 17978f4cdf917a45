"""The folder while we run: edits that settle, edits that are broken, folders that vanish."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from istiod_py import folder
from istiod_py.folder import FolderError, Limits
from istiod_py.registry import Registry, RegistrySettings
from mesh_py.discovery.problems import ConfigError
from mesh_py.manifests.addresses import AddressRanges
from mesh_py.model.address import Cidr
from tests.support.processes import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from mesh_py.manifests.objects import Manifests

NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {}}}\n"
POD = "apiVersion: v1\nkind: Pod\nmetadata: {{name: {}, namespace: shop}}\nspec: {{containers: []}}\n"
BROKEN = "apiVersion: v1\nkind: Namespace\nmetadata: {nam: x}\n"


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    (tmp_path / "a.yaml").write_text(NAMESPACE.format("one"))
    (tmp_path / "b.yaml").write_text(POD.format("web"))
    return Registry.load(RegistrySettings(tmp_path))


def names(registry: Registry) -> list[str]:
    return [one.metadata.name for one in registry.manifests.namespaces]


def settle(registry: Registry) -> bool:
    """Two looks, of which the second finds what the first found."""
    assert not registry.look(now=100.0)
    return registry.look(now=100.25)


def test_everything_is_read_at_the_start_and_completed(registry: Registry) -> None:
    assert names(registry) == ["one"]
    assert [len(pod.ips) for pod in registry.manifests.pods] == [1]
    assert registry.problems == ()
    assert not settle(registry)


def test_a_broken_file_at_the_start_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(NAMESPACE.format("one"))
    (tmp_path / "b.yaml").write_text(BROKEN)
    with pytest.raises(ConfigError) as refused:
        Registry.load(RegistrySettings(tmp_path))
    assert [(problem.file.rpartition("/")[2], problem.line) for problem in refused.value.problems] == [
        ("b.yaml", 3),
        ("b.yaml", 3),
    ]


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="no such file or directory: name a folder of manifests"):
        Registry.load(RegistrySettings(tmp_path / "nowhere"))


def test_an_edit_counts_once_two_looks_agree(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(NAMESPACE.format("three"))
    assert not registry.look(now=0.0)
    assert names(registry) == ["one"]
    assert registry.look(now=0.25)
    assert names(registry) == ["three"]
    assert not registry.look(now=0.5)


def test_files_that_come_go_and_are_replaced(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new/c.yaml").write_text(NAMESPACE.format("two"))
    assert settle(registry)
    assert names(registry) == ["one", "two"]
    (tmp_path / "a.yaml").unlink()
    assert settle(registry)
    assert names(registry) == ["two"]
    (tmp_path / "x").write_text(NAMESPACE.format("four"))
    (tmp_path / "x").rename(tmp_path / "new/c.yaml")
    assert settle(registry)
    assert names(registry) == ["four"]


def test_a_half_written_file_is_not_read(registry: Registry, tmp_path: Path) -> None:
    text = NAMESPACE.format("written")
    for end in range(10, len(text), 10):
        (tmp_path / "a.yaml").write_text(text[:end])
        assert not registry.look(now=0.0)
    (tmp_path / "a.yaml").write_text(text)
    assert settle(registry)
    assert names(registry) == ["written"]
    assert registry.problems == ()


def test_a_file_that_never_keeps_still_holds_nobody_up_for_long(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(NAMESPACE.format("settled"))
    served = []
    for number in range(60):
        (tmp_path / "log.yaml").write_text(f"# {'x' * number}\n")
        registry.look(now=number * 0.25)
        served.append(names(registry))
    assert served[0] == ["one"]
    assert served[30] == ["one"]
    assert served[-1] == ["settled"]


def test_a_broken_edit_is_told_and_changes_nothing(
    registry: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.yaml").write_text(BROKEN)
    (tmp_path / "c.yaml").write_text(NAMESPACE.format("two"))
    assert settle(registry)
    assert names(registry) == ["one", "two"]
    assert [(problem.line, problem.column) for problem in registry.problems] == [(3, 11), (3, 12)]
    assert f"{tmp_path}/a.yaml:3:12: unknown key 'nam' in metadata; did you mean 'name'?" in caplog.messages
    assert f"{tmp_path}/a.yaml: the edit is ignored, its last good version stays" in caplog.messages
    caplog.clear()
    assert not settle(registry)
    assert caplog.messages == []
    (tmp_path / "a.yaml").write_text(NAMESPACE.format("mended"))
    assert settle(registry)
    assert (names(registry), registry.problems) == (["mended", "two"], ())


def test_an_edit_that_says_the_same_is_no_change(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("# a comment\n" + NAMESPACE.format("one"))
    assert not settle(registry)
    assert registry.manifests.namespaces[0].metadata.place.line == 2


def test_addresses_stay_while_the_folder_is_edited(registry: Registry, tmp_path: Path) -> None:
    [before] = registry.manifests.pods
    for number in range(50):
        (tmp_path / f"a{number}.yaml").write_text(POD.format(f"a{number}"))
    assert settle(registry)
    assert before in registry.manifests.pods


def test_a_name_that_is_taken_is_told_once(
    registry: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "c.yaml").write_text(POD.format("web"))
    assert not settle(registry)
    (tmp_path / "d.yaml").write_text(NAMESPACE.format("two"))
    assert settle(registry)
    assert sum("is there already" in message for message in caplog.messages) == 1
    assert [problem.what for problem in registry.problems] == [
        f"Pod shop/web is there already, at {tmp_path}/b.yaml:1:1; this one is left out"
    ]


def test_a_range_that_runs_out_keeps_what_was_served(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(POD.format("a"))
    block = Cidr.parse("10.0.0.0/30")
    registry = Registry.load(RegistrySettings(tmp_path, ranges=AddressRanges(pods=block)))
    (tmp_path / "b.yaml").write_text("---\n".join(POD.format(name) for name in "bcd"))
    assert not settle(registry)
    assert len(registry.manifests.pods) == 1
    assert "no address left in 10.0.0.0/30" in registry.problems[0].what


def test_a_folder_that_vanishes_is_told_once_and_changes_nothing(
    registry: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    aside = tmp_path.with_name(f"{tmp_path.name}-aside")
    tmp_path.rename(aside)
    assert not settle(registry)
    assert not settle(registry)
    assert len(caplog.messages) == 1
    assert "the last good state stays" in caplog.messages[0]
    assert names(registry) == ["one"]
    assert [problem.file for problem in registry.problems] == [str(tmp_path)]
    aside.rename(tmp_path)
    assert not settle(registry)
    assert registry.problems == ()
    (tmp_path / "c.yaml").write_text(NAMESPACE.format("two"))
    assert settle(registry)
    assert (names(registry), registry.problems) == (["one", "two"], ())


def test_too_many_files_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(NAMESPACE.format("one"))
    registry = Registry.load(RegistrySettings(tmp_path, limits=Limits(files=1)))
    (tmp_path / "b.yaml").write_text(NAMESPACE.format("two"))
    assert not settle(registry)
    assert names(registry) == ["one"]
    assert "more than 1 files" in registry.problems[0].what


def test_warnings_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.yaml").write_text("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n")
    Registry.load(RegistrySettings(tmp_path))
    assert [(record.levelno, record.message) for record in caplog.records] == [
        (logging.WARNING, f"{tmp_path}/a.yaml:2:7: v1 Secret does not concern the mesh; passed over")
    ]


async def test_an_error_of_ours_does_not_end_the_following(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.yaml").write_text(NAMESPACE.format("one"))
    registry = Registry.load(RegistrySettings(tmp_path, look_every=0.01))
    real, failures = folder.look, [RuntimeError("ours")]

    def look(path: Path, limits: Limits) -> folder.Look:
        if failures:
            raise failures.pop()
        return real(path, limits)

    monkeypatch.setattr(folder, "look", look)
    async with asyncio.TaskGroup() as group:
        following = group.create_task(registry.follow())
        (tmp_path / "b.yaml").write_text(NAMESPACE.format("two"))
        await eventually(lambda: names(registry) == ["one", "two"], "the edit is served all the same")
        following.cancel()
    assert f"! {tmp_path}: unexpected error" in caplog.messages


async def test_subscribers_hear_of_a_change_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.yaml").write_text(NAMESPACE.format("one"))
    registry = Registry.load(RegistrySettings(tmp_path, look_every=0.01))
    heard: list[list[str]] = []

    def hear(manifests: Manifests) -> None:
        heard.append([one.metadata.name for one in manifests.namespaces])

    def fail(_: Manifests) -> None:
        raise RuntimeError("trouble")

    registry.subscribe(fail)
    stop = registry.subscribe(hear)
    async with asyncio.TaskGroup() as group:
        following = group.create_task(registry.follow())
        (tmp_path / "a.yaml").write_text(NAMESPACE.format("first"))
        (tmp_path / "b.yaml").write_text(NAMESPACE.format("second"))
        await eventually(lambda: len(heard) == 1, "the change is told")
        stop()
        (tmp_path / "a.yaml").write_text(NAMESPACE.format("again"))
        await eventually(lambda: registry.version == 2, "the second change is served")
        following.cancel()
    assert heard == [["first", "second"]]
    assert "! a subscriber failed" in caplog.messages
