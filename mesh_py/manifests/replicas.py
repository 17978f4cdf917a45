"""The pods of deployments, as long as no manifest shows them, and the nodes that pods run on [pure].

Names and nodes come from hashes of names: an edit elsewhere in the folder never renames or moves a pod.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING

from mesh_py.manifests.core import Deployment, Pod
from mesh_py.manifests.metadata import Metadata, Owner

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mesh_py.manifests.objects import Manifests

# As Kubernetes: no vowels, so that no word comes out, and nothing that looks like something else.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_HASH_LENGTH, _SUFFIX_LENGTH = 9, 5
_MOST_OF_A_STEM = 63 - _HASH_LENGTH - _SUFFIX_LENGTH - len("--")


def number_of(text: str) -> int:
    """A number of 64 bits that depends on the text alone, evenly spread."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest())


def derived_pods(manifests: Manifests) -> Iterator[Pod]:
    """The pods of every deployment that has none written: a printed cluster shows deployments and their pods."""
    shown = {(pod.metadata.namespace, pod.workload) for pod in manifests.pods}
    for deployment in manifests.deployments:
        if (deployment.metadata.namespace, Owner(Deployment.kind, deployment.metadata.name)) not in shown:
            yield from pods_of(deployment)


def pods_of(deployment: Deployment) -> Iterator[Pod]:
    """The pods of one deployment. A larger number of replicas adds pods and leaves the others as they are."""
    metadata, template = deployment.metadata, deployment.template
    for number, name in enumerate(_names(metadata, deployment.replicas)):
        yield Pod(
            Metadata(
                name,
                metadata.namespace,
                template.labels,
                template.annotations,
                metadata.creation_timestamp,
                metadata.is_deleted,
                Owner(Deployment.kind, metadata.name),
                metadata.order,
                template.place,
            ),
            template.spec,
            deployment.pod_ips[number : number + 1],
        )


def _names(metadata: Metadata, number: int) -> Iterator[str]:
    """As many names, no two alike: of thousands of short hashes some meet, and the later one is hashed again."""
    stem = f"{metadata.name[:_MOST_OF_A_STEM]}-{_letters(metadata.key, _HASH_LENGTH)}"
    taken: set[str] = set()
    for position in range(number):
        suffix = _letters(f"{metadata.key}#{position}", _SUFFIX_LENGTH)
        while suffix in taken:
            suffix = _letters(f"{metadata.key}#{position}#{suffix}", _SUFFIX_LENGTH)
        taken.add(suffix)
        yield f"{stem}-{suffix}"


def on_nodes(pods: Iterable[Pod], nodes: Sequence[str]) -> Iterator[Pod]:
    """Pods with a node each: their own, else the one their hashes agree on. A new node takes over its share alone."""
    for pod in pods:
        if pod.spec.node_name or not nodes:
            yield pod
        else:
            chosen = max(nodes, key=lambda node: number_of(f"{pod.metadata.key}@{node}"))
            yield replace(pod, spec=replace(pod.spec, node_name=chosen))


def _letters(text: str, length: int) -> str:
    number, letters = number_of(text), ""
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        letters += _ALPHABET[digit]
    return letters
