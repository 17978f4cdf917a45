"""Why a request goes wrong: each kind of cause looks for its own traces [pure].

What proxies have written of this very request comes first, then processes that are gone, tunnels that swallow, and
last what is not as the design says. None of them knows what anybody has broken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab_py.evidence.checks import Flow, SeesPackets
from lab_py.redirect.names import IN, OUT, POD_IN, POD_OUT, VNI_IN, VNI_OUT, ZTUNNEL_DEVICE
from lab_py.topology import Design

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from lab_py.explain.differences import Difference
    from lab_py.explain.scene import Scene

BESIDE = frozenset({"O1", "C-PROBE", "C-POSTROUTING", "C3", "C5", "F1", "I1", "I2", "Z3", "P12", "P13"})
"""Pieces that a request between pods does not need: probes, the node's own traffic, plaintext to an ambient pod."""
_DENIED = re.compile(r"policy rejection|rbac:? access denied", re.IGNORECASE)
_POLICY = re.compile(r"denied by: *(\S+?/[^\s}]+)|ns\[([^\]]+)\]-policy\[([^\]]+)\]")
"""As node proxies name a policy, and as Envoy does."""
_UNTRUSTED = re.compile(r"certificate|unknown ?ca|self.signed|verify failed|untrusted", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Cause:
    """What is to blame, and why one may say so."""

    culprit: str
    """`NAMESPACE/PIECE`; or `process NAME`, `policy NAME`, `certificate POD`, `tunnel`."""
    namespace: str
    why: str
    evidence: tuple[str, ...]
    remedy: str


def causes(scene: Scene) -> list[Cause]:
    """All that there are, the kind that proves most first."""
    kinds: tuple[Callable[[Scene], Iterator[Cause]], ...] = (_denied, _untrusted, _ended, _swallowed, _different)
    found = [cause for kind in kinds for cause in kind(scene)]
    return list({cause.culprit: cause for cause in reversed(found)}.values())[::-1]


def complaints(logs: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """What proxies have written of certificates that they do not like, or that somebody did not like of theirs."""
    return [f"log of {process}: {text.strip()}" for process, _, text in _lines(logs) if _UNTRUSTED.search(text)]


def _lines(logs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[tuple[str, str, str]]:
    """Process, namespace and text of what proxies have written: errors and details of responses."""
    for process, lines in logs.items():
        namespace = process.partition("-")[2] if not process.startswith("zt-") else process
        for line in lines:
            told = [str(line[name]) for name in ("error", "response_code_details", "message") if name in line]
            told += [str(line.get("upstream_transport_failure_reason", ""))]
            flags = str(line.get("response_flags", "-"))
            text = " ".join(told).replace("_", " ")
            yield process, namespace, text if flags == "-" else f"{text} [{flags}]"


def _denied(scene: Scene) -> Iterator[Cause]:
    for process, namespace, text in _lines(scene.observed.logs):
        if _DENIED.search(text):
            named = _POLICY.search(text)
            policy = "unnamed" if named is None else named[1] or f"{named[2]}/{named[3]}"
            yield Cause(
                f"policy {policy}",
                namespace,
                f"the policy {policy} denies this caller",
                (f"log of {process}: {text.strip()}",),
                f"change or remove the AuthorizationPolicy {policy}",
            )


def _untrusted(scene: Scene) -> Iterator[Cause]:
    """Who complains is whoever was shown the certificate; whose it is the certificates themselves tell."""
    for pod, problem in scene.bad_certificates.items():
        told = tuple(dict.fromkeys(complaints(scene.observed.logs)))
        if told:
            yield Cause(
                f"certificate {pod}",
                pod,
                f"{pod} shows a certificate that nobody here trusts",
                (*told, f"certificate of {pod}: {problem}"),
                f"have {pod}'s certificate signed by the mesh's authority, or trust the other one",
            )


def _ended(scene: Scene) -> Iterator[Cause]:
    for one in scene.ended:
        how = f"signal {-one.status}" if one.status < 0 else f"status {one.status}"
        yield Cause(
            f"process {one.process}",
            one.namespace,
            f"{one.process} does not run: what is brought to its ports finds nobody",
            (f"process {one.process}: ended with {how}; it said last: {_short(one.said_last)}",),
            f"start it again; `logs {one.process}` tells what it said",
        )


def _swallowed(scene: Scene) -> Iterator[Cause]:
    """A SYN goes into one end of a tunnel and does not come out of the other."""
    if scene.topology.design is not Design.TUNNELS:
        return
    for node in scene.topology.nodes:
        for device, other, vni in ((OUT, POD_OUT, VNI_OUT), (IN, POD_IN, VNI_IN)):
            entered = scene.observed.packets.get((node.name, device), ())
            outer = [one for one in scene.observed.packets.get((node.name, ZTUNNEL_DEVICE), ()) if one.vni == vni]
            came_out = scene.observed.packets.get((node.ztunnel, other), ())
            if any(one.is_syn for one in entered) and not came_out:
                carried = f"{len(outer)} packets in Geneve {vni}" if outer else f"nothing in Geneve {vni}"
                yield Cause(
                    "tunnel",
                    node.name,
                    f"what enters {device} does not come out of {other}: an end of the tunnel does not carry",
                    (
                        f"packet {node.name} {device}: {len(entered)}, first {entered[0]}",
                        f"packet {node.name} {ZTUNNEL_DEVICE}: {carried}",
                        f"packet {node.ztunnel} {other}: nothing",
                    ),
                    f"see to both ends of the tunnel: {device} in {node.name}, {other} in {node.ztunnel}",
                )


def _different(scene: Scene) -> Iterator[Cause]:
    """On the way of the request, in its order; what a request does not need comes last."""
    order = _in_order(scene)
    found = [one for one in scene.differences if _matters(scene, one)]
    for one in sorted(found, key=lambda one: (one.piece in BESIDE, order.get(one.namespace, len(order)))):
        remedy = f"in {one.namespace}: {one.remedy}"
        yield Cause(one.culprit, one.namespace, one.why, (one.found, *_symptoms(scene, one)), remedy)


def _matters(scene: Scene, difference: Difference) -> bool:
    """A reverse path check that has dropped nothing is no cause."""
    return not difference.culprit.endswith(".rp_filter") or scene.drops.get(difference.namespace, 0) > 0


def _symptoms(scene: Scene, difference: Difference) -> Iterator[str]:
    dropped = scene.drops.get(difference.namespace, 0)
    if difference.culprit.endswith(".rp_filter") and dropped:
        yield f"nstat in {difference.namespace}: IPReversePathFilter has grown by {dropped}"
    if difference.culprit.endswith(".mtu"):
        yield from _large_packets(scene)


def _large_packets(scene: Scene) -> Iterator[str]:
    """Those that leave a node again and again, and those of the same flow that come to another."""
    for node in scene.topology.nodes:
        seen = scene.observed.packets.get((node.name, "eth0"), ())
        if seen:
            sizes = sorted({packet.size for packet in seen})
            yield f"packet {node.name} eth0: {len(seen)}, of {sizes[0]} to {sizes[-1]} bytes"


def _in_order(scene: Scene) -> dict[str, int]:
    """Namespaces as the request comes to them."""
    found: dict[str, int] = {}
    for check in (check for hop in scene.hops for check in hop.checks):
        if isinstance(check, SeesPackets) and check.flow != Flow():
            found.setdefault(check.namespace, len(found))
    return found


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:117]}..."
