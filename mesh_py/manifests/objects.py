"""All objects of a mesh together, and how to find them [pure]."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from mesh_py.manifests.chain import FilterConfig
from mesh_py.manifests.core import Deployment, EndpointSlice, Namespace, Node, Pod, Service, ServiceAccount
from mesh_py.manifests.gateway import Gateway, ReferenceGrant
from mesh_py.manifests.metadata import NO_LABELS
from mesh_py.manifests.networking import ServiceEntry, WorkloadEntry
from mesh_py.manifests.routes import GRPCRoute, HTTPRoute, TCPRoute
from mesh_py.manifests.security import AuthorizationPolicy, PeerAuthentication, RequestAuthentication
from mesh_py.manifests.selector import has_labels
from mesh_py.manifests.traffic import DestinationRule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mesh_py.discovery.local_file import LocalConfig
    from mesh_py.manifests.metadata import Labels

KubernetesObject = (
    AuthorizationPolicy
    | Deployment
    | DestinationRule
    | EndpointSlice
    | FilterConfig
    | Gateway
    | GRPCRoute
    | HTTPRoute
    | Namespace
    | Node
    | PeerAuthentication
    | Pod
    | ReferenceGrant
    | RequestAuthentication
    | Service
    | ServiceAccount
    | ServiceEntry
    | TCPRoute
    | WorkloadEntry
)
"""Any object that the mesh understands."""

Found = TypeVar("Found", bound=KubernetesObject)
Labelled = TypeVar("Labelled", Pod, WorkloadEntry)
Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True)
class Manifests:
    """The objects of a mesh by kind, each kind in the order of its files."""

    namespaces: tuple[Namespace, ...] = ()
    nodes: tuple[Node, ...] = ()
    service_accounts: tuple[ServiceAccount, ...] = ()
    pods: tuple[Pod, ...] = ()
    """Those that are written, then those of deployments. All have addresses, but for those on a host's network."""
    deployments: tuple[Deployment, ...] = ()
    services: tuple[Service, ...] = ()
    endpoint_slices: tuple[EndpointSlice, ...] = ()
    service_entries: tuple[ServiceEntry, ...] = ()
    workload_entries: tuple[WorkloadEntry, ...] = ()
    peer_authentications: tuple[PeerAuthentication, ...] = ()
    authorization_policies: tuple[AuthorizationPolicy, ...] = ()
    request_authentications: tuple[RequestAuthentication, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    reference_grants: tuple[ReferenceGrant, ...] = ()
    http_routes: tuple[HTTPRoute, ...] = ()
    grpc_routes: tuple[GRPCRoute, ...] = ()
    tcp_routes: tuple[TCPRoute, ...] = ()
    destination_rules: tuple[DestinationRule, ...] = ()
    filter_configs: tuple[FilterConfig, ...] = ()
    local_configs: tuple[LocalConfig, ...] = ()
    """What files in ztunnel's own format add."""

    @staticmethod
    def of(objects: Iterable[KubernetesObject], local_configs: Sequence[LocalConfig] = ()) -> Manifests:
        """Sort objects by kind. Nothing is checked, assigned or derived."""
        kinds: dict[str, list[KubernetesObject]] = defaultdict(list)
        for one in objects:
            kinds[_FIELD_OF_KIND[one.kind]].append(one)
        lists = {name: tuple(found) for name, found in kinds.items()}
        return Manifests(local_configs=tuple(local_configs), **lists)  # type: ignore[arg-type]

    def all(self) -> Iterable[KubernetesObject]:
        """Every object, kind after kind."""
        for name in _FIELD_OF_KIND.values():
            yield from getattr(self, name)

    def find(self, kind: type[Found], namespace: str, name: str) -> Found | None:
        """The object of a kind and name; the first where a name is taken twice."""
        found = self._by_name.get((kind.kind, namespace, name))
        return found if isinstance(found, kind) else None

    def namespace_labels(self, name: str) -> Labels:
        """The labels of a namespace; none if no manifest describes it."""
        namespace = self.find(Namespace, "", name)
        return namespace.metadata.labels if namespace is not None else NO_LABELS

    def pods_in(self, namespace: str) -> Sequence[Pod]:
        """The pods of a namespace."""
        return self._pods_by_namespace.get(namespace, ())

    def pods_selected(self, namespace: str, selector: Labels) -> Sequence[Pod]:
        """The pods of a namespace that have all these labels; an empty selector selects all."""
        return _selected(self.pods_in(namespace), self._pods_by_label, namespace, selector)

    def workload_entries_selected(self, namespace: str, selector: Labels) -> Sequence[WorkloadEntry]:
        """The WorkloadEntries of a namespace that have all these labels."""
        entries = self._entries_by_namespace.get(namespace, ())
        return _selected(entries, self._entries_by_label, namespace, selector)

    def slices_of(self, service: Service) -> Sequence[EndpointSlice]:
        """The EndpointSlices that belong to a Service."""
        return self._slices_by_service.get((service.metadata.namespace, service.metadata.name), ())

    @cached_property
    def _by_name(self) -> Mapping[tuple[str, str, str], KubernetesObject]:
        found: dict[tuple[str, str, str], KubernetesObject] = {}
        for one in self.all():
            found.setdefault((one.kind, one.metadata.namespace, one.metadata.name), one)
        return found

    @cached_property
    def _pods_by_namespace(self) -> Mapping[str, Sequence[Pod]]:
        return _grouped((pod.metadata.namespace, pod) for pod in self.pods)

    @cached_property
    def _entries_by_namespace(self) -> Mapping[str, Sequence[WorkloadEntry]]:
        return _grouped((entry.metadata.namespace, entry) for entry in self.workload_entries)

    @cached_property
    def _pods_by_label(self) -> _ByLabel[Pod]:
        return _by_label(self.pods)

    @cached_property
    def _entries_by_label(self) -> _ByLabel[WorkloadEntry]:
        return _by_label(self.workload_entries)

    @cached_property
    def _slices_by_service(self) -> Mapping[tuple[str, str], Sequence[EndpointSlice]]:
        return _grouped(((one.metadata.namespace, one.service_name), one) for one in self.endpoint_slices)


_Label = tuple[str, str, str]
"""Namespace, key and value."""

_ByLabel = dict[_Label, list[Labelled]]

_FIELD_OF_KIND = {
    kind.kind: name
    for kind, name in (
        (Namespace, "namespaces"),
        (Node, "nodes"),
        (ServiceAccount, "service_accounts"),
        (Pod, "pods"),
        (Deployment, "deployments"),
        (Service, "services"),
        (EndpointSlice, "endpoint_slices"),
        (ServiceEntry, "service_entries"),
        (WorkloadEntry, "workload_entries"),
        (PeerAuthentication, "peer_authentications"),
        (AuthorizationPolicy, "authorization_policies"),
        (RequestAuthentication, "request_authentications"),
        (Gateway, "gateways"),
        (ReferenceGrant, "reference_grants"),
        (HTTPRoute, "http_routes"),
        (GRPCRoute, "grpc_routes"),
        (TCPRoute, "tcp_routes"),
        (DestinationRule, "destination_rules"),
        (FilterConfig, "filter_configs"),
    )
}


def labels_of(one: Pod | WorkloadEntry) -> Labels:
    """What a selector sees of a workload."""
    return one.labels if isinstance(one, WorkloadEntry) else one.metadata.labels


def inner_entry(manifests: Manifests, uid: str) -> ServiceEntry | None:
    """The ServiceEntry that a workload is written inside of: its uid ends in `ServiceEntry/NAMESPACE/NAME/ADDRESS`."""
    parts = uid.split("/")
    if len(parts) < 4 or parts[-4] != ServiceEntry.kind:
        return None
    return manifests.find(ServiceEntry, parts[-3], parts[-2])


def inner_labels(manifests: Manifests, uid: str) -> Labels:
    """The labels of a workload that is written inside a ServiceEntry; none of any other."""
    entry = inner_entry(manifests, uid)
    address = uid.rpartition("/")[2]
    return next((one.labels for one in entry.endpoints if one.address == address), NO_LABELS) if entry else NO_LABELS


def _grouped(pairs: Iterable[tuple[Key, Value]]) -> dict[Key, list[Value]]:
    groups: dict[Key, list[Value]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return dict(groups)


def _by_label(workloads: Iterable[Labelled]) -> _ByLabel[Labelled]:
    return _grouped(
        ((one.metadata.namespace, key, value), one) for one in workloads for key, value in labels_of(one).items()
    )


def _selected(
    all_of_namespace: Sequence[Labelled], index: _ByLabel[Labelled], namespace: str, selector: Labels
) -> Sequence[Labelled]:
    """Those with all labels of the selector, found among those with its rarest one."""
    if not selector:
        return all_of_namespace
    candidates = min((index.get((namespace, key, value), []) for key, value in selector.items()), key=len)
    return [one for one in candidates if has_labels(labels_of(one), selector)]
