"""The table of hbone-dataplane 7.4, column by column."""

from __future__ import annotations

import pytest

from hbone_py.baggage import Baggage
from mesh_py.telemetry.facts import ConnectionFacts, Party, ServiceFacts
from mesh_py.telemetry.labels import (
    FLAGS_INDEX,
    LOCALITY_LABELS,
    ON_DEMAND_DNS_LABELS,
    TRAFFIC_LABELS,
    on_demand_dns_values,
    traffic_label_values,
)

CLIENT_ID = "spiffe://cluster.local/ns/client-ns/sa/client"
SERVER_ID = "spiffe://cluster.local/ns/server-ns/sa/server"


def party(prefix: str, identity: str) -> Party:
    """Every field its own text, so that no two can be mistaken for each other."""
    names = [name for name in Party.__slots__ if name != "identity"]
    return Party(**{name: f"{prefix}-{name}" for name in names}, identity=identity)


CLIENT = party("client", CLIENT_ID)
SERVER = party("server", SERVER_ID)
SERVICE = ServiceFacts("web.server-ns.svc.cluster.local", "server-ns", "web")

OF_CLIENT = {
    "source_workload": "client-workload",
    "source_canonical_service": "client-canonical_service",
    "source_canonical_revision": "client-canonical_revision",
    "source_workload_namespace": "client-namespace",
    "source_app": "client-app",
    "source_version": "client-version",
    "source_cluster": "client-cluster",
    "source_region": "client-region",
    "source_zone": "client-zone",
}
OF_SERVER = {
    "destination_workload": "server-workload",
    "destination_canonical_service": "server-canonical_service",
    "destination_canonical_revision": "server-canonical_revision",
    "destination_workload_namespace": "server-namespace",
    "destination_principal": SERVER_ID,
    "destination_app": "server-app",
    "destination_version": "server-version",
    "destination_cluster": "server-cluster",
    "destination_region": "server-region",
    "destination_zone": "server-zone",
}
OF_SERVICE = {
    "destination_service": "web.server-ns.svc.cluster.local",
    "destination_service_namespace": "server-ns",
    "destination_service_name": "web",
}
HBONE = {"connection_security_policy": "mutual_tls"}
UNKNOWN_LOCALITY = dict.fromkeys(LOCALITY_LABELS, "unknown")

CLAIMED = Party.of_baggage(Baggage("bag-c", "bag-ns", "bag-w", service="bag-s", revision="bag-v"))
OF_CLAIM = {
    "source_workload": "bag-w",
    "source_canonical_service": "bag-s",
    "source_canonical_revision": "bag-v",
    "source_workload_namespace": "bag-ns",
    "source_app": "bag-w",
    "source_version": "bag-v",
    "source_cluster": "bag-c",
}


def expected(reporter: str, **known: str) -> dict[str, str]:
    fixed = {"reporter": reporter, "request_protocol": "tcp", "response_flags": "-"}
    return {**dict.fromkeys(TRAFFIC_LABELS, "unknown"), **fixed, **known}


@pytest.mark.parametrize(
    ("facts", "labels"),
    [
        pytest.param(
            ConnectionFacts("source", CLIENT, SERVER, SERVICE, mutual_tls=True, source_principal=CLIENT_ID),
            expected("source", source_principal=CLIENT_ID, **OF_CLIENT, **OF_SERVER, **OF_SERVICE, **HBONE),
            id="outbound over HBONE",
        ),
        pytest.param(
            ConnectionFacts("source", CLIENT, SERVER, SERVICE),
            expected("source", **OF_CLIENT, **OF_SERVER, **OF_SERVICE),
            id="outbound plain TCP: no source principal, the destination's configured one",
        ),
        pytest.param(
            ConnectionFacts("source", CLIENT, None),
            expected("source", **UNKNOWN_LOCALITY | OF_CLIENT),
            id="outbound passthrough: destination unknown",
        ),
        pytest.param(
            ConnectionFacts("destination", CLIENT, SERVER, SERVICE, mutual_tls=True, source_principal="spiffe://tls"),
            expected(
                "destination",
                source_principal="spiffe://tls",
                **OF_CLIENT,
                **OF_SERVER,
                **OF_SERVICE,
                **HBONE,
            ),
            id="inbound HBONE: the principal is what TLS proved, not what discovery says",
        ),
        pytest.param(
            ConnectionFacts("destination", CLAIMED, SERVER, None, mutual_tls=True, source_principal=CLIENT_ID),
            expected(
                "destination",
                source_principal=CLIENT_ID,
                **UNKNOWN_LOCALITY | OF_CLAIM | OF_SERVER,
                **HBONE,
            ),
            id="inbound HBONE: source known by its baggage only",
        ),
        pytest.param(
            ConnectionFacts("destination", None, SERVER, None, mutual_tls=True, source_principal=CLIENT_ID),
            expected("destination", source_principal=CLIENT_ID, **UNKNOWN_LOCALITY | OF_SERVER, **HBONE),
            id="inbound HBONE: nothing known of the source but its identity",
        ),
        pytest.param(
            ConnectionFacts("destination", CLIENT, SERVER, SERVICE),
            expected("destination", **OF_CLIENT, **OF_SERVER, **OF_SERVICE),
            id="inbound plaintext: no source principal",
        ),
        pytest.param(
            ConnectionFacts("destination", None, None),
            expected("destination"),
            id="nothing known: no locality labels at all",
        ),
        pytest.param(
            ConnectionFacts("source", Party(), Party(), ServiceFacts("", "", "")),
            expected("source", **UNKNOWN_LOCALITY),
            id="empty is unknown",
        ),
    ],
)
def test_traffic_labels(facts: ConnectionFacts, labels: dict[str, str]):
    values = traffic_label_values(facts)
    names = (*TRAFFIC_LABELS, *LOCALITY_LABELS)[: len(values)]
    assert dict(zip(names, values, strict=True)) == labels


def test_label_order():
    assert TRAFFIC_LABELS[0] == "reporter"
    assert TRAFFIC_LABELS[1:9] == (
        "source_workload",
        "source_canonical_service",
        "source_canonical_revision",
        "source_workload_namespace",
        "source_principal",
        "source_app",
        "source_version",
        "source_cluster",
    )
    assert TRAFFIC_LABELS[9:12] == (
        "destination_service",
        "destination_service_namespace",
        "destination_service_name",
    )
    assert [name.replace("destination", "source") for name in TRAFFIC_LABELS[12:20]] == list(TRAFFIC_LABELS[1:9])
    assert TRAFFIC_LABELS[20:] == ("request_protocol", "response_flags", "connection_security_policy")
    assert TRAFFIC_LABELS[FLAGS_INDEX] == "response_flags"


def test_on_demand_dns_labels():
    values = dict(zip(ON_DEMAND_DNS_LABELS, on_demand_dns_values(CLIENT, "db.example.com"), strict=True))
    of_client = {name: value for name, value in OF_CLIENT.items() if name in ON_DEMAND_DNS_LABELS}
    assert values == {**of_client, "source_principal": CLIENT_ID, "hostname": "db.example.com"}
