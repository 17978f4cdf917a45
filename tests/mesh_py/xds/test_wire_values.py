"""The words of the protocol: which numbers are supported, and that each word has one number only."""

from __future__ import annotations

import pytest

from mesh_py.xds import wire_values
from mesh_py.xds.proto import authorization_pb2 as security
from mesh_py.xds.proto import workload_pb2 as wds


@pytest.mark.parametrize(
    ("table", "enum", "unsupported"),
    [
        (wire_values.PROTOCOLS, wds.TunnelProtocol, {"LEGACY_ISTIO_MTLS"}),
        (wire_values.NETWORK_MODES, wds.NetworkMode, set()),
        (wire_values.STATUSES, wds.WorkloadStatus, set()),
        (wire_values.WORKLOAD_TYPES, wds.WorkloadType, set()),
        (wire_values.APP_PROTOCOLS, wds.AppProtocol, set()),
        (wire_values.IP_FAMILIES, wds.IPFamilies, set()),
        (wire_values.VISIBILITIES, wds.Service.Visibility, set()),
        (wire_values.TUNNELS, wds.ApplicationTunnel.Protocol, set()),
        (wire_values.BALANCER_SCOPES, wds.LoadBalancing.Scope, {"UNSPECIFIED_SCOPE"}),
        (wire_values.BALANCER_MODES, wds.LoadBalancing.Mode, set()),
        (wire_values.HEALTH_POLICIES, wds.LoadBalancing.HealthPolicy, set()),
        (wire_values.SCOPES, security.Scope, set()),
        (wire_values.ACTIONS, security.Action, set()),
    ],
    ids=lambda given: getattr(getattr(given, "DESCRIPTOR", None), "name", ""),
)
def test_a_table_is_its_enum(table, enum, unsupported: set[str]) -> None:
    assert {name for name, number in enum.items() if number not in table} == unsupported
    assert set(table) <= set(enum.values())
    assert len(set(table.values())) == len(table)


def test_matchers_are_the_fields_of_their_choice() -> None:
    [choice] = security.StringMatch.DESCRIPTOR.oneofs
    assert [field.name for field in choice.fields] == list(wire_values.MATCH_KINDS)
