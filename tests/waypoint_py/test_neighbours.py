"""Proxies of ours on either side: a sidecar that calls through the waypoint, in both forms, and one that is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sidecar_py import sidecars
from tests.sidecar_py.applications import web_application
from tests.support.processes import loopback_address
from tests.waypoint_py.manifests import SLEEP, backend, manifests, methods, policy, principals, route
from tests.waypoint_py.waypoints import HOST, PORT, Addresses, client, door, pod, waypoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.certificates import CertificateFiles

    Certificates = Mapping[str, CertificateFiles]

URL = f"http://{HOST}:{PORT}"
ALLOWED = policy({**principals(SLEEP), **methods("GET")})


@pytest.mark.parametrize("form", ["post", "service"])
async def test_a_sidecar_calls_through_the_waypoint(certificates: Certificates, form: str) -> None:
    at = Addresses()
    split = route(
        {"matches": [{"path": {"value": "/headers"}}], "backendRefs": [backend("v2")]},
        {"backendRefs": [backend("httpbin")]},
    )
    async with (
        waypoint(at.mesh(further=manifests(ALLOWED, split)), at.waypoint, certificates["waypoint"]) as one,
        web_application(at.v1, at.port) as v1,
        web_application(at.v2, at.port) as v2,
        pod(at.v1, at.port, certificates["httpbin"]) as tunnels,
        pod(at.v2, at.port, certificates["httpbin"]),
        sidecars.sidecar(
            at.mesh(), "sleep", at.sleep, certificates["sleep"], INBOUND_PORT="0", WAYPOINT_FORM=form
        ) as caller,
        caller.client() as http,
    ):
        assert (await http.get(f"{URL}/ip?t=one")).status_code == 200
        assert (await http.get(f"{URL}/headers?t=two")).status_code == 200
        assert (await http.post(f"{URL}/anything")).status_code == 403
        assert (len(v1.calls("one")), len(v2.calls("two"))) == (1, 1)
        assert tunnels == [f"{at.v1}:{at.port} from spiffe://{SLEEP.replace('sleep', 'waypoint')}"]
        told = {"reporter": "waypoint", "source_workload": "sleep", "destination_service_name": "httpbin"}
        await one.counts(3, "istio_requests_total", **told)


async def test_without_a_route_the_pod_that_the_sidecar_chose_serves(certificates: Certificates) -> None:
    at = Addresses()
    async with (
        waypoint(at.mesh(), at.waypoint, certificates["waypoint"]) as one,
        web_application(at.v1, at.port) as v1,
        pod(at.v1, at.port, certificates["httpbin"]),
        door(at.waypoint, f"{at.v1}:{at.port}", certificates["sleep"]) as way_in,
        client(way_in) as http,
    ):
        assert (await http.get("/ip?t=one")).status_code == 200
        assert len(v1.calls("one")) == 1
        await one.logged(" encap ")


async def test_a_pod_with_a_sidecar_is_called_by_mutual_tls(certificates: Certificates) -> None:
    at, app = Addresses(), loopback_address()
    mesh = at.mesh(kind="mutualTls: true")
    captured = {"CAPTURED_PORTS": str(at.port), "APP_ADDRESS": app, "INBOUND_PORT": "0", "INBOUND_MTLS": "STRICT"}
    called = mesh.replace("uid: v1, name: v1,", "uid: v1, name: httpbin,")
    async with (
        waypoint(mesh, at.waypoint, certificates["waypoint"]),
        web_application(app, at.port) as record,
        sidecars.sidecar(called, "httpbin", at.v1, certificates["httpbin"], **captured) as server,
        door(at.waypoint, f"{at.vip}:{PORT}", certificates["sleep"]) as way_in,
        client(way_in) as http,
    ):
        answer = await http.get("/headers?t=one")
        assert answer.status_code == 200
        assert len(record.calls("one")) == 1
        by, uri = (f"spiffe://cluster.local/ns/default/sa/{name}" for name in ("httpbin", "waypoint"))
        told = answer.json()["headers"]["x-forwarded-client-cert"]
        assert told.startswith(f"By={by};Hash=")
        assert told.endswith(f"URI={uri}")
        labels = {"reporter": "destination", "connection_security_policy": "mutual_tls"}
        await server.counts(1, "istio_requests_total", **labels)
