"""Who calls: what TLS proved counts, what the mesh knows of it is told, what a proxy claims is believed of its own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from hbone_py.connect import ConnectRequest
from hbone_py.identity import SpiffeId
from mesh_py.telemetry.facts import Parties
from tests.support import world
from waypoint_py.callers import caller_of

if TYPE_CHECKING:
    from mesh_py.proxy.tunnels import Incoming
    from waypoint_py.callers import Caller
    from waypoint_py.context import WaypointContext

SLEEP = SpiffeId("cluster.local", "default", "sleep")
CLAIM = b"k8s.namespace.name=default,k8s.deployment.name=claimed"


def called(client: str, identity: SpiffeId | None, *headers: tuple[bytes, bytes]) -> Caller:
    """The caller of a tunnel; the mesh knows `sleep` at 10.0.0.1."""
    known = world.workload("sleep", "10.0.0.1", service_account="sleep", workload_name="sleep-deployment")
    context: Any = SimpleNamespace(state=world.mesh(known), parties=Parties())
    request = ConnectRequest("10.1.0.1:80", list(headers))
    tunnel = SimpleNamespace(request=request, client=(world.ip(client), 5555), identity=identity)
    return caller_of(cast("WaypointContext", context), cast("Incoming", tunnel))


@pytest.mark.parametrize(
    ("client", "identity", "claim", "workload"),
    [
        pytest.param("10.0.0.1", SLEEP, b"", "sleep-deployment", id="known at its address"),
        pytest.param("10.0.0.1", SLEEP, CLAIM, "sleep-deployment", id="what the mesh knows counts first"),
        pytest.param("10.0.0.1", SpiffeId("cluster.local", "default", "other"), b"", None, id="another's address"),
        pytest.param("10.9.9.9", SLEEP, CLAIM, "claimed", id="unknown, and says who it is"),
        pytest.param("10.9.9.9", SLEEP, b"", None, id="unknown, and says nothing"),
        pytest.param("10.9.9.9", SpiffeId("cluster.local", "shop", "cart"), CLAIM, None, id="claims another namespace"),
        pytest.param("10.9.9.9", None, CLAIM, None, id="proves nothing"),
        pytest.param("10.9.9.9", SLEEP, b"k8s.namespace.name=\xff", None, id="says what cannot be read"),
    ],
)
def test_whom_telemetry_names(client: str, identity: SpiffeId | None, claim: bytes, workload: str | None) -> None:
    caller = called(client, identity, *([(b"baggage", claim)] if claim else []))
    assert (None if caller.party is None else caller.party.workload) == workload
    assert caller.identity == identity, "whatever is claimed"
    assert caller.principal == ("" if identity is None else str(identity))


def test_the_trace_of_the_tunnel() -> None:
    assert called("10.0.0.1", SLEEP).traceparent == ""
    assert called("10.0.0.1", SLEEP, (b"traceparent", b"00-1-2-\xff")).traceparent == "00-1-2-\xff"
