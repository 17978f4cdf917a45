"""The traffic labels, in their order, by the rules of hbone-dataplane 7.4 [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mesh_py.telemetry.facts import ConnectionFacts, Party, ServiceFacts

UNKNOWN = "unknown"

TRAFFIC_LABELS = (
    "reporter",
    "source_workload",
    "source_canonical_service",
    "source_canonical_revision",
    "source_workload_namespace",
    "source_principal",
    "source_app",
    "source_version",
    "source_cluster",
    "destination_service",
    "destination_service_namespace",
    "destination_service_name",
    "destination_workload",
    "destination_canonical_service",
    "destination_canonical_revision",
    "destination_workload_namespace",
    "destination_principal",
    "destination_app",
    "destination_version",
    "destination_cluster",
    "request_protocol",
    "response_flags",
    "connection_security_policy",
)
LOCALITY_LABELS = ("source_region", "source_zone", "destination_region", "destination_zone")
"""Follow only where anything is known of the source or the destination."""

FLAGS_INDEX = TRAFFIC_LABELS.index("response_flags")
"""Where the final response flag stands; values are made with `-` there."""

ON_DEMAND_DNS_LABELS = (*TRAFFIC_LABELS[1:9], "hostname")
"""Labels of `istio_on_demand_dns_total`: the source's, then the name that was looked up."""


def traffic_label_values(facts: ConnectionFacts) -> tuple[str, ...]:
    """Values for `TRAFFIC_LABELS`, and for `LOCALITY_LABELS` where they apply; missing is `unknown`."""
    source, destination = facts.source, facts.destination
    values = (
        facts.reporter,
        *_party_values(source, facts.source_principal),
        *_service_values(facts.service),
        *_party_values(destination, destination.identity if destination else ""),
        "tcp",
        "-",
        "mutual_tls" if facts.mutual_tls else UNKNOWN,
    )
    if source is None and destination is None:
        return values
    return (*values, *_locality(source), *_locality(destination))


def on_demand_dns_values(source: Party, hostname: str) -> tuple[str, ...]:
    """Values for `ON_DEMAND_DNS_LABELS`; the principal is the configured one: no connection proved it yet."""
    return (*_party_values(source, source.identity), hostname or UNKNOWN)


def _party_values(party: Party | None, principal: str) -> tuple[str, ...]:
    proved = principal or UNKNOWN
    if party is None:
        return (UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, proved, UNKNOWN, UNKNOWN, UNKNOWN)
    return (
        party.workload or UNKNOWN,
        party.canonical_service or UNKNOWN,
        party.canonical_revision or UNKNOWN,
        party.namespace or UNKNOWN,
        proved,
        party.app or UNKNOWN,
        party.version or UNKNOWN,
        party.cluster or UNKNOWN,
    )


def _service_values(service: ServiceFacts | None) -> tuple[str, str, str]:
    if service is None:
        return (UNKNOWN, UNKNOWN, UNKNOWN)
    return (service.hostname or UNKNOWN, service.namespace or UNKNOWN, service.name or UNKNOWN)


def _locality(party: Party | None) -> tuple[str, str]:
    if party is None:
        return (UNKNOWN, UNKNOWN)
    return (party.region or UNKNOWN, party.zone or UNKNOWN)
