"""What files in ztunnel's own format add to the mesh of the manifests [pure].

They may add workloads, services and policies, and cannot change what a manifest says: where both name the same thing
the manifest counts and the conflict is an error. Of two such files the first counts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from istiod_py.ambient.notices import Notice, Severity
from mesh_py.manifests.metadata import Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, MutableMapping

    from mesh_py.discovery.local_file import LocalConfig
    from mesh_py.model.authorization import Policy
    from mesh_py.model.workload import Service, Workload

Value = TypeVar("Value")


def add_local_objects(
    configs: Iterable[LocalConfig],
    workloads: MutableMapping[str, Workload],
    services: MutableMapping[str, Service],
    policies: MutableMapping[str, Policy],
    trust_domain: str,
) -> Iterator[Notice]:
    """Add what is not there yet; yields the conflicts."""
    for config in configs:
        named = (replace(one, trust_domain=one.trust_domain or trust_domain) for one in config.workloads)
        yield from _add("workload", {one.uid: one for one in named}, workloads)
        yield from _add("service", {str(one.key): replace(one, endpoints={}) for one in config.services}, services)
        yield from _add("policy", {one.key: one for one in config.policies}, policies)
        for service in config.services:
            yield from _attach_endpoints(service, workloads)


def _add(thing: str, added: Mapping[str, Value], known: MutableMapping[str, Value]) -> Iterator[Notice]:
    for key, value in added.items():
        if key in known:
            what = "it is known already, and this one is left out"
            yield _error("local-conflict", f"{thing} {key}", what, "give it another name")
        else:
            known[key] = value


def _attach_endpoints(service: Service, workloads: MutableMapping[str, Workload]) -> Iterator[Notice]:
    """A service that names its endpoints: over xDS it is the workloads that name their services."""
    for uid, endpoint in service.endpoints.items():
        workload = workloads.get(uid)
        if workload is None:
            what = f"it names the endpoint {uid!r}, which is no workload"
            yield _error("local-endpoint", f"service {service.key}", what, "give the uid of a workload")
            continue
        workloads[uid] = replace(workload, services={service.key: endpoint.ports, **workload.services})


def _error(code: str, subject: str, what: str, advice: str) -> Notice:
    return Notice(Place(), code, subject, what, advice, Severity.ERROR)
