"""Errors know their answer: status, flag, blame and text (hbone-dataplane 1.5, 7.5)."""

from __future__ import annotations

import pytest

from hbone_py.errors import HboneError
from mesh_py.model import errors
from mesh_py.model.errors import (
    BadAuthority,
    EmptyResolvedAddresses,
    IpMismatch,
    MeshError,
    NoHealthyUpstream,
    NoHostname,
    NoIpForService,
    NoPortForService,
    NoResolvedAddresses,
    NoRoutingDestination,
    NoService,
    PolicyChanged,
    PolicyDenied,
    SelfCall,
    UnknownNetworkGateway,
    UnknownWaypoint,
)

TABLE = [
    (NoHealthyUpstream("10.0.0.1:80"), 503, "-", "no healthy upstream: 10.0.0.1:80"),
    (NoService("10.0.0.1:80"), 503, "-", "no service for target address: 10.0.0.1:80"),
    (UnknownWaypoint("w"), 503, "-", "unknown waypoint: waypoint w not found"),
    (UnknownNetworkGateway("g"), 503, "-", "unknown network gateway: network gateway g not found"),
    (NoRoutingDestination("w"), 503, "-", "no valid routing destination for workload: w"),
    (NoResolvedAddresses("u"), 503, "-", "no ip addresses were resolved for workload: u"),
    (
        EmptyResolvedAddresses("u"),
        503,
        "-",
        "ip addresses were resolved for workload u, but valid dns response had no A/AAAA records",
    ),
    (SelfCall(), 503, "-", "attempted recursive call to ourselves"),
    (IpMismatch("a", "b"), 400, "CONNECT", "ip mismatch: a != b"),
    (NoHostname("h"), 503, "CONNECT", "no service or workload for hostname: h"),
    (NoPortForService("h", 80), 503, "CONNECT", "requested service h:80 found, but cannot resolve port"),
    (NoIpForService("h"), 503, "CONNECT", "requested service h found, but has no IP addresses"),
    (BadAuthority("h"), 400, "CONNECT", "no valid authority pseudo header: h"),
    (PolicyDenied("why"), 401, "DENY", "connection closed due to policy rejection: why"),
    (PolicyChanged(), 401, "DENY", "connection closed due to policy change"),
]


@pytest.mark.parametrize(("error", "status", "flag", "text"), TABLE, ids=lambda value: type(value).__name__)
def test_answers(error: MeshError, status: int, flag: str, text: str) -> None:
    assert (error.status, error.flag, str(error)) == (status, flag, text)
    assert isinstance(error, HboneError)


def test_every_error_is_in_the_table() -> None:
    defined = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, MeshError)}
    abstract = {MeshError, errors.RouteError}
    assert {type(row[0]) for row in TABLE} == defined - abstract
