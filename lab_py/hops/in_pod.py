"""The same paths in today's design: rules and ztunnel's sockets are inside the pods, nodes only route (redirection c)
[pure]."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lab_py.evidence.checks import Answered, CountsRule, Flow, Logs, Part, SeesPackets
from lab_py.hops.base import Hop
from lab_py.hops.parts import into_a_sidecar, out_of_a_sidecar
from lab_py.mesh_file import hostname_of, identity_of
from lab_py.redirect.names import HBONE_PORT, OUTBOUND_PORT, ZTUNNEL_DEVICE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab_py.topology import Node, Pod, Service


def ambient_to_sidecar(source: Pod, service: Service, destination: Pod) -> list[Hop]:
    """S1: the client's own pod gives the connection to ztunnel; the rest is as it was."""
    arrived = into_a_sidecar(5, source, destination)
    return [
        *_out_of_an_ambient_pod(source, service, destination),
        *(replace(hop, replaces=(old,)) for hop, old in zip(arrived, ("7", "8"), strict=True)),
    ]


def sidecar_to_ambient(source: Pod, service: Service, destination: Pod, skipped: Pod | None) -> list[Hop]:
    """S2, and S3 too, for today's sidecar goes by no waypoint.

    Args:
        skipped: the waypoint that 1.18's path led through.
    """
    shift = 0 if skipped is None else 1
    return [
        *(replace(hop, replaces=(hop.number,)) for hop in out_of_a_sidecar(source, service)),
        _out_to_hbone(source, destination, skipped),
        *_into_an_ambient_pod(source, destination, shift),
        *_to_the_application(source, destination, shift),
    ]


def _out_of_an_ambient_pod(source: Pod, service: Service, destination: Pod) -> list[Hop]:
    target = (destination.ip, service.target_port)
    captured = Flow(source=source.ip, destination="127.0.0.1", port=OUTBOUND_PORT)
    upstream = Flow(source=source.ip, destination=target[0], port=target[1])
    line = {
        "message": "connection complete",
        "direction": "outbound",
        "src.addr": f"{source.ip}:*",
        "src.workload": source.name,
        "dst.addr": f"{target[0]}:{target[1]}",
        "dst.service": hostname_of(service),
        "error": None,
    }
    return [
        Hop(
            "1",
            f"{source.name} calls {service.vip}:{service.port}, and a rule of its own pod catches it",
            (
                CountsRule(source.name, "C8", f"nat OUTPUT: not marked 0x539, REDIRECT to {OUTBOUND_PORT}", 1),
                SeesPackets(source.name, "eth0", Flow(destination=service.vip), Part.NOTHING),
            ),
            ("1", "2"),
        ),
        Hop(
            "2",
            f"it turns round on lo to {OUTBOUND_PORT}, where {source.node.name}'s ztunnel listens inside the pod",
            (SeesPackets(source.name, "lo", captured), Logs(source.node.ztunnel, line)),
            ("3", "4", "5"),
        ),
        Hop(
            "3",
            f"ztunnel connects to {target[0]}:{target[1]} out of the pod: marked 0x539, so that no rule takes it again",
            (
                SeesPackets(source.name, "eth0", upstream),
                CountsRule(source.name, "C8", "nat OUTPUT: the application's connection, and not ztunnel's", 1),
            ),
            ("6",),
        ),
        Hop(
            "4",
            f"{source.node.name} routes it like anything else; its ztunnel pod sees none of it",
            (
                SeesPackets(source.node.name, "eth0", upstream),
                *_ztunnel_pod_sees_nothing(source.node),
                *_kube_proxy_counts_nothing(source.node, service),
            ),
            ("6",),
        ),
    ]


def _out_to_hbone(source: Pod, destination: Pod, skipped: Pod | None) -> Hop:
    tunnel = Flow(source=source.ip, destination=destination.ip, port=HBONE_PORT)
    past = () if skipped is None else (SeesPackets(skipped.name, "eth0", Flow(), Part.NOTHING),)
    by = "" if skipped is None else f"; not by {skipped.name}, for today's sidecar skips waypoints"
    return Hop(
        "4",
        f"the sidecar asks {destination.ip}:{HBONE_PORT} by HBONE{by}",
        (
            CountsRule(source.name, "B5", "nat OUTPUT: the sidecar's own, RETURN"),
            SeesPackets(source.name, "eth0", tunnel),
            *past,
        ),
        ("4",) if skipped is None else ("4", "5"),
    )


def _into_an_ambient_pod(source: Pod, destination: Pod, shift: int) -> list[Hop]:
    node = destination.node
    tunnel = Flow(source=source.ip, destination=destination.ip, port=HBONE_PORT)
    return [
        Hop(
            "5",
            f"{node.name} routes it to the pod like anything else; its ztunnel pod sees none of it",
            (SeesPackets(node.name, destination.device, tunnel), *_ztunnel_pod_sees_nothing(node)),
            (str(5 + shift), str(6 + shift)),
        ),
        Hop(
            "6",
            f"{HBONE_PORT} is redirected by no rule: {node.name}'s ztunnel listens there, inside the pod",
            (
                SeesPackets(destination.name, "eth0", tunnel),
                CountsRule(destination.name, "C4", "nat PREROUTING: REDIRECT to 15006", 0),
                Logs(node.ztunnel, _tunnelled(source, destination)),
            ),
            (str(7 + shift), str(8 + shift)),
        ),
    ]


def _to_the_application(source: Pod, destination: Pod, shift: int) -> Iterator[Hop]:
    assert destination.port is not None  # it serves
    port, old = destination.port, (str(9 + shift),)
    asked = Flow(source=source.ip, destination=destination.ip, port=port)
    answered = Flow(source=destination.ip, source_port=port, destination=source.ip)
    application = {"peer": f"{source.ip}:*", "local": f"{destination.ip}:{port}"}
    yield Hop(
        "7",
        f"ztunnel connects over lo with {source.name}'s address and mark 0x539; conntrack keeps that as 0x111",
        (
            SeesPackets(destination.name, "lo", asked),
            CountsRule(destination.name, "C1", "mangle PREROUTING: mark 0x539, CONNMARK 0x111"),
            Answered(f"app-{destination.name}", application),
        ),
        old,
    )
    yield Hop(
        "8",
        f"the answer to {source.ip} gets 0x111 back, so rule 32764 keeps it in the pod, for ztunnel",
        (
            CountsRule(destination.name, "C2", "mangle OUTPUT: connmark 0x111 becomes the mark"),
            SeesPackets(destination.name, "lo", answered, Part.ANSWER),
            SeesPackets(destination.name, "eth0", answered, Part.NOTHING),
        ),
        old,
    )


def _tunnelled(source: Pod, destination: Pod) -> dict[str, str | None]:
    return {
        "message": "connection opened",
        "direction": "inbound",
        "src.identity": str(identity_of(source)),
        "dst.identity": str(identity_of(destination)),
        "dst.hbone_addr": f"{destination.ip}:{destination.port}",
    }


def _ztunnel_pod_sees_nothing(node: Node) -> tuple[SeesPackets, ...]:
    return (SeesPackets(node.name, ZTUNNEL_DEVICE, Flow(), Part.NOTHING),)


def _kube_proxy_counts_nothing(node: Node, service: Service) -> list[CountsRule]:
    return [CountsRule(node.name, f"K-{service.name}-{pod}", "kube-proxy: DNAT", 0) for pod in service.pods]
