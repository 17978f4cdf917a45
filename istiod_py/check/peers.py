"""Mutual TLS: modes for ports that are not there, and callers that cannot speak it [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.check import codes
from istiod_py.check.nearest import nearest_label, text_of
from mesh_py.manifests.core import Pod
from mesh_py.manifests.security import MutualTls

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from istiod_py.check.checked_mesh import CheckedMesh
    from istiod_py.check.codes import Finding
    from mesh_py.manifests.security import PeerAuthentication


def check(mesh: CheckedMesh) -> Iterator[Finding]:
    """Everything about PeerAuthentication."""
    for one in mesh.manifests.peer_authentications:
        pods = _selected(one, mesh)
        if one.selector and not pods and not _entries(one, mesh):
            what = f"{_subject(one)} selects {text_of(one.selector)}, which nothing in the namespace has"
            advice = nearest_label(one.selector, mesh.labels_in(one.metadata.namespace))
            yield codes.POLICY_SELECTS_NOTHING.at(one.metadata.place, what, advice)
        if pods:
            yield from _ports(one, pods, mesh)
            yield from _plain_clients(one, pods, mesh)


def _selected(one: PeerAuthentication, mesh: CheckedMesh) -> Sequence[Pod]:
    """The pods it is for; a selector of the root namespace selects nothing."""
    if one.selector:
        return mesh.manifests.pods_selected(one.metadata.namespace, one.selector)
    found = mesh.workloads_selected(one.metadata.namespace, {})
    return [pod for pod in found if isinstance(pod, Pod)]


def _entries(one: PeerAuthentication, mesh: CheckedMesh) -> bool:
    return bool(mesh.manifests.workload_entries_selected(one.metadata.namespace, one.selector or {}))


def _ports(one: PeerAuthentication, pods: Sequence[Pod], mesh: CheckedMesh) -> Iterator[Finding]:
    """Ports are those of pods: a service's port that leads to another one is a common slip."""
    listed = {port.container_port for pod in pods for port in pod.spec.ports}
    targets = _service_targets(pods, mesh)
    known = listed | {target for found in targets.values() for target in found}
    for port in one.port_level_mtls:
        if port in known or not known:
            continue
        what = f"{_subject(one)} has a mode for port {port}, which no selected pod has"
        meant = ", ".join(map(str, sorted(targets.get(port, ()))))
        advice = f"a service's port {port} leads to {meant}: write that" if meant else f"pods have {_numbers(known)}"
        yield codes.PORT_MODE.at(one.metadata.place, what, advice)


def _numbers(ports: set[int]) -> str:
    return ", ".join(map(str, sorted(ports)[:5]))


def _service_targets(pods: Sequence[Pod], mesh: CheckedMesh) -> dict[int, set[int]]:
    """Ports of the services in front of the pods, and where on the pods they lead."""
    keys = {pod.metadata.key for pod in pods}
    targets: dict[int, set[int]] = {}
    for service in mesh.manifests.services:
        if not service.selector or service.metadata.namespace not in {pod.metadata.namespace for pod in pods}:
            continue
        behind = mesh.manifests.pods_selected(service.metadata.namespace, service.selector)
        for pod in (pod for pod in behind if pod.metadata.key in keys):
            for port in service.ports:
                named = port.target_port
                target = named if isinstance(named, int) else pod.spec.port_named(named, port.protocol)
                if target is not None:
                    targets.setdefault(port.port, set()).add(target)
    return targets


def _plain_clients(one: PeerAuthentication, pods: Sequence[Pod], mesh: CheckedMesh) -> Iterator[Finding]:
    if one.mtls is not MutualTls.STRICT:
        return
    strict = {pod.metadata.key for pod in pods}
    guarded = not all(mesh.is_outside(pod) for pod in pods)
    plain = [pod for pod in mesh.outside if pod.metadata.key not in strict]
    if guarded and plain:
        what = f"{_subject(one)} requires mutual TLS, which {len(plain)} pods without a proxy cannot speak"
        advice = f"such as {plain[0].metadata.key}; take them into the mesh, or write PERMISSIVE"
        yield codes.PLAIN_CLIENTS.at(one.metadata.place, what, advice)
    elif not guarded:
        what = f"{_subject(one)} requires mutual TLS of {len(pods)} pods, none of which has a proxy"
        yield codes.NOBODY_ENFORCES.at(
            one.metadata.place, what, "label their namespace with istio.io/dataplane-mode: ambient"
        )


def _subject(one: PeerAuthentication) -> str:
    return f"{one.kind} {one.metadata.key}"
