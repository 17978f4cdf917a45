"""What every object has: a name, labels, an age, and a place in a file [pure]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

Labels = Mapping[str, str]
"""Labels or annotations."""

NO_LABELS: Labels = MappingProxyType({})


class Place(NamedTuple):
    """Where something is written. Line and column count from 1 and are 0 where there is none (a Struct, JSON)."""

    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


NO_PLACE = Place()

Age = tuple[bool, str, str, int, str]
"""What objects are sorted by, oldest first."""


class Owner(NamedTuple):
    """The controller of an object, `metadata.ownerReferences`: a ReplicaSet of a Pod, say."""

    kind: str
    name: str


class Written(NamedTuple):
    """An object as its author wrote it, for whoever passes it on."""

    api_version: str
    spec: Mapping[str, Any]
    """As JSON has it."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """The `metadata` of an object."""

    name: str
    namespace: str = ""
    """`default` where a namespaced object names none; empty for kinds that have no namespace."""
    labels: Labels = field(default_factory=dict)
    annotations: Labels = field(default_factory=dict)
    creation_timestamp: str = ""
    """RFC 3339 in UTC, as the cluster gives it, or empty. Compares as text."""
    is_deleted: bool = False
    """Whether a `deletionTimestamp` is set: the object is on its way out."""
    owner: Owner | None = None
    order: int = 0
    """Position in its file; with the file's name it stands in for age."""
    place: Place = field(default=NO_PLACE, compare=False)
    written: Written | None = field(default=None, compare=False, repr=False)
    """Of kinds that are passed on to proxies, if the object was read and not made."""

    @property
    def key(self) -> str:
        """`namespace/name`, or the name alone."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def age(self) -> Age:
        """Sorts the oldest first: by timestamp; what has none is younger, by file and by position in it."""
        return not self.creation_timestamp, self.creation_timestamp, self.place.file, self.order, self.key
