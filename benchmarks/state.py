"""What a proxy knows: how long a large mesh takes to load, what it weighs, and what questions about it cost.

    python -m benchmarks.state [--workloads 50000] [--seconds 0.3] [--rounds 3] [-o table|json]

No sockets. A service for every 20 workloads, a namespace for every 5 services, 1,000 policies for one of them. Times
are CPU times: other programs must not count.
"""

from __future__ import annotations

import gc
import json
import random
import time
from typing import TYPE_CHECKING, Any

import click

from benchmarks.engine import microseconds
from hbone_py.identity import SpiffeId
from mesh_py.discovery.local_file import read_local_config
from mesh_py.discovery.resolve import resolve
from mesh_py.discovery.state import MeshState
from mesh_py.model.address import IpAddress, NamespacedHostname, NetworkAddress, parse_ip
from mesh_py.model.authorization import Action, Match, MatchKind, Policy, Scope, StringMatch
from mesh_py.model.workload import Protocol, Service, Workload
from mesh_py.policy.match import ConnectionFacts
from mesh_py.policy.rbac import authorize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PODS_OF_A_SERVICE, SERVICES_OF_A_NAMESPACE = 20, 5
POLICIES = 1_000
YAML_WORKLOADS = 2_000
"""As many as the file form is timed with; nobody writes 50,000 by hand."""
PORT, TARGET_PORT = 80, 8080


def pod_ip(number: int) -> IpAddress:
    """The address of a pod."""
    return parse_ip(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")


def vip(number: int) -> IpAddress:
    """The address of a service."""
    return parse_ip(f"172.{16 + (number >> 16)}.{number >> 8 & 255}.{number & 255}")


def namespace(service: int) -> str:
    """The namespace of a service and its pods."""
    return f"ns-{service // SERVICES_OF_A_NAMESPACE}"


def service_key(service: int) -> NamespacedHostname:
    """The name of a service."""
    return NamespacedHostname(namespace(service), f"svc-{service}.{namespace(service)}.svc.cluster.local")


def workload(number: int) -> Workload:
    """A pod as istiod tells of it."""
    service = number // PODS_OF_A_SERVICE
    return Workload(
        uid=f"Kubernetes//Pod/{namespace(service)}/svc-{service}-{number}",
        name=f"svc-{service}-{number}",
        namespace=namespace(service),
        workload_ips=(pod_ip(number),),
        protocol=Protocol.HBONE,
        trust_domain="cluster.local",
        service_account=f"svc-{service}",
        node=f"node-{number % 500}",
        workload_name=f"svc-{service}",
        workload_type="pod",
        canonical_name=f"svc-{service}",
        canonical_revision="v1",
        cluster_id="Kubernetes",
        services={service_key(service): {PORT: TARGET_PORT}},
    )


def service(number: int) -> Service:
    """The service of twenty pods."""
    key = service_key(number)
    vips = (NetworkAddress("", vip(number)),)
    return Service(f"svc-{number}", key.namespace, key.hostname, vips, {PORT: TARGET_PORT}, canonical=True)


def policies(count: int) -> Iterator[Policy]:
    """Policies of the first namespace, none of which matches: the longest way to a verdict."""
    for number in range(count):
        principal = StringMatch(MatchKind.EXACT, f"cluster.local/ns/elsewhere/sa/account-{number}")
        action = Action.DENY if number % 2 else Action.ALLOW
        yield Policy(f"p-{number}", namespace(0), Scope.NAMESPACE, action, (((Match(principals=(principal,)),),),))


def mesh_yaml(count: int) -> str:
    """Workloads in the real ztunnel's own file form."""
    lines = ["workloads:"]
    for one in map(workload, range(count)):
        [(key, _)] = one.services.items()
        lines.append(
            f"- {{uid: {one.uid}, name: {one.name}, namespace: {one.namespace}, serviceAccount: {one.service_account}, "
            f"trustDomain: cluster.local, workloadIps: [{one.workload_ips[0]}], protocol: HBONE, node: {one.node}, "
            f'services: {{"{key}": {{{PORT}: {TARGET_PORT}}}}}}}'
        )
    return "\n".join(lines)


def resident_bytes() -> int:
    """Memory of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def measure(count: int, seconds: float, rounds: int) -> dict[str, float]:
    """Every figure, by name."""
    figures = dict(_loading(state := MeshState(), count))
    figures |= {name: _least(once, seconds, rounds) for name, once in _questions(state, count)}
    text = mesh_yaml(YAML_WORKLOADS)
    begin = time.process_time()
    read_local_config(text, "mesh.yaml")
    return figures | {"file, us per workload": (time.process_time() - begin) / YAML_WORKLOADS * 1e6}


def _loading(state: MeshState, count: int) -> Iterator[tuple[str, float]]:
    gc.collect()
    memory, begin = resident_bytes(), time.process_time()
    with state.batch():
        for number in range(0, count, PODS_OF_A_SERVICE):
            state.upsert_service(service(number // PODS_OF_A_SERVICE))
        for number in range(count):
            state.upsert_workload(workload(number))
    yield "load, s", time.process_time() - begin
    yield "memory, bytes per workload", (resident_bytes() - memory) / count


def _questions(state: MeshState, count: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """What is asked of a loaded mesh; each question about another place in it."""
    dice = random.Random(1)
    pods = [dice.randrange(count) for _ in range(4096)]
    source = workload(0)
    turn = iter(_endless(pods))
    yield "look-up by address, us", lambda: state.find_address("", pod_ip(next(turn)))
    yield (
        "route to a pod, us",
        lambda: resolve(state, source, pod_ip(0), (pod_ip(next(turn)), PORT), random=dice.random),
    )
    yield (
        "route to a service, us",
        lambda: resolve(state, source, pod_ip(0), (vip(next(turn) // PODS_OF_A_SERVICE), PORT), random=dice.random),
    )
    yield "update of a workload, us", lambda: state.upsert_workload(workload(next(turn)))
    with state.batch():
        for policy in policies(POLICIES):
            state.upsert_policy(policy)
    applicable = state.policies.applicable(source)
    facts = ConnectionFacts(pod_ip(1), pod_ip(0), TARGET_PORT, SpiffeId("cluster.local", "ns-1", "svc-7"))
    yield f"verdict of {POLICIES:,} policies, us", lambda: authorize(applicable, facts)


def _endless(numbers: list[int]) -> Iterator[int]:
    while True:
        yield from numbers


def _least(once: Callable[[], object], seconds: float, rounds: int) -> float:
    return min(microseconds(once, seconds) for _ in range(rounds))


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--workloads", default=50_000, show_default=True, type=click.IntRange(100), help="Size of the mesh.")
@click.option("--seconds", default=0.3, show_default=True, help="Measured time of each figure in a round.")
@click.option("--rounds", default=3, show_default=True, help="Rounds; the least disturbed one counts.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def main(workloads: int, seconds: float, rounds: int, output: str) -> None:
    """Load a mesh of so many workloads and ask it what a proxy asks for every connection."""
    figures: dict[str, Any] = {"workloads": workloads, **measure(workloads, seconds, rounds)}
    if output == "json":
        click.echo(json.dumps(figures, indent=2))
        return
    for name, value in figures.items():
        click.echo(f"{name:32}{value:>12,.0f}" if value >= 100 else f"{name:32}{value:>12.2f}")


if __name__ == "__main__":
    main()
