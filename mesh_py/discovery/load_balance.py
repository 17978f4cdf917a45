"""Which endpoint of a service gets a connection (hbone-dataplane 2.4) [pure].

Who qualifies is worked out once per service port and kind of source, and kept on the record until an endpoint
changes; the choice itself is one random number and a binary search.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from mesh_py.model.workload import LoadBalancerMode, LoadBalancerScope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hbone_py.identity import SpiffeId
    from mesh_py.discovery.record import ServiceRecord
    from mesh_py.model.route import Random, Route
    from mesh_py.model.workload import Endpoint, LoadBalancer, Service, Workload


class Resolution(IntEnum):
    """What an endpoint is wanted for: a waypoint with an application tunnel needs no service port (2.3)."""

    STANDARD = 1
    WAYPOINT = 2


@dataclass(slots=True)
class Upstream:
    """The workload a connection goes to (or is meant for, if something else stands in front)."""

    workload: Workload
    port: int
    """The target port."""
    service: Service | None
    expect: tuple[SpiffeId, ...]
    """Who may be there: the service's names, then the workload's own."""
    routes: dict[bool, Route] = field(default_factory=dict, repr=False, compare=False)
    """Routes straight to it for callers of either family (IPv6 or not), kept by `resolve` for the next connection."""


class Candidates(NamedTuple):
    """Upstreams of equal rank and the running sum of their weights."""

    upstreams: tuple[Upstream, ...]
    sums: tuple[int, ...]

    def choose(self, random: Random) -> Upstream | None:
        """One of them by chance, in proportion to weight; None if all weigh nothing."""
        index = weighted_index(self.sums, random)
        return None if index is None else self.upstreams[index]


def weighted_index(sums: tuple[int, ...], random: Random) -> int | None:
    """An index by chance; `sums` are the running sums of the weights. None if all weigh nothing."""
    if not sums or not sums[-1]:
        return None
    if len(sums) == 1:
        return 0  # nothing to choose: chance has no part in it
    return bisect_right(sums, int(random() * sums[-1]))


_SCOPES: dict[LoadBalancerScope, Callable[[Workload], str]] = {
    LoadBalancerScope.REGION: lambda workload: workload.locality.region,
    LoadBalancerScope.ZONE: lambda workload: workload.locality.zone,
    LoadBalancerScope.SUBZONE: lambda workload: workload.locality.subzone,
    LoadBalancerScope.NODE: lambda workload: workload.node,
    LoadBalancerScope.CLUSTER: lambda workload: workload.cluster_id,
    LoadBalancerScope.NETWORK: lambda workload: workload.network,
}


def choose_endpoint(
    record: ServiceRecord,
    workloads: Mapping[str, Workload],
    source: Workload,
    port: int,
    resolution: Resolution,
    random: Random,
) -> Upstream | None:
    """An endpoint of the service for a connection from `source` to service port `port`; None if none will do."""
    balancer = record.service.load_balancer
    if balancer is None or balancer.mode is LoadBalancerMode.STANDARD:
        key: tuple[object, ...] = (port, resolution, source.network)
    else:
        key = (port, resolution, source.network, source.locality, source.node, source.cluster_id)
    candidates: Candidates | None = record.candidates.get(key)
    if candidates is None:
        candidates = find_candidates(record, workloads, source, port, resolution)
        record.candidates[key] = candidates
    return candidates.choose(random)


def find_candidates(
    record: ServiceRecord,
    workloads: Mapping[str, Workload],
    source: Workload,
    port: int,
    resolution: Resolution,
) -> Candidates:
    """The endpoints that qualify and rank highest."""
    upstreams = list(_qualified(record, workloads, source, port, resolution))
    balancer = record.service.load_balancer
    if balancer is not None and balancer.mode is not LoadBalancerMode.STANDARD:
        upstreams = _best_ranked(upstreams, balancer, source)
    weights = accumulate(upstream.workload.capacity for upstream in upstreams)
    return Candidates(tuple(upstreams), tuple(weights))


def rank(balancer: LoadBalancer, source: Workload, workload: Workload) -> int | None:
    """How near the workload is: preferences that hold, in order, up to the first that does not.

    A leading NETWORK preference is different: holding, it outweighs all others together; failing, it does not
    end the count. None where mode STRICT excludes the workload.
    """
    preferences = balancer.routing_preferences
    count = matched = 0
    for index, scope in enumerate(preferences):
        holds = _SCOPES[scope](source) == _SCOPES[scope](workload)
        leading_network = index == 0 and scope is LoadBalancerScope.NETWORK
        if holds:
            matched += 1
            count += len(preferences) if leading_network else 1
        elif not leading_network:
            break
    if balancer.mode is LoadBalancerMode.STRICT and matched != len(preferences):
        return None
    return count


def _best_ranked(upstreams: list[Upstream], balancer: LoadBalancer, source: Workload) -> list[Upstream]:
    ranked = [(rank(balancer, source, upstream.workload), upstream) for upstream in upstreams]
    highest = max((number for number, _ in ranked if number is not None), default=None)
    return [upstream for number, upstream in ranked if number is not None and number == highest]


def _qualified(
    record: ServiceRecord,
    workloads: Mapping[str, Workload],
    source: Workload,
    port: int,
    resolution: Resolution,
) -> Iterator[Upstream]:
    service = record.service
    for endpoint in record.endpoints.values():
        workload = workloads.get(endpoint.workload_uid)
        if workload is None or not _is_reachable(workload, source):
            continue
        target = target_port(service, endpoint, workload, port, resolution)
        if target is not None:
            expect = (*service.identities, workload.identity)
            yield Upstream(workload, target, service, expect)


def _is_reachable(workload: Workload, source: Workload) -> bool:
    if workload.workload_ips or workload.hostname:
        return True
    # No address of its own: only through the gateway of its network, so only from another one.
    return workload.network != source.network and workload.network_gateway is not None


def target_port(
    service: Service, endpoint: Endpoint, workload: Workload, port: int, resolution: Resolution
) -> int | None:
    """The port behind a service port: the endpoint's mapping, else the service's, else an app tunnel's own way."""
    tunnel = workload.application_tunnel if resolution is Resolution.WAYPOINT else None
    declared = service.ports.get(port)
    if declared is None and tunnel is None:
        return None
    mapped = endpoint.ports.get(port)
    if mapped is not None:
        return mapped
    if declared:
        return declared
    # What stands at the other end of an application tunnel knows the port; the service need not (2.3).
    return port if tunnel is not None and tunnel.port is not None else None
