"""The wire format, row by row (hbone-controlplane 1.2, 1.3, 3.1, 8): number and type of every field, every enum value.

The .proto files say it once, this says it again; one slip of a digit would otherwise be agreed on by both our ends.
"""

from __future__ import annotations

import pytest

from mesh_py.xds.proto import authorization_pb2, citadel_pb2, workload_pb2, zds_pb2

KINDS = {1: "double", 3: "int64", 5: "int32", 8: "bool", 9: "string", 12: "bytes", 13: "uint32", 14: "enum", 11: ""}

MESSAGES = {
    workload_pb2: {
        "Address": "workload=1 Workload, service=2 Service",
        "Workload": "uid=20 string, name=1 string, namespace=2 string, addresses=3 bytes*, hostname=21 string, "
        "network=4 string, tunnel_protocol=5 TunnelProtocol, trust_domain=6 string, service_account=7 string, "
        "waypoint=8 GatewayAddress, network_gateway=19 GatewayAddress, node=9 string, canonical_name=10 string, "
        "canonical_revision=11 string, workload_type=12 WorkloadType, workload_name=13 string, native_tunnel=14 bool, "
        "application_tunnel=23 ApplicationTunnel, services=22 ServicesEntry*, authorization_policies=16 string*, "
        "status=17 WorkloadStatus, cluster_id=18 string, locality=24 Locality, network_mode=25 NetworkMode, "
        "extensions=26 Extension*, capacity=27 UInt32Value",
        "Workload.ServicesEntry": "key=1 string, value=2 PortList",
        "Service": "name=1 string, namespace=2 string, hostname=3 string, addresses=4 NetworkAddress*, ports=5 Port*, "
        "subject_alt_names=6 string*, waypoint=7 GatewayAddress, load_balancing=8 LoadBalancing, "
        "ip_families=9 IPFamilies, extensions=10 Extension*, canonical=11 bool, ingress_use_waypoint=12 bool, "
        "weighted_waypoints=13 WeightedWaypoint*, visibility=14 Visibility",
        "NetworkAddress": "network=1 string, address=2 bytes, length=3 uint32?",
        "GatewayAddress": "hostname=1 NamespacedHostname, address=2 NetworkAddress, hbone_mtls_port=3 uint32",
        "NamespacedHostname": "namespace=1 string, hostname=2 string",
        "WeightedWaypoint": "destination=1 GatewayAddress, weight=2 uint32",
        "Port": "service_port=1 uint32, target_port=2 uint32, app_protocol=3 AppProtocol",
        "PortList": "ports=1 Port*",
        "Locality": "region=1 string, zone=2 string, subzone=3 string",
        "ApplicationTunnel": "protocol=1 Protocol, port=2 uint32",
        "LoadBalancing": "routing_preference=1 Scope*, mode=2 Mode, health_policy=3 HealthPolicy",
        "Extension": "name=1 string, config=2 Any",
    },
    authorization_pb2: {
        "Authorization": "name=1 string, namespace=2 string, scope=3 Scope, action=4 Action, rules=5 Rule*, "
        "dry_run=6 bool, extensions=7 Extension*",
        "Rule": "clauses=1 Clause*",
        "Clause": "matches=2 Match*",
        "Match": "namespaces=1 StringMatch*, not_namespaces=2 StringMatch*, principals=3 StringMatch*, "
        "not_principals=4 StringMatch*, source_ips=5 Address*, not_source_ips=6 Address*, destination_ips=7 Address*, "
        "not_destination_ips=8 Address*, destination_ports=9 uint32*, not_destination_ports=10 uint32*, "
        "service_accounts=11 ServiceAccountMatch*, not_service_accounts=12 ServiceAccountMatch*, extensions=13 Extension*",
        "Address": "address=1 bytes, length=2 uint32",
        "ServiceAccountMatch": "namespace=1 string, serviceAccount=2 string",
        "StringMatch": "exact=1 string, prefix=2 string, suffix=3 string, presence=4 Empty",
        "Extension": "name=1 string, config=2 Any",
    },
    citadel_pb2: {
        "IstioCertificateRequest": "csr=1 string, validity_duration=3 int64, metadata=4 Struct",
        "IstioCertificateResponse": "cert_chain=1 string*",
    },
    zds_pb2: {
        "ZdsHello": "version=1 Version",
        "WorkloadRequest": "add=1 AddWorkload, del=2 DelWorkload, snapshot_sent=3 SnapshotSent, keep=5 KeepWorkload",
        "AddWorkload": "uid=1 string, workload_info=2 WorkloadInfo",
        "WorkloadInfo": "name=1 string, namespace=2 string, service_account=3 string",
        "KeepWorkload": "uid=1 string",
        "DelWorkload": "uid=2 string",
        "SnapshotSent": "",
        "WorkloadResponse": "ack=1 Ack",
        "Ack": "error=1 string",
    },
}

ENUMS = {
    workload_pb2: {
        "TunnelProtocol": "NONE HBONE LEGACY_ISTIO_MTLS",
        "NetworkMode": "STANDARD HOST_NETWORK",
        "WorkloadStatus": "HEALTHY UNHEALTHY",
        "WorkloadType": "DEPLOYMENT CRONJOB POD JOB",
        "AppProtocol": "UNKNOWN HTTP11 HTTP2 GRPC TCP TLS",
        "IPFamilies": "AUTOMATIC IPV4_ONLY IPV6_ONLY DUAL",
        "Service.Visibility": "PUBLIC NAMESPACE",
        "ApplicationTunnel.Protocol": "NONE PROXY",
        "LoadBalancing.Scope": "UNSPECIFIED_SCOPE REGION ZONE SUBZONE NODE CLUSTER NETWORK",
        "LoadBalancing.Mode": "UNSPECIFIED_MODE STRICT FAILOVER PASSTHROUGH",
        "LoadBalancing.HealthPolicy": "ONLY_HEALTHY ALLOW_ALL",
    },
    authorization_pb2: {"Scope": "GLOBAL NAMESPACE WORKLOAD_SELECTOR", "Action": "ALLOW DENY"},
    zds_pb2: {"Version": "NOT_USED V1"},
    citadel_pb2: {},
}


def shown(field) -> str:
    named = field.message_type or field.enum_type
    kind = named.name if named is not None else KINDS[field.type]
    synthetic = field.containing_oneof is not None and field.containing_oneof.name.startswith("_")
    return f"{field.name}={field.number} {kind}{'*' if field.is_repeated else '?' if synthetic else ''}"


def messages_of(found) -> dict[str, str]:
    listed = {}
    for message in found:
        name = message.full_name.removeprefix(message.file.package + ".")
        listed[name] = {shown(field) for field in message.fields}
        listed |= messages_of(message.nested_types)
    return listed


def enums_of(file) -> dict[str, list[str]]:
    package = file.package + "."
    nested = [enum for message in file.message_types_by_name.values() for enum in message.enum_types]
    return {
        enum.full_name.removeprefix(package): [f"{value.name}={value.number}" for value in enum.values]
        for enum in [*file.enum_types_by_name.values(), *nested]
    }


@pytest.mark.parametrize("module", MESSAGES, ids=lambda module: module.DESCRIPTOR.package)
def test_the_fields_are_those_of_the_table(module) -> None:
    expected = {name: set(filter(None, text.split(", "))) for name, text in MESSAGES[module].items()}
    found = messages_of(module.DESCRIPTOR.message_types_by_name.values())
    assert {name: fields for name, fields in found.items() if name in expected} == expected
    assert found.keys() == expected.keys()


@pytest.mark.parametrize("module", ENUMS, ids=lambda module: module.DESCRIPTOR.package)
def test_the_enums_are_those_of_the_table(module) -> None:
    expected = {
        name: [f"{value}={number}" for number, value in enumerate(text.split())] for name, text in ENUMS[module].items()
    }
    assert enums_of(module.DESCRIPTOR) == expected
