"""Reading the mesh out of a proxy's `/config_dump` [pure].

Two shapes are read: today's lists (hbone-controlplane 7.3), and the older maps keyed by address, where a waypoint's
port is called `port` and only the services know which workloads serve them. Unknown keys are passed over.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import yaml

from mesh_py.discovery.mesh_schema import MeshSchema, namespaced_hostname
from mesh_py.discovery.yaml_reader import Field, Reader, Schema, has_key, map_of, pairs, scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mesh_py.model.address import NamespacedHostname
    from mesh_py.model.authorization import Policy
    from mesh_py.model.workload import Endpoint, Ports, Service, Workload

_DUMP_KEYS = ("version", "config", "certificates", "workloadState", "stagedServices", "staticConfig")
_LISTS = ("workloads", "services", "policies")
_Endpoints = dict["NamespacedHostname", "Mapping[str, Endpoint]"]


def is_config_dump(node: yaml.Node) -> bool:
    """Whether a document is a dump: by a key that only dumps have, or by a map where LocalConfig has a list."""
    if has_key(node, *_DUMP_KEYS):
        return True
    return isinstance(node, yaml.MappingNode) and any(
        key.value in _LISTS and isinstance(value, yaml.MappingNode) for key, value in node.value
    )


def read_config_dump(
    reader: Reader, node: yaml.Node
) -> tuple[tuple[Workload, ...], tuple[Service, ...], tuple[Policy, ...]]:
    """The workloads, services and policies of a dump. Faults go to the reader."""
    mesh = MeshSchema(reader, strict=False)
    lists = {
        "workloads": Field(_each(reader, mesh.workload), "workloads"),
        "services": Field(_each(reader, mesh.service), "services"),
        "policies": Field(_each(reader, mesh.policy), "policies"),
        "stagedServices": Field(map_of(namespaced_hostname, map_of(scalar, mesh.endpoint)), "staged"),
    }
    found = reader.fields(node, Schema("the dump", lists, strict=False))
    workloads = {workload.uid: workload for workload in found.get("workloads", ())}
    services = {service.key: service for service in found.get("services", ())}
    staged: _Endpoints = found.get("staged", {})
    older = any(key.value == "workloads" and isinstance(value, yaml.MappingNode) for key, value in pairs(node))
    joined = _join(workloads, {key: service.endpoints for key, service in services.items()} | staged, older)
    explicit = (_without_joined(service, joined) for service in services.values())
    return tuple(joined.values()), tuple(explicit), found.get("policies", ())


def _join(workloads: dict[str, Workload], endpoints: _Endpoints, older: bool) -> dict[str, Workload]:
    """Give workloads the ports that the dump tells with their services' endpoints."""
    served: dict[str, dict[NamespacedHostname, Ports]] = {
        uid: dict(workload.services) for uid, workload in workloads.items()
    }
    for key, of_service in endpoints.items():
        for endpoint in of_service.values():
            own = served.get(endpoint.workload_uid)
            if own is not None and (older or key in own):
                own[key] = endpoint.ports
    return {uid: replace(workload, services=served[uid]) for uid, workload in workloads.items()}


def _without_joined(service: Service, workloads: dict[str, Workload]) -> Service:
    """Leave the service only those endpoints that no workload speaks for."""
    left = {
        endpoint.workload_uid: endpoint
        for endpoint in service.endpoints.values()
        if endpoint.workload_uid not in workloads or service.key not in workloads[endpoint.workload_uid].services
    }
    return replace(service, endpoints=left)


def _each(reader: Reader, decode: Callable[[yaml.Node], Any]) -> Callable[[yaml.Node], tuple[Any, ...]]:
    """The items of a list, or the values of a map."""

    def read(node: yaml.Node) -> tuple[Any, ...]:
        if isinstance(node, yaml.MappingNode):
            values = (reader.attempt(decode, value) for _, value in pairs(node))
            return tuple(value for value in values if value is not None)
        return reader.items(node, decode)

    return read
