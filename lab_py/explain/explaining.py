"""`explain`: one request through a lab that is up, with everything that can be looked at before and after."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from lab_py.errors import Unusable
from lab_py.evidence.checks import Finding
from lab_py.evidence.counters import counted_since, read_counters
from lab_py.evidence.packets import read_refusal
from lab_py.explain.causes import complaints
from lab_py.explain.certificates import bad_certificates
from lab_py.explain.differences import differences
from lab_py.explain.explanation import judge_scene
from lab_py.explain.scene import Ended, Scene
from lab_py.explain.survey import devices_of, reverse_path_drops, survey
from lab_py.hops.base import Hop, HopFound
from lab_py.hops.paths import hops_of
from lab_py.observe import LogTails, witness
from lab_py.peers.running import get_inside
from lab_py.topology import Design, Request
from mesh_py.discovery.problems import suggest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab_py.evidence.capture import Frame, Place
    from lab_py.explain.explanation import Told
    from lab_py.lab import Lab
    from lab_py.netns import Namespaces
    from lab_py.topology import Pod, Topology

PATIENCE = 2.5
"""Seconds an answer may take: longer than a busy machine needs, and most faults are silent."""
FILLER = 3000
"""Bytes that make the request larger than any packet: else nobody would notice a link that takes small ones only."""
SETTLING = 0.5
"""Seconds after a request that failed until everybody has written of it."""


def explain(lab: Lab, source: str | None = None, service: str | None = None, patience: float = PATIENCE) -> Told:
    """Send the lab's request, or another, and say what became of it (`explanation`). Raises LabError."""
    topology = _asking(lab.built.topology, source, service)
    return judge_scene(look(lab, topology, patience))


def _asking(topology: Topology, source: str | None, service: str | None) -> Topology:
    """With that request instead of its own. Raises Unusable: there is no such pod or service, or no request at all."""
    request = topology.request
    pods, services = [pod.name for pod in topology.pods], [one.name for one in topology.services]
    for name, known in ((source, pods), (service, services)):
        if name is not None and name not in known:
            raise Unusable(f"there is no {name!r}: {suggest(name, known) or ', '.join(known)}")
    if source is None or service is None:
        if request is None:
            raise Unusable("this lab has no request of its own: `explain POD SERVICE`")
        source, service = source or request.source, service or request.service
    return dataclasses.replace(topology, request=Request(source, service))


def look(lab: Lab, topology: Topology, patience: float) -> Scene:
    """Everything that is to be judged; an answer may take `patience` seconds.

    Raises:
        Unusable: of this request no hops are described.
        LabError: something cannot be looked at.
    """
    hops, namespaces = hops_of(topology), lab.built.namespaces
    before = {name: namespaces.inside(name, reverse_path_drops) for name in topology.namespaces}
    frames: dict[Place, Sequence[Frame]] = {}
    tails = LogTails(lab.files, [one.peer.name for one in lab.processes], hops)
    observed = witness(topology, namespaces, _places(topology, namespaces), tails, patience, frames, FILLER, SETTLING)
    after = survey(namespaces, topology.namespaces)
    return Scene(
        topology,
        hops,
        observed,
        differences(topology, after, by_uid=lab.machine.has_sidecar_uid),
        {name: ground.reverse_path_drops - before[name] for name, ground in after.items()},
        list(_ended(lab)),
        bad_certificates(topology, namespaces, lab.files) if complaints(observed.logs) else {},
        [text for seen in frames.values() for frame in seen if (text := read_refusal(frame.data))],
        [_probe(lab, pod) for pod in _probed(topology)],
    )


def _places(topology: Topology, namespaces: Namespaces) -> Iterator[Place]:
    """Every device that is up, but for those that only carry for others."""
    for namespace in topology.namespaces:
        for name, device in devices_of(namespaces, namespace).items():
            if device.is_up and not name.endswith("-g"):
                yield namespace, name


def _ended(lab: Lab) -> Iterator[Ended]:
    for one in lab.processes:
        if one.status is not None:
            yield Ended(one.peer.name, one.peer.namespace, one.status, one.last_line)


def _probed(topology: Topology) -> Iterator[Pod]:
    """The pods that serve this request and are ambient: only they have anything between them and their node."""
    assert topology.request is not None  # `hops_of` has seen to that
    for name in topology.service(topology.request.service).pods:
        pod = topology.pod(name)
        if pod.is_enrolled and pod.port is not None:
            yield pod


def _probe(lab: Lab, pod: Pod) -> HopFound:
    """The node asks the pod for its health, as a kubelet does: past ztunnel, by a rule of its own (redirection a.6)."""
    assert pod.port is not None  # `_probed` has seen to that
    namespaces, node = lab.built.namespaces, pod.node.name
    rule = "O1" if lab.built.topology.design is Design.TUNNELS else "C-PROBE"
    before = read_counters(namespaces.rules(node))
    status, why = get_inside(namespaces, node, (pod.ip, pod.port), "/healthz")
    count = counted_since(before, read_counters(namespaces.rules(node))).get(rule)
    answered = Finding("call", f"app-{pod.name}", "status=200", f"status={status}" if status else why, status == 200)
    shown = "no such rule" if count is None else str(count)
    counted = Finding("counter", f"{node} {rule}", "at least 1 (the node's own call)", shown, bool(count))
    return HopFound(Hop("probe", f"{node} asks {pod.name} for its health, past ztunnel", ()), (answered, counted))
