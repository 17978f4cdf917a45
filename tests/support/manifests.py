"""Manifests in tests: written as YAML, read as they are from a folder."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING, TypeVar

from mesh_py.manifests.objects import Manifests
from mesh_py.manifests.reader import read_manifests, scan

if TYPE_CHECKING:
    from mesh_py.manifests.objects import KubernetesObject

Found = TypeVar("Found", bound="KubernetesObject")


def read(kind: type[Found], text: str) -> Found:
    """The one object of a text, which must be sound and of the kind."""
    contents = read_manifests(dedent(text), "f.yaml")
    assert contents.warnings == ()
    [found] = contents.objects
    assert isinstance(found, kind)
    return found


def faults(text: str) -> list[str]:
    """What is wrong with a text, without the file's name."""
    return [str(problem).removeprefix("f.yaml:").strip() for problem in scan(dedent(text), "f.yaml").faults]


def warnings(text: str) -> list[str]:
    """What is allowed and probably not meant."""
    return [str(problem).removeprefix("f.yaml:").strip() for problem in scan(dedent(text), "f.yaml").warnings]


def manifests(text: str) -> Manifests:
    """All objects of a text, which must be sound."""
    return Manifests.of(read_manifests(dedent(text), "f.yaml").objects)
