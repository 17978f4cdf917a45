"""DestinationRules and FilterConfigs: whether their hosts, subsets and services are there, and the subsets that routes
name [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.check import codes
from istiod_py.check.nearest import nearest
from mesh_py.manifests.client_tls import TlsMode
from mesh_py.manifests.metadata import NO_LABELS
from mesh_py.manifests.peer_modes import PeerModes
from mesh_py.manifests.route_filters import ExtensionFilter, is_subset
from mesh_py.manifests.routes import TCPRouteRule
from mesh_py.manifests.rule_of_host import Client, find_rule, names_host
from mesh_py.manifests.security import MutualTls
from mesh_py.manifests.selector import has_labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from istiod_py.check.checked_mesh import CheckedMesh
    from istiod_py.check.codes import Finding
    from mesh_py.manifests.chain import FilterConfig
    from mesh_py.manifests.client_tls import ClientTls
    from mesh_py.manifests.references import BackendReference
    from mesh_py.manifests.routes import Route
    from mesh_py.manifests.traffic import DestinationRule, TrafficPolicy
    from mesh_py.model.workload import Service


def check(mesh: CheckedMesh) -> Iterator[Finding]:
    """Everything about them."""
    for rule in mesh.manifests.destination_rules:
        yield from _rule(rule, mesh)
    for route in mesh.routes:
        yield from _subsets_named(route, mesh)
    for config in mesh.manifests.filter_configs:
        yield from _filters(config, mesh)


def _filters(config: FilterConfig, mesh: CheckedMesh) -> Iterator[Finding]:
    for named in sorted(config.chain.services):
        namespace, _, name = named.partition("/")
        found = [one for one in mesh.mesh.services.values() if (one.namespace, one.name) == (namespace, name)]
        subject = f"FilterConfig {config.metadata.key}: service {named}"
        if not found:
            names = [one.name for one in mesh.mesh.services.values() if one.namespace == namespace]
            yield codes.FILTERS_OF_NOBODY.at(config.metadata.place, f"{subject} is not there", nearest(name, names))
        elif not any(one.waypoint for one in found):
            advice = "label the service with istio.io/use-waypoint"
            yield codes.FILTERS_OF_NOBODY.at(config.metadata.place, f"{subject} has no waypoint", advice)


def _rule(rule: DestinationRule, mesh: CheckedMesh) -> Iterator[Finding]:
    domain = mesh.options.mesh.cluster_domain
    services = [one for one in mesh.mesh.services.values() if names_host(rule, one, domain)]
    if not services:
        what = f"DestinationRule {rule.metadata.key}: no service has the host {rule.host}"
        names = [one.name for one in mesh.mesh.services.values() if one.namespace == rule.metadata.namespace]
        yield codes.NO_HOST.at(rule.metadata.place, what, nearest(rule.host, names))
        return
    yield from _settings(rule, services)
    yield from _clients(rule, mesh)
    yield from _against_strict(rule, services, mesh)
    for subset in rule.subsets:
        if not any(has_labels(labels, subset.labels) for one in services for labels in _labels(one, mesh)):
            what = f"DestinationRule {rule.metadata.key}: no workload of {rule.host} is of subset {subset.name}"
            yield codes.EMPTY_SUBSET.at(rule.metadata.place, what, "requests to it get 503")


def _settings(rule: DestinationRule, services: Sequence[Service]) -> Iterator[Finding]:
    """Of every policy in it: of the host, of its ports and of its subsets."""
    subject = f"DestinationRule {rule.metadata.key}"
    for policy in _policies(rule):
        for port, _ in policy.ports:
            if not any(port in one.ports for one in services):
                what = f"{subject}: {rule.host} has no port {port}"
                yield codes.NO_RULE_PORT.at(rule.metadata.place, what, "portLevelSettings name the service's ports")
        for tls in _tls(policy):
            if tls.is_originated and tls.credential_name:
                what = f"{subject}: nobody sends the Secret {tls.credential_name} to proxies"
                advice = "mount it beside each, and set CREDENTIALS_DIR"
                if not rule.selector:
                    what = (
                        f"{subject}: sidecars read the Secret {tls.credential_name} for a workloadSelector's rule only"
                    )
                    advice = (
                        "add one; without it a waypoint of the rule's namespace reads it, and all others answer 503"
                    )
                yield codes.CREDENTIAL.at(rule.metadata.place, what, advice)


def _clients(rule: DestinationRule, mesh: CheckedMesh) -> Iterator[Finding]:
    namespace = rule.metadata.namespace
    if rule.selector and not mesh.workloads_selected_in(namespace, rule.selector):
        what = f"DestinationRule {rule.metadata.key}: its workloadSelector selects no workload of {namespace}"
        yield codes.RULE_OF_NOBODY.at(rule.metadata.place, what, "nobody follows it")


def _against_strict(rule: DestinationRule, services: Sequence[Service], mesh: CheckedMesh) -> Iterator[Finding]:
    modes = {tls.mode for policy in _policies(rule) for tls in _tls(policy)} - {TlsMode.ISTIO_MUTUAL}
    peers = PeerModes(mesh.manifests.peer_authentications, mesh.options.mesh.root_namespace)
    for workload in mesh.mesh.workloads.values() if modes else ():
        labels = mesh.labels_of(workload.namespace, workload.name)
        if (
            workload.mutual_tls
            and any(one.key in workload.services for one in services)
            and peers.levels(workload.namespace, labels).resolve().mode is MutualTls.STRICT
        ):
            what = f"DestinationRule {rule.metadata.key}: tls mode {min(mode.value for mode in modes)}"
            who = f"the sidecar of {workload.namespace}/{workload.name} is STRICT"
            yield codes.NOT_STRICT.at(rule.metadata.place, f"{what}, and {who}", "write ISTIO_MUTUAL, or no tls at all")
            return


def _policies(rule: DestinationRule) -> Iterator[TrafficPolicy]:
    yield rule.policy
    yield from (subset.policy for subset in rule.subsets)


def _tls(policy: TrafficPolicy) -> Iterator[ClientTls]:
    for one in (policy, *(settings for _, settings in policy.ports)):
        if one.tls is not None:
            yield one.tls


def _labels(service: Service, mesh: CheckedMesh) -> Iterator[dict[str, str]]:
    for workload in mesh.mesh.workloads.values():
        if service.key in workload.services:
            yield dict(mesh.labels_of(workload.namespace, workload.name))


def _subsets_named(route: Route, mesh: CheckedMesh) -> Iterator[Finding]:
    for rule in route.rules:
        if isinstance(rule, TCPRouteRule):
            continue
        for backend in rule.backend_refs:
            for one in (*rule.filters, *backend.filters):
                if (
                    isinstance(one, ExtensionFilter)
                    and is_subset(one)
                    and not _has(route, backend.backend_ref, one, mesh)
                ):
                    what = f"{route.kind} {route.metadata.key}: {backend.backend_ref.name} has no subset {one.name}"
                    yield codes.NO_SUBSET.at(one.place, what, "add it to a DestinationRule: requests get 500")


def _has(route: Route, backend: BackendReference, named: ExtensionFilter, mesh: CheckedMesh) -> bool:
    names = mesh.options.mesh
    service = mesh.mesh.services.get(f"{backend.namespace}/{names.hostname(backend.name, backend.namespace)}")
    if service is None:
        return True  # which is told elsewhere
    client = Client(route.metadata.namespace, NO_LABELS, names.root_namespace)
    rule = find_rule(mesh.manifests.destination_rules, service, names.cluster_domain, client)
    return rule is not None and rule.subset(named.name) is not None
