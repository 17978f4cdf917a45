"""Which manifests concern one of our sidecars or waypoints [pure].

A sidecar is told what selects its pod, and the routes that its calls may take. A waypoint is told what is attached to
it or to the services behind it. Both are told the DestinationRules that their namespace sees. Workloads and services
come to both as to node proxies.
"""

from __future__ import annotations

from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

from istiod_py.ambient.vocabulary import GATEWAY_NAME
from mesh_py.http.attachments import is_gateway
from mesh_py.manifests import core, networking
from mesh_py.manifests.gateway import WAYPOINT_CLASS, Gateway
from mesh_py.manifests.metadata import NO_LABELS
from mesh_py.manifests.objects import inner_entry, labels_of
from mesh_py.manifests.peer_modes import PeerModes
from mesh_py.manifests.proxy_config import ProxyConfig
from mesh_py.manifests.rule_of_host import Client, RuleIndex, find_rule
from mesh_py.manifests.selector import has_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from istiod_py.ambient.mesh import Mesh
    from mesh_py.manifests.mesh_config import MeshConfig
    from mesh_py.manifests.metadata import Labels
    from mesh_py.manifests.objects import KubernetesObject, Manifests
    from mesh_py.manifests.routes import Route
    from mesh_py.manifests.security import AuthorizationPolicy, RequestAuthentication

    Policy = AuthorizationPolicy | RequestAuthentication
    _Labelled = core.Pod | networking.WorkloadEntry | networking.ServiceEntry

Named = tuple[str, str, str]
"""Kind, namespace and name of an object."""

_SERVICES = (core.Service.kind, networking.ServiceEntry.kind)


class ProxyConfigs:
    """The configurations of all proxies in one state of the mesh; each is made when it is asked for."""

    def __init__(self, manifests: Manifests, told: Mesh, names: MeshConfig) -> None:
        self._manifests = manifests
        self._told = told
        self._names = names
        self._peer_modes = PeerModes(manifests.peer_authentications, names.root_namespace)

    def of_proxy(self, kind: str, namespace: str, name: str) -> ProxyConfig | None:
        """What a proxy is told that calls itself a `waypoint`, by the name of its pod or Gateway, or a `sidecar`."""
        if kind != "waypoint":
            return self.of_sidecar(namespace, name)
        pod = self._manifests.find(core.Pod, namespace, name)
        gateway = pod.metadata.labels.get(GATEWAY_NAME) if pod is not None else None
        return self.of_waypoint(namespace, gateway or name)

    def of_sidecar(self, namespace: str, name: str) -> ProxyConfig | None:
        """What the sidecar of a pod or machine is told; None if there is no such workload."""
        own = self._manifests.find(core.Pod, namespace, name) or self._manifests.find(
            networking.WorkloadEntry, namespace, name
        )
        if own is None and (namespace, name) not in self._workloads:
            return None
        labels = labels_of(own) if own is not None else NO_LABELS
        routes = [*self._routes_for_all, *self._routes_of_clients.get(namespace, ())]
        levels = self._peer_modes.levels(namespace, labels)
        in_force = (levels.mesh, levels.namespace, levels.workload)
        objects = chain(
            (one for one in (own, *in_force) if one is not None),
            (one for one in self._policies if self._selects(one, namespace, labels)),
            self._with_surroundings(routes),
            self._rules(namespace, labels),
            self._filter_configs(),
        )
        return self._config(namespace, name, objects)

    def of_waypoint(self, namespace: str, gateway: str) -> ProxyConfig | None:
        """What the proxies of a waypoint are told; None if there is no such Gateway."""
        own = self._manifests.find(Gateway, namespace, gateway)
        if own is None:
            return None
        behind = set(self._behind(f"{namespace}/{gateway}"))
        routes = [one for one in self._routes if _is_for_waypoint(one, own, behind)]
        policies = [one for one in self._policies if self._targets(one, own, behind)]
        named = {(ref.kind, one.metadata.namespace, ref.name) for one in policies for ref in one.target_refs}
        shared = [one for one in routes if any(is_gateway(ref, own) for ref in one.parent_refs)]
        objects = chain(
            (own,),
            policies,
            self._with_surroundings(routes),
            self._services(named),
            self._rules(namespace, NO_LABELS),
            self._permissions(own, {one.metadata.namespace for one in shared}),
            self._filter_configs(*(its for _, its, _ in behind)),
        )
        return self._config(namespace, gateway, objects)

    def _config(self, namespace: str, name: str, objects: Iterable[KubernetesObject]) -> ProxyConfig:
        once = {(one.kind, one.metadata.key): one for one in objects}
        ordered = sorted(once.values(), key=lambda one: (one.kind, one.metadata.age))
        return ProxyConfig(f"{namespace}/{name}", self._names, tuple(ordered))

    # Routes

    @cached_property
    def _routes(self) -> Sequence[Route]:
        manifests = self._manifests
        return (*manifests.http_routes, *manifests.grpc_routes, *manifests.tcp_routes)

    @cached_property
    def _routes_for_all(self) -> Sequence[Route]:
        """Those of the owner of a service: in the service's namespace, for every client (GAMMA's producer routes)."""
        return [one for one in self._routes if one.metadata.namespace in _namespaces_of_services(one)]

    @cached_property
    def _routes_of_clients(self) -> Mapping[str, Sequence[Route]]:
        """Those for services of other namespaces: for the clients of the route's own (GAMMA's consumer routes)."""
        found: dict[str, list[Route]] = {}
        for one in self._routes:
            if _namespaces_of_services(one) - {one.metadata.namespace}:
                found.setdefault(one.metadata.namespace, []).append(one)
        return found

    def _with_surroundings(self, routes: Iterable[Route]) -> Iterator[KubernetesObject]:
        """Routes, the services they are attached to (for the names of their ports)."""
        for route in routes:
            yield route
            yield from self._services((ref.kind, ref.namespace, ref.name) for ref in route.parent_refs)

    def _services(self, named: Iterable[Named]) -> Iterator[core.Service | networking.ServiceEntry]:
        for kind, namespace, name in named:
            service = self._manifests.find(core.Service, namespace, name) if kind == core.Service.kind else None
            entry = self._manifests.find(networking.ServiceEntry, namespace, name) if kind == _SERVICES[1] else None
            yield from (one for one in (service, entry) if one is not None)

    def _permissions(self, gateway: Gateway, namespaces: set[str]) -> Iterator[KubernetesObject]:
        """What decides of routes that are attached to a Gateway: grants, and labels of their namespaces."""
        for grant in self._manifests.reference_grants:
            if any(one.namespace in namespaces for one in grant.from_):
                yield grant
        if any(one.allowed_routes.selector is not None for one in gateway.listeners):
            yield from (one for one in self._manifests.namespaces if one.metadata.name in namespaces)

    def _filter_configs(self, *namespaces: str) -> Iterator[KubernetesObject]:
        """Those of the root namespace, which has the authorizers, and those of services behind a waypoint."""
        for one in self._manifests.filter_configs:
            if one.metadata.namespace in (self._names.root_namespace, *namespaces):
                yield one

    # Rules of hosts

    def _rules(self, namespace: str, labels: Labels) -> Iterator[KubernetesObject]:
        """The DestinationRules that a client follows, and the workloads of subsets, for their labels."""
        client = Client(namespace, labels, self._names.root_namespace)
        rules = [one for one in self._manifests.destination_rules if one.is_for(namespace, labels)]
        yield from rules
        for key, service in self._told.services.items() if any(one.subsets for one in rules) else ():
            rule = find_rule(self._rule_index.naming(service), service, self._names.cluster_domain, client)
            if rule is not None and rule.subsets:
                yield from self._workloads_of.get(key, ())

    @cached_property
    def _rule_index(self) -> RuleIndex:
        return RuleIndex(self._manifests.destination_rules, self._names.cluster_domain)

    @cached_property
    def _workloads_of(self) -> Mapping[str, Sequence[_Labelled]]:
        """By the service that they serve; those inside a ServiceEntry are it."""
        found: dict[str, list[_Labelled]] = {}
        for workload in self._told.workloads.values():
            named = workload.namespace, workload.name
            one: _Labelled | None = (
                inner_entry(self._manifests, workload.uid)
                or self._manifests.find(core.Pod, *named)
                or self._manifests.find(networking.WorkloadEntry, *named)
            )
            if one is not None:
                for service in workload.services:
                    found.setdefault(str(service), []).append(one)
        return found

    # Policies

    @property
    def _policies(self) -> Iterator[Policy]:
        return chain(self._manifests.authorization_policies, self._manifests.request_authentications)

    def _selects(self, policy: Policy, namespace: str, labels: Labels) -> bool:
        """Whether a policy is for a workload: of its namespace or the root's, and selecting it if it selects."""
        is_near = policy.metadata.namespace in (namespace, self._names.root_namespace)
        return is_near and not policy.target_refs and has_labels(labels, policy.selector or NO_LABELS)

    def _targets(self, policy: Policy, gateway: Gateway, behind: set[Named]) -> bool:
        """Whether a policy names the waypoint, its class, or a service behind it (hbone-controlplane 9.6)."""
        namespace = policy.metadata.namespace
        for ref in policy.target_refs:
            if ref.namespace not in ("", namespace):
                continue
            named = (ref.kind, namespace, ref.name)
            if named in behind or named == (gateway.kind, gateway.metadata.namespace, gateway.metadata.name):
                return True
            is_class = ref.kind == "GatewayClass" and ref.name == gateway.gateway_class_name == WAYPOINT_CLASS
            if is_class and namespace == self._names.root_namespace:
                return True
        return False

    # The mesh as it is told

    def _behind(self, waypoint: str) -> Iterator[Named]:
        """The services that go through a waypoint, by the objects they are made from."""
        known = self._told.waypoints.get(waypoint)
        for service in self._told.services.values() if known is not None else ():
            addresses = {service.waypoint, *(one.destination for one in service.weighted_waypoints)}
            if known is not None and known.address in addresses:
                is_kubernetes = service.hostname == self._names.hostname(service.name, service.namespace)
                yield _SERVICES[0] if is_kubernetes else _SERVICES[1], service.namespace, service.name

    @cached_property
    def _workloads(self) -> frozenset[tuple[str, str]]:
        return frozenset((one.namespace, one.name) for one in self._told.workloads.values())


def _namespaces_of_services(route: Route) -> set[str]:
    return {ref.namespace for ref in route.parent_refs if ref.kind in _SERVICES}


def _is_for_waypoint(route: Route, gateway: Gateway, behind: set[Named]) -> bool:
    """Attached to the waypoint, or to a service behind it from the service's namespace or the waypoint's (9.6)."""
    for ref in route.parent_refs:
        named = (ref.kind, ref.namespace, ref.name)
        if named == (gateway.kind, gateway.metadata.namespace, gateway.metadata.name):
            return True
        if named in behind and route.metadata.namespace in (ref.namespace, gateway.metadata.namespace):
            return True
    return False
