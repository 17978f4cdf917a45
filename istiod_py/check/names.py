"""Names and addresses: taken twice, leading nowhere, or in a form that is never met [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.check import codes
from istiod_py.check.nearest import nearest
from mesh_py.manifests.core import Node, ServiceAccount
from mesh_py.manifests.routes import TCPRoute

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from istiod_py.check.checked_mesh import CheckedMesh
    from istiod_py.check.codes import Finding
    from mesh_py.manifests.core import Pod
    from mesh_py.manifests.metadata import Metadata, Place

GIVEN_NAMESPACES = frozenset({"default", "kube-system", "kube-public", "kube-node-lease"})
"""Namespaces that every cluster has."""


def check(mesh: CheckedMesh) -> Iterator[Finding]:
    """Everything about names."""
    yield from _addresses(mesh)
    yield from _virtual_addresses(mesh)
    yield from _namespaces(mesh)
    yield from _accounts(mesh)
    yield from _nodes(mesh)
    yield from _hosts(mesh)
    yield from _templates(mesh)


def _addresses(mesh: CheckedMesh) -> Iterator[Finding]:
    """IPs of pods and WorkloadEntries; pods on the host's network share theirs on purpose."""
    found: list[tuple[str, str, Metadata]] = []
    for pod in mesh.manifests.pods:
        if not pod.spec.host_network and not pod.is_terminal:
            found += [(ip, f"Pod {pod.metadata.key}", pod.metadata) for ip in pod.ips]
    for entry in mesh.manifests.workload_entries:
        ip = f"{entry.spec.network}/{entry.spec.address}" if entry.spec.network else entry.spec.address
        found.append((ip, f"WorkloadEntry {entry.metadata.key}", entry.metadata))
    for ip, first, second, place in _taken_twice(found):
        yield codes.DUPLICATE_IP.at(place, f"{second} has the address {ip} of {first}", "give it one of its own")


def _virtual_addresses(mesh: CheckedMesh) -> Iterator[Finding]:
    found = [
        (str(ip), f"Service {one.metadata.key}", one.metadata)
        for one in mesh.manifests.services
        for ip in one.cluster_ips
    ]
    found += [
        (str(block.ip), f"ServiceEntry {one.metadata.key}", one.metadata)
        for one in mesh.manifests.service_entries
        for block in one.addresses
        if block.is_host
    ]
    for ip, first, second, place in _taken_twice(found):
        yield codes.DUPLICATE_VIP.at(place, f"{second} has the address {ip} of {first}", "give it one of its own")


def _taken_twice(found: Iterable[tuple[str, str, Metadata]]) -> Iterator[tuple[str, str, str, Place]]:
    """(address, who has it, who has it too, where)."""
    taken: dict[str, str] = {}
    for ip, owner, metadata in found:
        first = taken.setdefault(ip, owner)
        if ip and first != owner:
            yield ip, first, owner, metadata.place


def _namespaces(mesh: CheckedMesh) -> Iterator[Finding]:
    """Once for each namespace, at the first object in it."""
    known = {one.metadata.name for one in mesh.manifests.namespaces}
    told = known | GIVEN_NAMESPACES | {mesh.root_namespace}
    for one in mesh.manifests.all():
        namespace = one.metadata.namespace
        if namespace and namespace not in told:
            told.add(namespace)
            what = f"{one.kind} {one.metadata.name} is in namespace {namespace}, which no manifest describes"
            advice = nearest(namespace, known, "add a Namespace, with istio.io/dataplane-mode: ambient if wanted")
            yield codes.NO_NAMESPACE.at(one.metadata.place, what, advice)


def _accounts(mesh: CheckedMesh) -> Iterator[Finding]:
    told: set[tuple[str, str]] = set()
    for pod in mesh.manifests.pods:
        namespace, name = pod.metadata.namespace, pod.spec.service_account_name
        if name == "default" or (namespace, name) in told:
            continue
        told.add((namespace, name))
        if mesh.manifests.find(ServiceAccount, namespace, name) is None:
            what = f"{_owner(pod)} runs as service account {name}, which no manifest describes"
            advice = nearest(name, mesh.names(ServiceAccount.kind, namespace), "add a ServiceAccount")
            yield codes.NO_ACCOUNT.at(pod.metadata.place, what, advice)


def _nodes(mesh: CheckedMesh) -> Iterator[Finding]:
    if not mesh.manifests.nodes:
        return
    told: set[str] = set()
    for pod in mesh.manifests.pods:
        node = pod.spec.node_name
        if node and node not in told:
            told.add(node)
            if mesh.manifests.find(Node, "", node) is None:
                what = f"{_owner(pod)} runs on node {node}, which no manifest describes"
                yield codes.NO_NODE.at(pod.metadata.place, what, nearest(node, mesh.names(Node.kind, "")))


def _owner(pod: Pod) -> str:
    kind, name = pod.workload
    return f"{kind} {pod.metadata.namespace}/{name}"


def _hosts(mesh: CheckedMesh) -> Iterator[Finding]:
    for entry in mesh.manifests.service_entries:
        yield from _host_forms(f"ServiceEntry {entry.metadata.key}", entry.hosts, entry.metadata.place)
    for route in mesh.routes:
        if isinstance(route, TCPRoute):
            continue
        yield from _host_forms(f"{route.kind} {route.metadata.key}", route.hostnames, route.metadata.place)


def _host_forms(subject: str, hosts: Iterable[str], place: Place) -> Iterator[Finding]:
    for host in hosts:
        plain = host.lower().removesuffix(".")
        if host != plain:
            yield codes.HOST_FORM.at(place, f"{subject}: host {host!r} is not as clients write it", f"write {plain!r}")


def _templates(mesh: CheckedMesh) -> Iterator[Finding]:
    for one in mesh.manifests.deployments:
        if not one.selector.matches(one.template.labels):
            what = f"Deployment {one.metadata.key} does not select the labels of its own template"
            yield codes.TEMPLATE.at(one.template.place, what, "give the template the labels of the selector")
