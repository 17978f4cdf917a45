"""The way through: tunnels that end, requests that go on by a tunnel of the waypoint's own, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import hbone_py
from hbone_py.errors import HboneError, TunnelRefused
from tests.support.peers import credentials_of
from tests.support.processes import eventually
from tests.waypoint_py.waypoints import HOST, PORT, Addresses, client, door, scene, waypoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.certificates import CertificateFiles

    Certificates = Mapping[str, CertificateFiles]

WAYPOINT = "spiffe://cluster.local/ns/default/sa/waypoint"
SLEEP = "spiffe://cluster.local/ns/default/sa/sleep"


@pytest.mark.parametrize("authority", ["{at.vip}:8000", f"{HOST}:8000", "{at.v1}:8080"])
async def test_a_request_goes_on_by_a_tunnel_of_the_waypoint(certificates: Certificates, authority: str) -> None:
    async with scene(certificates, authority=authority) as one:
        answer = await one.http.get("/headers?t=token", headers={"x-forwarded-client-cert": "URI=spiffe://forged"})
        assert answer.status_code == 200
        assert answer.headers["server"] == "istio-envoy"
        assert one.tunnels == [f"{one.at.v1}:{one.at.port} from {WAYPOINT}"]
        assert len(one.v1.calls("token")) == 1
        headers = answer.json()["headers"]
        assert "x-forwarded-client-cert" not in headers
        assert headers["x-request-id"]
    counted = {"reporter": "waypoint", "source_principal": SLEEP, "connection_security_policy": "mutual_tls"}
    await one.waypoint.counts(1, "istio_requests_total", destination_workload="httpbin-v1", **counted)
    [line] = one.waypoint.lines
    assert '"GET /headers?t=token HTTP/1.1" 200 - via_upstream' in line


@pytest.mark.parametrize(
    "authority",
    ["{at.vip}:9999", "{at.sleep}:8000", f"nobody.default:{PORT}", "{at.waypoint}:8000"],
)
async def test_a_tunnel_to_what_is_not_attached_is_refused(certificates: Certificates, authority: str) -> None:
    async with scene(certificates) as one:
        with pytest.raises(TunnelRefused, match="404"):
            await hbone_py.connect(
                one.at.waypoint,
                authority=authority.format(at=one.at),
                credentials=credentials_of(certificates["sleep"]),
            )
        await one.waypoint.logged("is nothing this waypoint serves")


async def test_a_waypoint_that_ends_breaks_no_tunnel_off(certificates: Certificates) -> None:
    """What it keeps for the next request is ended in order: at the other end that is no failure."""
    at, ends = Addresses(), []

    async def lead(tunnel: hbone_py.IncomingTunnel) -> None:
        stream = await tunnel.accept()
        try:
            while await stream.receive():
                await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            await stream.send_eof()
            ends.append("ended")
        except HboneError as error:
            ends.append(str(error))

    async with await hbone_py.serve(lead, at.v1, 15008, credentials=credentials_of(certificates["httpbin"])):
        async with (
            waypoint(at.mesh(), at.waypoint, certificates["waypoint"]),
            door(at.waypoint, f"{at.vip}:{PORT}", certificates["sleep"]) as way_in,
            client(way_in) as http,
        ):
            assert (await http.get("/")).status_code == 200
        await eventually(lambda: bool(ends), "the tunnel is over")
    assert ends == ["ended"]
