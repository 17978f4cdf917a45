"""Names to ask for, by what the mesh knows already."""

from __future__ import annotations

import pytest

from mesh_py.discovery.inbound import parse_authority
from mesh_py.discovery.missing import missing_caller, missing_destination, missing_for_inbound, missing_for_outbound
from mesh_py.model.workload import WeightedWaypoint
from tests.support.world import endpoint, gateway, ip, mesh, service, workload

SOURCE = workload("client", "10.0.0.1")
KNOWN = workload("known", "10.0.0.3", uid="known")
SERVICE_WAYPOINT = service("wp.example.com", namespace="infra")


@pytest.mark.parametrize(
    ("known", "names"),
    [
        pytest.param([], ["east/10.9.9.9"], id="a stranger"),
        pytest.param([workload("w", "10.9.9.9", network="east")], [], id="a workload"),
        pytest.param([workload("w", "10.9.9.9")], ["east/10.9.9.9"], id="a workload of another network"),
        pytest.param([service("h", "east/10.9.9.9")], [], id="a service"),
        pytest.param(
            [workload("w", "10.9.9.9", network="east", waypoint=gateway("east/10.0.0.8"))],
            ["east/10.0.0.8"],
            id="a workload's waypoint, by address",
        ),
        pytest.param(
            [service("h", "east/10.9.9.9", waypoint=gateway("infra/wp.example.com"))],
            ["infra/wp.example.com"],
            id="a service's waypoint, by name",
        ),
        pytest.param(
            [service("h", "east/10.9.9.9", waypoint=gateway("infra/wp.example.com")), SERVICE_WAYPOINT],
            [],
            id="a waypoint that is known",
        ),
        pytest.param(
            [
                service(
                    "h",
                    "east/10.9.9.9",
                    waypoint=gateway("infra/b"),
                    weighted_waypoints=(
                        WeightedWaypoint(gateway("infra/a"), 1),
                        WeightedWaypoint(gateway("infra/b"), 1),
                    ),
                )
            ],
            ["infra/a", "infra/b"],
            id="weighted waypoints, each once",
        ),
        pytest.param(
            [
                service("h", "east/10.9.9.9"),
                workload("far", network="west", network_gateway=gateway("west/1.1.1.9"), services={"default/h": {}}),
            ],
            ["west/1.1.1.9"],
            id="the gateway to an endpoint",
        ),
        pytest.param(
            [workload("far", "10.9.9.9", network="east", network_gateway=gateway("west/1.1.1.9"))],
            ["west/1.1.1.9"],
            id="the gateway to a workload",
        ),
        pytest.param(
            [service("h", "east/10.9.9.9", endpoints={uid: endpoint(uid) for uid in ("known", "new")}), KNOWN],
            ["new"],
            id="an endpoint by its uid, unless it is known",
        ),
    ],
)
def test_names_for_an_outbound_connection(known, names: list[str]) -> None:
    state = mesh(SOURCE, *known, network="east")
    assert missing_for_outbound(state, SOURCE, ip("10.9.9.9")) == tuple(names)


def test_the_destination_itself() -> None:
    state = mesh(SOURCE, service("a", "10.96.0.1"))
    asked = [missing_destination(state, SOURCE, ip(text)) for text in ("10.9.9.9", "10.0.0.1", "10.96.0.1")]
    assert asked == ["/10.9.9.9", None, None]


def test_names_for_whoever_calls() -> None:
    assert missing_caller(mesh(SOURCE), ip("10.5.5.5")) == ("/10.5.5.5",)
    assert missing_caller(mesh(SOURCE), ip("10.0.0.1")) == ()


@pytest.mark.parametrize(
    ("known", "authority", "names"),
    [
        pytest.param([], "10.0.0.1:80", [], id="ourselves"),
        pytest.param([], "10.96.0.1:80", ["/10.96.0.1"], id="an address that is not ours"),
        pytest.param(
            [service("h", "10.96.0.1", waypoint=gateway("infra/wp"))],
            "10.96.0.1:80",
            ["infra/wp"],
            id="whose waypoint we may be",
        ),
        pytest.param(
            [],
            "reviews.shop.svc.cluster.local:80",
            ["shop/reviews.shop.svc.cluster.local"],
            id="a service of Kubernetes, by name",
        ),
        pytest.param([], "example.com:80", ["default/example.com"], id="another name"),
        pytest.param([service("example.com")], "example.com:80", [], id="a known name"),
    ],
)
def test_names_for_an_inbound_tunnel(known, authority: str, names: list[str]) -> None:
    found = missing_for_inbound(mesh(SOURCE, *known), ip("10.0.0.1"), SOURCE, parse_authority(authority))
    assert found == tuple(names)
