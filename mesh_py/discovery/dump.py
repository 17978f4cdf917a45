"""The mesh as `/config_dump` shows it (hbone-controlplane 7.3) [pure].

Keys, their order and what is left out are what `istioctl ztunnel-config` and others read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mesh_py.model.authorization import MatchKind
from mesh_py.model.workload import NOWHERE, Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mesh_py.discovery.local_file import LocalConfig
    from mesh_py.discovery.state import MeshState
    from mesh_py.model.address import GatewayAddress
    from mesh_py.model.authorization import Match, Policy, StringMatch
    from mesh_py.model.workload import LoadBalancer, Ports, Service, Workload

Json = dict[str, Any]


def dump_workloads(state: MeshState) -> list[Json]:
    """All workloads, sorted by uid; their services by name only."""
    return [dump_workload(workload) for workload in sorted(state.workloads, key=lambda w: w.uid)]


def dump_services(state: MeshState) -> list[Json]:
    """All services with the endpoints that may serve now, sorted by host name."""
    records = sorted(state.services, key=lambda record: (record.service.hostname, record.service.namespace))
    return [dump_service(record.service, record.endpoints) for record in records]


def dump_policies(state: MeshState) -> list[Json]:
    """All policies, sorted by name."""
    return [dump_policy(policy) for policy in sorted(state.policies, key=lambda policy: policy.key)]


def dump_staged_services(state: MeshState) -> dict[str, Json]:
    """The endpoints of services that are not known."""
    return {str(key): _endpoints(endpoints) for key, endpoints in state.services.staged().items()}


def dump_static_config(config: LocalConfig) -> Json:
    """A local file as it was read: `services` of a workload with ports, as the file has them."""
    workloads = []
    for workload in config.workloads:
        services = {str(key): _ports(ports) for key, ports in workload.services.items()}
        workloads.append({**dump_workload(workload), "services": services})
    return {
        "workloads": workloads,
        "policies": [dump_policy(policy) for policy in config.policies],
        "services": [dump_service(service, service.endpoints) for service in config.services],
    }


def dump_workload(workload: Workload) -> Json:
    """One workload; most keys only where they differ from the default."""
    tunnel = workload.application_tunnel
    dumped = {
        "workloadIps": list(workload.workload_ips),
        "waypoint": _gateway(workload.waypoint),
        "networkGateway": _gateway(workload.network_gateway),
        "protocol": workload.protocol.value,
        "networkMode": workload.network_mode.value,
        "uid": workload.uid,
        "name": workload.name,
        "namespace": workload.namespace,
        "trustDomain": workload.trust_domain,
        "serviceAccount": workload.service_account,
        "network": workload.network,
        "workloadName": workload.workload_name,
        "workloadType": workload.workload_type,
        "canonicalName": workload.canonical_name,
        "canonicalRevision": workload.canonical_revision,
        "hostname": workload.hostname,
        "node": workload.node,
        "nativeTunnel": workload.native_tunnel,
        "applicationTunnel": None if tunnel is None else _some(protocol=tunnel.protocol.value, port=tunnel.port),
        "authorizationPolicies": list(workload.authorization_policies),
        "status": workload.status.value,
        "clusterId": workload.cluster_id,
        "locality": None if workload.locality == NOWHERE else workload.locality._asdict(),
        "services": [str(key) for key in workload.services],
        "capacity": workload.capacity,
        "mutualTls": workload.mutual_tls,
    }
    return {key: value for key, value in dumped.items() if key in _ALWAYS_ON_WORKLOADS or value}


_ALWAYS_ON_WORKLOADS = frozenset(
    {"workloadIps", "protocol", "networkMode", "name", "namespace", "status", "clusterId", "capacity"}
)


def dump_service(service: Service, endpoints: Mapping[str, Endpoint]) -> Json:
    """One service with these endpoints."""
    weighted = [{"destination": _gateway(w.destination), "weight": w.weight} for w in service.weighted_waypoints]
    blocks = [{"network": block.network, "cidr": str(block.cidr)} for block in service.cidr_vips]
    dumped = {
        "name": service.name,
        "namespace": service.namespace,
        "hostname": service.hostname,
        "vips": [str(vip) for vip in service.vips],
        "cidrVips": blocks,
        "ports": _ports(service.ports),
        "endpoints": _endpoints(endpoints),
        "subjectAltNames": list(service.subject_alt_names),
        "waypoint": _gateway(service.waypoint),
        "weightedWaypoints": weighted,
        "loadBalancer": _balancer(service.load_balancer),
        "ipFamilies": service.ip_families.value if service.ip_families else None,
        "canonical": service.canonical,
        "visibility": service.visibility.value,
    }
    return {key: value for key, value in dumped.items() if key in _ALWAYS_ON_SERVICES or value}


_ALWAYS_ON_SERVICES = frozenset(
    {
        "name",
        "namespace",
        "hostname",
        "vips",
        "ports",
        "endpoints",
        "subjectAltNames",
        "canonical",
        "visibility",
    }
)


def dump_policy(policy: Policy) -> Json:
    """One policy; rules are lists of lists of lists of matches."""
    rules = [[[_match(match) for match in clause] for clause in rule] for rule in policy.rules]
    return {
        "name": policy.name,
        "namespace": policy.namespace,
        "scope": policy.scope.value,
        "action": policy.action.value,
        "rules": rules,
        "dryRun": policy.dry_run,
    }


def _match(match: Match) -> Json:
    return _some(
        namespaces=_strings(match.namespaces),
        notNamespaces=_strings(match.not_namespaces),
        serviceAccounts=_accounts(match.service_accounts),
        notServiceAccounts=_accounts(match.not_service_accounts),
        principals=_strings(match.principals),
        notPrincipals=_strings(match.not_principals),
        sourceIps=[str(block) for block in match.source_ips],
        notSourceIps=[str(block) for block in match.not_source_ips],
        destinationIps=[str(block) for block in match.destination_ips],
        notDestinationIps=[str(block) for block in match.not_destination_ips],
        destinationPorts=list(match.destination_ports),
        notDestinationPorts=list(match.not_destination_ports),
    )


def _strings(matchers: Iterable[StringMatch]) -> list[Json]:
    return [{m.kind.value: [] if m.kind is MatchKind.PRESENCE else m.value} for m in matchers]


def _accounts(accounts: Iterable[tuple[str, str]]) -> list[Json]:
    return [{"namespace": namespace, "serviceAccount": account} for namespace, account in accounts]


def _gateway(gateway: GatewayAddress | None) -> Json | None:
    if gateway is None:
        return None
    return {"destination": str(gateway.destination), "hboneMtlsPort": gateway.hbone_mtls_port}


def _balancer(balancer: LoadBalancer | None) -> Json | None:
    if balancer is None:
        return None
    return {
        "routingPreferences": [scope.value for scope in balancer.routing_preferences],
        "mode": balancer.mode.value,
        "healthPolicy": balancer.health_policy.value,
    }


def _endpoints(endpoints: Mapping[str, Endpoint]) -> dict[str, Json]:
    return {
        uid: {
            "workloadUid": endpoint.workload_uid,
            "port": _ports(endpoint.ports),
            "status": endpoint.status.value,
        }
        for uid, endpoint in endpoints.items()
    }


def _ports(ports: Ports) -> dict[str, int]:
    return {str(port): target for port, target in ports.items()}


def _some(**values: Any) -> Json:
    """The values that are there."""
    return {key: value for key, value in values.items() if value}
