"""Services and what is behind them [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.check import codes
from istiod_py.check.nearest import nearest, nearest_label, text_of
from mesh_py.manifests.core import Service
from mesh_py.manifests.networking import Resolution

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from istiod_py.check.checked_mesh import CheckedMesh
    from istiod_py.check.codes import Finding
    from mesh_py.manifests.core import Pod, ServicePort
    from mesh_py.manifests.networking import ServiceEntry


def check(mesh: CheckedMesh) -> Iterator[Finding]:
    """Everything about services."""
    for service in mesh.manifests.services:
        if service.type != "ExternalName":
            yield from _service(service, mesh)
    for entry in mesh.manifests.service_entries:
        yield from _entry(entry, mesh)
    yield from _slices(mesh)


def _service(service: Service, mesh: CheckedMesh) -> Iterator[Finding]:
    subject, place = f"Service {service.metadata.key}", service.metadata.place
    if not service.ports and not service.is_headless:
        yield codes.NO_PORTS.at(place, f"{subject} has no ports", "add spec.ports")
    if not service.selector:
        if not mesh.manifests.slices_of(service):
            yield codes.NO_ENDPOINTS.at(place, f"{subject} selects nothing and has no EndpointSlice", "add a selector")
        return
    pods = mesh.manifests.pods_selected(service.metadata.namespace, service.selector)
    if pods:
        yield from _target_ports(service, pods)
    elif not mesh.manifests.workload_entries_selected(service.metadata.namespace, service.selector):
        what = f"{subject} selects {text_of(service.selector)}, which nothing in the namespace has"
        yield codes.SELECTS_NOTHING.at(
            place, what, nearest_label(service.selector, mesh.labels_in(service.metadata.namespace))
        )


def _target_ports(service: Service, pods: Sequence[Pod]) -> Iterator[Finding]:
    for port in service.ports:
        if isinstance(port.target_port, str):
            yield from _named_port(service, port, port.target_port, pods)


def _named_port(service: Service, port: ServicePort, name: str, pods: Sequence[Pod]) -> Iterator[Finding]:
    without = [pod for pod in pods if pod.spec.port_named(name, port.protocol) is None]
    subject = f"Service {service.metadata.key} port {port.port}"
    if len(without) == len(pods):
        names = {one.name for pod in pods for one in pod.spec.ports if one.name}
        what = f"{subject} leads to port {name!r}, which no pod has"
        yield codes.NO_TARGET_PORT.at(
            port.place, what, nearest(name, names, "name a containerPort, or write its number")
        )
    elif without:
        what = f"{subject} leads to port {name!r}, which {len(without)} of {len(pods)} pods do not have"
        yield codes.SOME_TARGET_PORT.at(port.place, what, f"such as {without[0].metadata.name}")


def _entry(entry: ServiceEntry, mesh: CheckedMesh) -> Iterator[Finding]:
    subject, place = f"ServiceEntry {entry.metadata.key}", entry.metadata.place
    if not entry.ports:
        yield codes.NO_PORTS.at(place, f"{subject} has no ports", "add spec.ports")
    if entry.workload_selector is not None and not mesh.workloads_selected_in(
        entry.metadata.namespace, entry.workload_selector
    ):
        what = f"{subject} selects {text_of(entry.workload_selector)}, which nothing in the namespace has"
        advice = nearest_label(entry.workload_selector, mesh.labels_in(entry.metadata.namespace))
        yield codes.SELECTS_NOTHING.at(place, what, advice)
    if entry.resolution is Resolution.STATIC and not entry.endpoints and entry.workload_selector is None:
        what = f"{subject} is STATIC and has neither endpoints nor a selector"
        yield codes.NO_ENDPOINTS.at(place, what, "add one, or write resolution: DNS or NONE")
    if entry.resolution in (Resolution.DNS, Resolution.DNS_ROUND_ROBIN) and not entry.endpoints:
        for host in entry.hosts:
            if "*" in host:
                what = f"{subject}: {host} is a wildcard, which DNS cannot resolve"
                yield codes.WILDCARD_DNS.at(place, what, "write resolution: NONE or DYNAMIC_DNS, or name endpoints")


def _slices(mesh: CheckedMesh) -> Iterator[Finding]:
    for one in mesh.manifests.endpoint_slices:
        namespace, name = one.metadata.namespace, one.service_name
        if mesh.manifests.find(Service, namespace, name) is None:
            what = f"EndpointSlice {one.metadata.key} belongs to Service {name or '(none)'}, which is not there"
            advice = nearest(name, mesh.names(Service.kind, namespace), "label it with kubernetes.io/service-name")
            yield codes.SLICE_OF_NOTHING.at(one.metadata.place, what, advice)
