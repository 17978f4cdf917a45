"""The words of the protocol: which numbers are supported, and that each word has one number only."""

from __future__ import annotations

import pytest

from mesh_py.xds import words
from mesh_py.xds.proto import authorization_pb2 as security
from mesh_py.xds.proto import workload_pb2 as wds


@pytest.mark.parametrize(
    ("table", "enum", "unsupported"),
    [
        (words.PROTOCOLS, wds.TunnelProtocol, {"LEGACY_ISTIO_MTLS"}),
        (words.NETWORK_MODES, wds.NetworkMode, set()),
        (words.STATUSES, wds.WorkloadStatus, set()),
        (words.WORKLOAD_TYPES, wds.WorkloadType, set()),
        (words.APP_PROTOCOLS, wds.AppProtocol, set()),
        (words.IP_FAMILIES, wds.IPFamilies, set()),
        (words.VISIBILITIES, wds.Service.Visibility, set()),
        (words.TUNNELS, wds.ApplicationTunnel.Protocol, set()),
        (words.BALANCER_SCOPES, wds.LoadBalancing.Scope, {"UNSPECIFIED_SCOPE"}),
        (words.BALANCER_MODES, wds.LoadBalancing.Mode, set()),
        (words.HEALTH_POLICIES, wds.LoadBalancing.HealthPolicy, set()),
        (words.SCOPES, security.Scope, set()),
        (words.ACTIONS, security.Action, set()),
    ],
    ids=lambda given: getattr(getattr(given, "DESCRIPTOR", None), "name", ""),
)
def test_a_table_is_its_enum(table, enum, unsupported: set[str]) -> None:
    assert {name for name, number in enum.items() if number not in table} == unsupported
    assert set(table) <= set(enum.values())
    assert len(set(table.values())) == len(table)


def test_matchers_are_the_fields_of_their_choice() -> None:
    [choice] = security.StringMatch.DESCRIPTOR.oneofs
    assert [field.name for field in choice.fields] == list(words.MATCH_KINDS)
