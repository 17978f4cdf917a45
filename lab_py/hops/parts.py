"""What several paths have in common: into the tunnel, out of it, through a sidecar [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab_py.evidence.checks import Answered, CallerProved, CountsRule, Flow, Logs, Part, SeesPackets
from lab_py.hops.base import Hop
from lab_py.mesh_file import identity_of
from lab_py.redirect.names import (
    HBONE_PORT,
    IN,
    OUTBOUND_PORT,
    PLAINTEXT_PORT,
    POD_IN,
    VNI_IN,
    ZTUNNEL_DEVICE,
)

if TYPE_CHECKING:
    from lab_py.evidence.checks import Check
    from lab_py.topology import Pod, Service


def out_of_a_sidecar(pod: Pod, service: Service) -> list[Hop]:
    """(1) to (3): the application's connection turns round inside the pod."""
    captured = Flow(destination="127.0.0.1", port=OUTBOUND_PORT)
    asked = f"{service.name}:{service.port}"
    request = {"method": "GET", "authority": asked, "downstream_local_address": f"{service.vip}:{service.port}"}
    return [
        Hop(
            "1",
            f"{pod.name} calls {service.vip}:{service.port}, and a rule of its own pod catches it",
            (CountsRule(pod.name, "B10", "nat OUTPUT: what nobody excepted goes to ISTIO_REDIRECT", 1),),
        ),
        Hop(
            "2",
            f"the connection is redirected to {OUTBOUND_PORT} on lo, where the sidecar reads a request for {asked}",
            (
                CountsRule(pod.name, "B-REDIRECT", f"nat: REDIRECT to {OUTBOUND_PORT}", 1),
                SeesPackets(pod.name, "lo", captured),
                Logs(f"sidecar-{pod.name}", {**request, "downstream_remote_address": f"{pod.ip}:*"}),
            ),
        ),
        Hop(
            "3",
            "the application hears the virtual address answer, so it never knows",
            (SeesPackets(pod.name, "lo", Flow(source=service.vip, source_port=service.port), Part.ANSWER),),
        ),
    ]


def into_a_sidecar(first: int, source: Pod, destination: Pod) -> list[Hop]:
    """(7) and (8): what comes for the pod is its sidecar's, which calls the application."""
    assert destination.port is not None  # it serves
    port = destination.port
    to_application = Flow(source="127.0.0.6", destination=destination.ip, port=port)
    once = None if destination.takes_hbone else 1  # a tunnel's 200 says that the application has answered a first time
    return [
        _to_the_sidecar(first, source, destination, port),
        Hop(
            str(first + 1),
            "the sidecar calls the application over lo, from 127.0.0.6, and no rule takes that for new traffic",
            (
                SeesPackets(destination.name, "lo", to_application),
                CountsRule(destination.name, "B2", "nat OUTPUT: from 127.0.0.6, RETURN", once),
                Answered(f"app-{destination.name}", {"peer": "127.0.0.6:*", "local": f"{destination.ip}:{port}"}),
            ),
        ),
    ]


def _to_the_sidecar(number: int, source: Pod, destination: Pod, port: int) -> Hop:
    """In the clear a rule brings it to the sidecar; HBONE comes to where the sidecar listens, and no rule is needed."""
    there = HBONE_PORT if destination.takes_hbone else port
    line = {"downstream_local_address": f"{destination.ip}:{port}", "downstream_remote_address": f"{source.ip}:*"}
    title = f"{destination.name}'s pod redirects it to its sidecar at {PLAINTEXT_PORT}"
    rule = CountsRule(destination.name, "B-IN-REDIRECT", f"nat: REDIRECT to {PLAINTEXT_PORT}", 1)
    proof: list[Check] = []
    if destination.takes_hbone:
        title = f"the sidecar listens at {HBONE_PORT} itself: the rules leave it alone"
        rule = CountsRule(destination.name, f"B-{HBONE_PORT}", f"nat: to {HBONE_PORT}, RETURN", 1)
        proof = [CallerProved(f"app-{destination.name}", str(identity_of(source)))]
    arrives = SeesPackets(destination.name, "eth0", Flow(source=source.ip, destination=destination.ip, port=there))
    return Hop(str(number), title, (arrives, rule, Logs(f"sidecar-{destination.name}", line), *proof))


def into_an_ambient_pod(first: int, source_ip: str, pod: Pod) -> list[Hop]:
    """(5) to (8): a node routes what is for its ambient pod through the tunnel to its ztunnel."""
    node = pod.node
    tunnelled = Flow(source=source_ip, destination=pod.ip, port=HBONE_PORT)
    outer = Flow(source=source_ip, destination=pod.ip, port=HBONE_PORT, vni=VNI_IN)
    return [
        Hop(
            str(first),
            f"{node.name} routes {pod.ip} by rule 103 and table 100 into {IN}; only the SYN goes this way",
            (
                SeesPackets(node.name, IN, tunnelled, Part.ONLY_SYN),
                SeesPackets(node.name, ZTUNNEL_DEVICE, outer, Part.ONLY_SYN),
            ),
        ),
        Hop(
            str(first + 1),
            f"the SYN comes out of {POD_IN} in the ztunnel pod",
            (SeesPackets(node.ztunnel, POD_IN, tunnelled, Part.ONLY_SYN),),
        ),
        Hop(
            str(first + 2),
            f"TPROXY gives it to {HBONE_PORT}",
            (CountsRule(node.ztunnel, "Z1", f"mangle: TPROXY to {HBONE_PORT}", 1),),
        ),
        Hop(
            str(first + 3),
            "the rest of the connection comes by eth0, without the tunnel",
            (
                CountsRule(node.name, "P8", "mangle: replies owed to ztunnel"),
                CountsRule(node.ztunnel, "Z4", "mangle: what is for others is local here"),
                SeesPackets(node.ztunnel, "eth0", tunnelled, Part.REST),
            ),
        ),
    ]


def to_the_application(number: str, caller: Pod, source_ip: str, pod: Pod) -> Hop:
    """ztunnel, which has proof of who calls, connects to the pod with the caller's address."""
    assert pod.port is not None  # it serves
    node, flow = pod.node, Flow(source=source_ip, destination=pod.ip, port=pod.port)
    line = {
        "message": "connection opened",
        "direction": "inbound",
        "src.identity": str(identity_of(caller)),
        "dst.identity": str(identity_of(pod)),
        "dst.hbone_addr": f"{pod.ip}:{pod.port}",
    }
    return Hop(
        number,
        f"ztunnel knows {caller.name} by its certificate, and connects to {pod.name} with the address {source_ip}",
        (
            Logs(node.ztunnel, line),
            CountsRule(node.name, "P10", "mangle: from ztunnel with a borrowed address, 0x210"),
            SeesPackets(node.ztunnel, "eth0", flow),
            SeesPackets(pod.name, "eth0", flow),
            Answered(f"app-{pod.name}", {"peer": f"{source_ip}:*", "local": f"{pod.ip}:{pod.port}"}),
        ),
    )
