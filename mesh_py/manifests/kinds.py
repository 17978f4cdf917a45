"""How a kind of object is read: its group, its versions, and its keys beside `metadata` [pure]."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from mesh_py.discovery.yaml_reader import Field, Schema
from mesh_py.manifests.decoders import ignored

if TYPE_CHECKING:
    from mesh_py.manifests.decoders import ManifestReader

Parts = Mapping[str, Any]
"""Arguments that a part of an object (`spec`, `status`) gives to its class."""


class Kind(NamedTuple):
    """One kind of object, read by one reader."""

    make: Callable[..., Any]
    """Takes `metadata` and the arguments of every part."""
    fields: Mapping[str, Field]
    """Keys beside apiVersion, kind and metadata; each decodes to arguments (`Parts`)."""


class KindName(NamedTuple):
    """What makes a kind known before anything of it is read."""

    group: str
    versions: tuple[str, ...]
    """The current one first."""
    namespaced: bool = True


def part(reader: ManifestReader, thing: str, fields: Mapping[str, Field], *, strict: bool = True) -> Field:
    """A key such as `spec` whose value is a mapping of arguments."""
    schema = Schema(thing, fields, strict)
    return Field(lambda node: reader.fields(node, schema), thing)


def required_part(reader: ManifestReader, thing: str, fields: Mapping[str, Field]) -> Field:
    """A `part` without which an object says nothing."""
    return part(reader, thing, fields)._replace(required=True)


STATUS = ignored("status")
"""For kinds whose status does not concern a mesh."""
