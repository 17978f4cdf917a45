"""What authorities mean, in a table; attachment by service, by workload, by several waypoints, across namespaces."""

from __future__ import annotations

from functools import partial

import pytest

from mesh_py.discovery.state import MeshState
from mesh_py.manifests.proxy_file import read_waypoint_file
from mesh_py.model.errors import BadAuthority
from waypoint_py.attached import NotAttached, find_target

MESH = """\
workloads:
- {uid: way, name: way, namespace: a, serviceAccount: way, workloadIps: ["10.0.0.9"],
   services: {a/way.a: {15008: 15008}}}
- {uid: p1, name: p1, namespace: a, serviceAccount: s, workloadIps: ["10.0.0.1"], services: {a/one.a: {80: 8080}}}
- {uid: p2, name: p2, namespace: b, serviceAccount: s, workloadIps: ["10.0.0.2"], services: {b/two.b: {80: 8080}},
   waypoint: {destination: "/10.0.0.9", hboneMtlsPort: 15008}}
- {uid: p3, name: p3, namespace: b, serviceAccount: s, workloadIps: ["10.0.0.3"], services: {b/free.b: {80: 8080}}}
services:
- {name: way, namespace: a, hostname: way.a, vips: ["/10.1.0.9"], ports: {15008: 15008}}
- {name: one, namespace: a, hostname: one.a, vips: ["/10.1.0.1"], ports: {80: 8080},
   waypoint: {destination: a/way.a, hboneMtlsPort: 15008}}
- {name: two, namespace: b, hostname: two.b, vips: ["/10.1.0.2"], ports: {80: 8080},
   waypoint: {destination: "/10.0.0.9", hboneMtlsPort: 15008}}
- {name: three, namespace: b, hostname: three.b, vips: ["/10.1.0.3", "/fd00::3"], ports: {80: 8080},
   weightedWaypoints: [{destination: {destination: "/10.0.0.8", hboneMtlsPort: 15008}, weight: 1},
                       {destination: {destination: "/10.0.0.9", hboneMtlsPort: 15008}, weight: 1}]}
- {name: free, namespace: b, hostname: free.b, vips: ["/10.1.0.4"], ports: {80: 8080}}
- {name: others, namespace: b, hostname: others.b, vips: ["/10.1.0.5"], ports: {80: 8080},
   waypoint: {destination: "/10.0.0.3", hboneMtlsPort: 15008}}
"""


@pytest.fixture(scope="module")
def state() -> MeshState:
    config = read_waypoint_file(MESH, "mesh.yaml", trust_domain="cluster.local")
    (state := MeshState()).replace(config.workloads, config.services, config.policies)
    return state


def understood(state: MeshState, authority: str) -> str:
    """What it means, in words: service, address, pod."""
    own = state.workloads.by_uid["way"]
    target = find_target(state, own, authority)
    workload = target.meant.workload
    name = target.name or (f"pod {workload.name}" if workload is not None else "?")
    chosen = "" if target.pod is None or target.pod.workload is None else f" by {target.pod.workload.name}"
    return f"{name} at {target.address[0]}:{target.address[1]}{chosen}"


@pytest.mark.parametrize(
    ("authority", "meaning"),
    [
        pytest.param("10.1.0.1:80", "a/one.a at 10.1.0.1:80", id="VIP, the waypoint by its service"),
        pytest.param("10.1.0.2:80", "b/two.b at 10.1.0.2:80", id="VIP in another namespace, by address"),
        pytest.param("10.1.0.3:80", "b/three.b at 10.1.0.3:80", id="one of several waypoints"),
        pytest.param("[fd00::3]:80", "b/three.b at fd00::3:80", id="its IPv6 VIP"),
        pytest.param("two.b:80", "b/two.b at 10.1.0.2:80", id="host name"),
        pytest.param("10.0.0.2:8080", "pod p2 at 10.0.0.2:8080", id="an attached pod"),
        pytest.param("10.0.0.2:9999", "pod p2 at 10.0.0.2:9999", id="any port of it"),
        pytest.param("10.0.0.1:8080", "a/one.a at 10.1.0.1:80 by p1", id="the pod of an attached service"),
    ],
)
def test_what_is_attached(state: MeshState, authority: str, meaning: str) -> None:
    assert understood(state, authority) == meaning


@pytest.mark.parametrize(
    "authority",
    [
        pytest.param("10.1.0.1:81", id="a port the service has not"),
        pytest.param("10.1.0.4:80", id="a service without a waypoint"),
        pytest.param("10.1.0.5:80", id="a service of another waypoint"),
        pytest.param("10.0.0.3:8080", id="a pod of none"),
        pytest.param("10.0.0.1:9999", id="a port no attached service leads to"),
        pytest.param("10.0.0.9:80", id="ourselves"),
        pytest.param("10.9.9.9:80", id="nobody"),
        pytest.param("free.b:80", id="a name without a waypoint"),
        pytest.param("nobody:80", id="no name"),
    ],
)
def test_what_is_not(state: MeshState, authority: str) -> None:
    with pytest.raises(NotAttached, match="use-waypoint") as caught:
        understood(state, authority)
    assert caught.value.status == 404


@pytest.mark.parametrize("authority", ["", "10.1.0.1", "10.1.0.1:x", "[10.1.0.1]:80", "a/b:80"])
def test_what_is_no_authority(state: MeshState, authority: str) -> None:
    with pytest.raises(BadAuthority):
        partial(understood, state)(authority)
