"""S3: a pod with a sidecar calls an ambient pod that has a waypoint (redirection 0, f) [pure].

Nobody captures a waypoint: it is in no set, and no route leads its traffic into a tunnel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab_py.evidence.checks import CountsRule, Flow, Logs, Part, SeesPackets
from lab_py.hops.base import Hop
from lab_py.hops.parts import into_an_ambient_pod, out_of_a_sidecar, to_the_application
from lab_py.redirect.names import HBONE_PORT, IN, OUT

if TYPE_CHECKING:
    from lab_py.topology import Pod, Service


def hops(source: Pod, service: Service, waypoint: Pod, destination: Pod) -> list[Hop]:
    """The path of a request from `source` to `service`, which `destination` serves behind `waypoint`."""
    return [
        *out_of_a_sidecar(source, service),
        *_at_the_waypoint(source, service, waypoint, destination),
        *into_an_ambient_pod(6, waypoint.ip, destination),
        to_the_application("10", waypoint, waypoint.ip, destination),
    ]


def _at_the_waypoint(source: Pod, service: Service, waypoint: Pod, destination: Pod) -> list[Hop]:
    node = waypoint.node
    request = {
        "method": "GET",
        "authority": f"{service.name}:{service.port}",
        "downstream_local_address": f"{destination.ip}:{destination.port}",
        "downstream_remote_address": f"{source.ip}:*",
    }
    to_waypoint = Flow(source=source.ip, destination=waypoint.ip, port=HBONE_PORT)
    onward = Flow(source=waypoint.ip, destination=destination.ip, port=HBONE_PORT)
    return [
        Hop(
            "4",
            f"the sidecar asks the waypoint at {waypoint.ip}:{HBONE_PORT}; {node.name} takes neither for its ztunnel",
            (
                SeesPackets(source.name, "eth0", to_waypoint),
                SeesPackets(waypoint.name, "eth0", to_waypoint),
                SeesPackets(node.name, IN, Flow(), Part.NOTHING),
            ),
        ),
        Hop(
            "5",
            f"the waypoint asks {destination.ip}:{HBONE_PORT} as itself, and nobody captures that",
            (
                Logs(f"waypoint-{waypoint.name}", request),
                SeesPackets(waypoint.name, "eth0", onward),
                CountsRule(node.name, "P15", "mangle PREROUTING: source in ztunnel-pods-ips", 0),
                SeesPackets(node.name, OUT, Flow(), Part.NOTHING),
            ),
        ),
    ]
