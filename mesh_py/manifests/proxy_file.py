"""The mesh as a proxy of layer 7 reads it from a file: LocalConfig with further keys [pure].

manifests:    Kubernetes objects: routes and policies, as a cluster holds them
labels:       labels of workloads by namespace/name, for the selectors of those policies
extensionProviders:   external authorizers, by the names that CUSTOM policies use

A waypoint knows more (`mesh_py.manifests.chain`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from mesh_py.discovery.local_file import LocalConfig, read_local_config
from mesh_py.discovery.yaml_reader import Fault, map_of, scalar, sequence
from mesh_py.manifests.chain import Chain, chain_keys, chain_of, provider_keys, told_by
from mesh_py.manifests.decoders import ManifestReader
from mesh_py.manifests.metadata import NO_LABELS, Labels
from mesh_py.manifests.objects import Manifests
from mesh_py.manifests.reader import in_order, read_nodes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import yaml

    from mesh_py.manifests.objects import KubernetesObject


class Further(NamedTuple):
    """What the further keys say."""

    manifests: Manifests = Manifests()
    labels: Mapping[str, Labels] = {}
    chain: Chain = Chain()
    root_namespace: str = ""
    """Whose policies are for the whole mesh, where the source says it."""

    def labels_of(self, namespace: str, name: str) -> Labels:
        """The labels of a workload; none where nothing is written."""
        return self.labels.get(f"{namespace}/{name}", NO_LABELS)


def further_of(config: LocalConfig) -> Further:
    """What a file that `read_proxy_file` has read says beside the mesh."""
    manifests = Manifests.of(config.further.get("manifests", ()))
    chain = chain_of(config.further).joined(told_by(manifests.filter_configs))
    return Further(manifests, config.further.get("labels", {}), chain)


def read_waypoint_file(text: str, file: str, *, trust_domain: str = "") -> LocalConfig:
    """Read the text of a waypoint's file. Raises ConfigError, as `read_local_config`."""
    return read_proxy_file(text, file, trust_domain=trust_domain, with_chain=True)


def read_proxy_file(text: str, file: str, *, trust_domain: str = "", with_chain: bool = False) -> LocalConfig:
    """Read the text of a file. Raises ConfigError, as `read_local_config`.

    `with_chain`: whether it may have a waypoint's keys.
    """
    reader = ManifestReader(file)

    def manifests(node: yaml.Node) -> tuple[KubernetesObject, ...]:
        return read_nodes(reader, sequence(node))

    config = read_local_config(
        text,
        file,
        trust_domain=trust_domain,
        reader=reader,
        further={
            "manifests": manifests,
            "labels": map_of(_workload_name, reader.labels),
            **(chain_keys(reader) if with_chain else provider_keys(reader)),
        },
    )
    # What a manifest says without effect, and kinds that are passed over.
    return replace(config, warnings=(*config.warnings, *map(str, in_order(reader.warnings))))


def _workload_name(node: yaml.Node) -> str:
    text = scalar(node)
    if len(parts := text.split("/")) != 2 or not all(parts):
        raise Fault(node, f"{text!r} is not namespace/name", "write such as default/httpbin")
    return text
