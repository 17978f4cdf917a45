"""From the text of a file, or from one manifest as a mapping, to objects [pure].

A file holds YAML documents or one of JSON: objects, `kind: List` of them, or ztunnel's own LocalConfig, which is told
by its keys. Whatever is wrong is told at once, each with line, column and advice. Kinds that the mesh does not know are
passed over with a warning, so that a folder may hold all of an application.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from mesh_py.discovery.config_dump import is_config_dump
from mesh_py.discovery.local_file import LocalConfig, read_local_config
from mesh_py.discovery.problems import ConfigError, FaultKind, Problem
from mesh_py.discovery.yaml_reader import (
    Fault,
    Field,
    Schema,
    compose_all,
    has_key,
    node_of,
    scalar,
    sequence,
    value_of,
    without_collection,
)
from mesh_py.manifests import (
    chain,
    read_core,
    read_gateway,
    read_networking,
    read_pods,
    read_routes,
    read_security,
    read_traffic,
)
from mesh_py.manifests.decoders import ManifestReader, MetadataDecoder, entry, near
from mesh_py.manifests.expansion import refuse_expansion
from mesh_py.manifests.merge_keys import MERGE, merge_keys
from mesh_py.manifests.metadata import Written
from mesh_py.manifests.read_core import CoreKinds
from mesh_py.manifests.read_gateway import GatewayKinds
from mesh_py.manifests.read_networking import NetworkingKinds
from mesh_py.manifests.read_pods import PodKinds
from mesh_py.manifests.read_routes import RouteKinds
from mesh_py.manifests.read_security import SecurityKinds
from mesh_py.manifests.read_traffic import TrafficKinds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mesh_py.manifests.kinds import Kind, KindName
    from mesh_py.manifests.metadata import Metadata
    from mesh_py.manifests.objects import KubernetesObject

KINDS: Mapping[str, KindName] = {
    **read_core.KINDS,
    **read_pods.KINDS,
    **read_networking.KINDS,
    **read_security.KINDS,
    **read_gateway.KINDS,
    **read_routes.KINDS,
    **read_traffic.KINDS,
    **chain.KINDS,
}
"""Every kind that is read, by its name."""

PASSED_ON = frozenset(
    {"AuthorizationPolicy", "DestinationRule", "FilterConfig", "Gateway", "GRPCRoute", "HTTPRoute"}
    | {"PeerAuthentication"}
    | {"ReferenceGrant", "RequestAuthentication", "Service", "ServiceEntry", "TCPRoute", "WorkloadEntry"}
)
"""Kinds that a control plane passes on to proxies: their objects know what was written."""

_LOCAL_KEYS = ("workloads", "services", "policies")
_OLD_GROUPS = {"extensions": "apps"}
_OTHER_WORKLOADS = ("StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "CronJob")
_MESH_GROUPS = (".istio.io", "gateway.networking.k8s.io")
_HEAD = ("apiVersion", "kind", "metadata")


@dataclass(frozen=True, slots=True)
class FileContents:
    """What a file says, and what is wrong with it. With faults it is not to be used; the rest was read all the same."""

    objects: tuple[KubernetesObject, ...] = ()
    local_config: LocalConfig | None = None
    faults: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()

    def sound(self) -> FileContents:
        """Itself. Raises ConfigError if it has faults."""
        if self.faults:
            raise ConfigError(self.faults)
        return self


def scan(text: str, file: str, *, trust_domain: str = "") -> FileContents:
    """Read the text of a file and go on after faults. Raises nothing.

    Args:
        file: its name, for places and messages.
        trust_domain: for workloads of a LocalConfig that name none.
    """
    try:
        with without_collection():
            return _scan(text, file, trust_domain)
    except ConfigError as error:
        return FileContents(faults=error.problems)


def read_manifests(text: str, file: str) -> FileContents:
    """Read the text of a file. Raises ConfigError: everything that is wrong with it."""
    return scan(text, file).sound()


def read_mapping(manifest: Mapping[str, Any], source: str) -> KubernetesObject:
    """Read one manifest that came as a mapping: JSON, or a protobuf Struct made into a dict.

    Args:
        source: where it came from, for messages; it has no lines.

    Raises:
        ConfigError: it is wrong, or of a kind that we do not know.
    """
    reader = ManifestReader(source)
    found = read_nodes(reader, [node_of(manifest)])
    reader.finish()
    if not found:
        raise ConfigError(reader.warnings or [Problem(source, 0, 0, "no manifest")])
    return found[0]


def read_nodes(reader: ManifestReader, nodes: Iterable[yaml.Node]) -> tuple[KubernetesObject, ...]:
    """Read manifests that are nodes of some YAML tree, such as the items of a list in another file.

    Faults and warnings go to the reader. What is faulty or unknown is left out.
    """
    objects = ObjectReader(reader)
    for node in nodes:
        objects.read(node)
    return tuple(objects.found)


def _scan(text: str, file: str, trust_domain: str) -> FileContents:
    nodes = compose_all(text, file)
    reader = ManifestReader(file)
    if "&" in text:  # no alias without an anchor
        refuse_expansion(nodes, file)
    if MERGE in text:
        merge_keys(nodes, file)
    local = [node for node in nodes if is_local_config(node)]
    if len(local) == len(nodes) == 1:
        config = read_local_config(text, file, trust_domain=trust_domain)
        return FileContents(local_config=config, warnings=tuple(_local_warnings(file, config)))
    for node in local:
        reader.note(Fault(node, "ztunnel's LocalConfig beside other documents", "give it a file of its own"))
    objects = read_nodes(reader, [node for node in nodes if node not in local])
    return FileContents(objects, None, in_order(reader.problems), in_order(reader.warnings))


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Problems of a file from its top to its end."""
    return tuple(sorted(problems, key=lambda problem: (problem.line, problem.column)))


def is_local_config(node: yaml.Node) -> bool:
    """Whether a document is ztunnel's LocalConfig or a config dump rather than a manifest."""
    return not has_key(node, "kind", "apiVersion") and (has_key(node, *_LOCAL_KEYS) or is_config_dump(node))


def _local_warnings(file: str, config: LocalConfig) -> Iterable[Problem]:
    for text in config.warnings:
        yield Problem(file, 0, 0, text.removeprefix(f"{file}: "))


class _Known(NamedTuple):
    """A kind with the decoders of this file."""

    kind: Kind
    schema: Schema


class ObjectReader:
    """Reads the objects of one file, one node after the other."""

    def __init__(self, reader: ManifestReader) -> None:
        self.found: list[KubernetesObject] = []
        self._reader = reader
        self._metadata = MetadataDecoder(reader)
        self._known: dict[str, _Known] = {}

    def read(self, node: yaml.Node) -> None:
        """Read an object or a List of them into `found`."""
        self._reader.attempt(self._read_any, node)

    def _read_any(self, node: yaml.Node) -> None:
        kind = self._text_of(node, "kind")
        items = entry(node, "items")
        if kind.endswith("List") and items is not None:
            for item in sequence(items):
                self._reader.attempt(self._read_one, item)
        elif kind != "List":
            self._read_one(node)

    def _read_one(self, node: yaml.Node) -> None:
        kind, version = self._text_of(node, "kind"), self._text_of(node, "apiVersion")
        if not self._is_ours(node, kind, version):
            return
        metadata_node = entry(node, "metadata")
        if metadata_node is None:
            raise Fault(node, f"{kind} has no 'metadata'", "add metadata.name", FaultKind.MISSING_KEY)
        metadata = self._metadata.of_object(
            metadata_node,
            namespaced=KINDS[kind].namespaced,
            place=self._reader.place(node),
            order=len(self.found),
        )
        if metadata is not None and kind in PASSED_ON:
            metadata = replace(metadata, written=Written(version, value_of(entry(node, "spec") or node_of({}))))
        made = self._make(node, kind, metadata)
        if made is not None:
            self.found.append(made)

    def _make(self, node: yaml.Node, kind: str, metadata: Metadata | None) -> KubernetesObject | None:
        """Read everything beside the metadata, also where that is faulty: all faults are told at once."""
        known = self._kind(kind)
        self._reader.namespace = metadata.namespace if metadata is not None else ""
        before = len(self._reader.problems)
        arguments: dict[str, Any] = {}
        for part in self._reader.fields(node, known.schema).values():
            arguments.update(part)
        if metadata is None or len(self._reader.problems) > before:
            return None
        try:
            made: KubernetesObject = known.kind.make(metadata=metadata, **arguments)
        except ValueError as error:
            what, advice = (*error.args, "")[:2]
            raise Fault(entry(node, "spec") or node, what, advice) from None
        return made

    def _kind(self, name: str) -> _Known:
        if name not in self._known:
            kind = _READ[name](self._reader)
            # Every part under an argument of its own: parts of one kind do not overwrite each other.
            fields = {key: field._replace(argument=key) for key, field in kind.fields.items()}
            head = dict.fromkeys(_HEAD, Field(lambda _: None, ""))
            self._known[name] = _Known(kind, Schema(name, {**head, **fields}))
        return self._known[name]

    def _text_of(self, node: yaml.Node, key: str) -> str:
        value = entry(node, key)
        if not isinstance(node, yaml.MappingNode):
            raise Fault(node, "a manifest is a mapping", "begin with 'apiVersion:' and 'kind:'")
        if value is None:
            raise Fault(node, f"a manifest has no {key!r}", "add it", FaultKind.MISSING_KEY)
        return scalar(value)

    def _is_ours(self, node: yaml.Node, kind: str, version: str) -> bool:
        """Whether to read an object; notes or warns if not."""
        known = KINDS.get(kind)
        group, _, plain = version.rpartition("/")
        if known is None:
            self._warn_unknown(node, kind, version)
            return False
        current = _api_version(known)
        if _OLD_GROUPS.get(group, group) == known.group:
            if group == known.group and plain in known.versions:
                return True
            what = f"apiVersion {version!r} of {kind} is not read any more, or not yet"
            raise Fault(entry(node, "apiVersion"), what, f"write {current}", FaultKind.VERSION)
        advice = near(version, [current])
        if advice:
            what = f"unknown apiVersion {version!r} of {kind}"
            raise Fault(entry(node, "apiVersion"), what, advice, FaultKind.VERSION)
        if group.endswith(_MESH_GROUPS):
            self._reader.warn(_passed_over(node, kind, version))
            return False
        what = f"{version} {kind} is no kind of ours ({current} is); passed over"
        self._reader.warn(Fault(entry(node, "apiVersion"), what, kind=FaultKind.UNKNOWN_KIND))
        return False

    def _warn_unknown(self, node: yaml.Node, kind: str, version: str) -> None:
        """A misspelt kind is a fault: a policy that is not read is a policy that is not kept."""
        siblings = [name for name, known in KINDS.items() if known.group == version.rpartition("/")[0]]
        advice = near(kind, siblings)
        if advice:
            raise Fault(entry(node, "kind"), f"unknown kind {kind!r}", advice, FaultKind.UNKNOWN_KIND)
        self._reader.warn(_passed_over(node, kind, version))


def _passed_over(node: yaml.Node, kind: str, version: str) -> Fault:
    """The warning about a kind that is not read: one that means nothing to a mesh, or one that we do not support."""
    where, group = entry(node, "kind"), version.rpartition("/")[0]
    if kind in _OTHER_WORKLOADS:
        what = f"{version} {kind} is passed over: only Deployments are given their pods"
        return Fault(where, what, "write its pods, or a Deployment", FaultKind.UNSUPPORTED)
    if group.endswith(_MESH_GROUPS):
        what = f"{version} {kind} is not supported; passed over"
        return Fault(where, what, "the mesh behaves as if it was not there", FaultKind.UNSUPPORTED)
    return Fault(where, f"{version} {kind} does not concern the mesh; passed over", kind=FaultKind.UNKNOWN_KIND)


def _api_version(known: KindName) -> str:
    version = known.versions[0]
    return f"{known.group}/{version}" if known.group else version


_READ: Mapping[str, Callable[[ManifestReader], Kind]] = {
    "Namespace": lambda reader: CoreKinds(reader).namespace(),
    "ServiceAccount": lambda reader: CoreKinds(reader).service_account(),
    "Node": lambda reader: CoreKinds(reader).node(),
    "Pod": lambda reader: PodKinds(reader).pod(),
    "Deployment": lambda reader: PodKinds(reader).deployment(),
    "Service": lambda reader: CoreKinds(reader).service(),
    "EndpointSlice": lambda reader: CoreKinds(reader).endpoint_slice(),
    "ServiceEntry": lambda reader: NetworkingKinds(reader).service_entry(),
    "WorkloadEntry": lambda reader: NetworkingKinds(reader).workload_entry(),
    "PeerAuthentication": lambda reader: SecurityKinds(reader).peer_authentication(),
    "AuthorizationPolicy": lambda reader: SecurityKinds(reader).authorization_policy(),
    "RequestAuthentication": lambda reader: SecurityKinds(reader).request_authentication(),
    "Gateway": lambda reader: GatewayKinds(reader).gateway(),
    "ReferenceGrant": lambda reader: GatewayKinds(reader).reference_grant(),
    "HTTPRoute": lambda reader: RouteKinds(reader).http_route(),
    "GRPCRoute": lambda reader: RouteKinds(reader).grpc_route(),
    "TCPRoute": lambda reader: RouteKinds(reader).tcp_route(),
    "DestinationRule": lambda reader: TrafficKinds(reader).destination_rule(),
    "FilterConfig": chain.filter_config,
}
