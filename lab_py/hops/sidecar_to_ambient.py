"""S2: a pod with a sidecar calls an ambient pod on another node, hops (1) to (9) (redirection 0, f) [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab_py.evidence.checks import CountsRule, Flow, SeesPackets
from lab_py.hops.base import Hop
from lab_py.hops.parts import into_an_ambient_pod, out_of_a_sidecar, to_the_application
from lab_py.redirect.names import HBONE_PORT

if TYPE_CHECKING:
    from lab_py.topology import Pod, Service


def hops(source: Pod, service: Service, destination: Pod) -> list[Hop]:
    """The path of a request from `source` to `service`, which `destination` serves."""
    tunnel = Flow(source=source.ip, destination=destination.ip, port=HBONE_PORT)
    leave = Hop(
        "4",
        f"the sidecar asks {destination.ip}:{HBONE_PORT} by HBONE; what is its own is not captured again",
        (
            CountsRule(source.name, "B5", "nat OUTPUT: the sidecar's own, RETURN"),
            SeesPackets(source.name, "eth0", tunnel),
        ),
    )
    return [
        *out_of_a_sidecar(source, service),
        leave,
        *into_an_ambient_pod(5, source.ip, destination),
        to_the_application("9", source, source.ip, destination),
    ]
