"""Labels that decide who takes part in the mesh, and waypoints that cannot work [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.ambient import vocabulary
from istiod_py.ambient.waypoints import asked_for
from istiod_py.check import codes
from mesh_py.discovery.problems import suggest
from mesh_py.manifests.gateway import HBONE_PROTOCOL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from istiod_py.check.checked_mesh import CheckedMesh
    from istiod_py.check.codes import Finding
    from mesh_py.manifests.gateway import Gateway
    from mesh_py.manifests.metadata import Labels, Place

WAYPOINT_FOR = "istio.io/waypoint-for"
WORDS = {
    vocabulary.DATAPLANE_MODE: ("ambient", "none"),
    WAYPOINT_FOR: ("service", "workload", "all", "none"),
    vocabulary.INJECTION: ("enabled", "disabled"),
    vocabulary.SIDECAR_INJECT: ("true", "false"),
    vocabulary.TUNNEL: ("http", "none"),
}
"""Labels of the mesh and the values that mean something."""


def check(mesh: CheckedMesh) -> Iterator[Finding]:
    """Everything about participation and waypoints."""
    yield from _labels(mesh)
    asked = _asked_for(mesh)
    for gateway in mesh.manifests.gateways:
        if gateway.is_waypoint:
            yield from _waypoint(gateway, mesh, asked)


def _labels(mesh: CheckedMesh) -> Iterator[Finding]:
    seen: set[tuple[Place, str]] = set()
    for one in mesh.manifests.all():
        for label, value in _wrong_words(one.metadata.labels):
            if (one.metadata.place, label) not in seen:
                seen.add((one.metadata.place, label))
                what = f"{one.kind} {one.metadata.key} has label {label}: {value!r}, which means nothing"
                yield codes.UNKNOWN_WORD.at(one.metadata.place, what, suggest(value, WORDS[label]))


def _wrong_words(labels: Labels) -> Iterator[tuple[str, str]]:
    for label, words in WORDS.items():
        if label in labels and labels[label] not in words:
            yield label, labels[label]


def _waypoint(gateway: Gateway, mesh: CheckedMesh, asked: set[str]) -> Iterator[Finding]:
    key, place = gateway.metadata.key, gateway.metadata.place
    if not any(one.protocol == HBONE_PROTOCOL and one.port == vocabulary.HBONE_PORT for one in gateway.listeners):
        what = f"waypoint {key} has no listener with protocol HBONE on port {vocabulary.HBONE_PORT}"
        yield codes.WAYPOINT_WITHOUT_LISTENER.at(place, what, "add {name: mesh, port: 15008, protocol: HBONE}")
    if key not in asked:
        what = f"waypoint {key} is asked for by nothing"
        advice = f"label a namespace or a service with istio.io/use-waypoint: {gateway.metadata.name}"
        yield codes.WAYPOINT_UNUSED.at(place, what, advice)
    elif not mesh.manifests.pods_selected(gateway.metadata.namespace, {vocabulary.GATEWAY_NAME: gateway.metadata.name}):
        what = f"waypoint {key} has no pods, so what is behind it cannot be reached"
        advice = f"label its pods with {vocabulary.GATEWAY_NAME}: {gateway.metadata.name}"
        yield codes.WAYPOINT_WITHOUT_PODS.at(place, what, advice)


def _asked_for(mesh: CheckedMesh) -> set[str]:
    """The waypoints that anything asks for."""
    found: set[str] = set()
    for one in mesh.manifests.all():
        namespace = one.metadata.namespace or one.metadata.name
        labels = one.metadata.labels
        canary = asked_for(labels, namespace, vocabulary.USE_CANARY, vocabulary.USE_CANARY_NAMESPACE)
        found.update(key for key in (asked_for(labels, namespace), canary) if key is not None)
    return found
