"""What a control plane serves: resources by type and name, each with a version made from its content [pure].

A `Collection` never changes. A new state of the mesh is a new collection that keeps every `Resource` that stayed the
same, so that two of them differ in little and are compared once for all streams.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource: `body` is its message in wire form, without the envelope that names its type.

    The other fields follow from the body, so that its version is theirs, too.
    """

    name: str
    body: bytes
    aliases: tuple[str, ...] = ()
    """Other names it is found by: `network/ip` for each address (hbone-controlplane 1.2)."""
    node: str = ""
    """The node it belongs to; its on-demand clients get it unasked (2.7)."""
    behind: tuple[str, ...] = ()
    """Names of the services whose on-demand subscribers get it too."""
    version: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "version", content_version(self.body))


def content_version(body: bytes) -> str:
    """The same for the same content, whoever computes it and when: a restart sends nothing twice."""
    return hashlib.blake2b(body, digest_size=8).hexdigest()


class Collection:
    """All resources of one type, as one client may see them."""

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        self.resources: Mapping[str, Resource] = MappingProxyType({one.name: one for one in resources})
        self._compared: tuple[Collection, frozenset[str]] | None = None

    def __len__(self) -> int:
        return len(self.resources)

    @cached_property
    def version(self) -> str:
        """One version for all of them, which is what a state-of-the-world client compares."""
        return joint_version(self.resources.values())

    def find(self, name: str) -> tuple[Resource, ...]:
        """The resource of that name, or those with the alias."""
        if (found := self.resources.get(name)) is not None:
            return (found,)
        return self._by_alias.get(name, ())

    def on_node(self, node: str) -> tuple[Resource, ...]:
        """What belongs to the node; nothing belongs to the node without a name."""
        return self._by_node.get(node, ()) if node else ()

    def behind(self, service: str) -> tuple[Resource, ...]:
        """What serves the service of that name."""
        return self._by_service.get(service, ())

    def changes_since(self, old: Collection) -> frozenset[str]:
        """Names that are new, gone, or have another content than in `old`; kept for the next stream that asks."""
        if self._compared is None or self._compared[0] is not old:
            old._compared = None  # or every state there ever was would hang on the newest
            self._compared = (old, frozenset(_changes(old.resources, self.resources)))
        return self._compared[1]

    @cached_property
    def _by_alias(self) -> Mapping[str, tuple[Resource, ...]]:
        return _index(self.resources.values(), lambda resource: resource.aliases)

    @cached_property
    def _by_node(self) -> Mapping[str, tuple[Resource, ...]]:
        return _index(self.resources.values(), lambda resource: (resource.node,))

    @cached_property
    def _by_service(self) -> Mapping[str, tuple[Resource, ...]]:
        return _index(self.resources.values(), lambda resource: resource.behind)


NOTHING = Collection()


def joint_version(resources: Iterable[Resource]) -> str:
    """One version for a set of resources, whatever their order."""
    pairs = sorted((resource.name, resource.version) for resource in resources)
    return content_version(repr(pairs).encode())


def _changes(old: Mapping[str, Resource], new: Mapping[str, Resource]) -> Iterable[str]:
    for name, resource in new.items():
        before = old.get(name)
        if before is not resource and (before is None or before.version != resource.version):
            yield name
    yield from old.keys() - new.keys()


def _index(
    resources: Iterable[Resource], keys: Callable[[Resource], Iterable[str]]
) -> Mapping[str, tuple[Resource, ...]]:
    found: dict[str, list[Resource]] = {}
    for resource in resources:
        for key in keys(resource):
            found.setdefault(key, []).append(resource)
    return {key: tuple(resources) for key, resources in found.items()}
