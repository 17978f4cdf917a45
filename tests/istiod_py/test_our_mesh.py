"""Two node proxies on one control plane, a folder edited while traffic flows, and a control plane that goes away."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.interop.callers import read_to_end, talk
from tests.istiod_py.joined import NOBODY, POD, SERVICE, JoinedMesh, logged, mesh_on
from tests.support.pods import captured
from tests.support.processes import eventually, loopback_address
from tests.support.tcp_apps import TcpApp, echo
from tests.ztunnel_py.worlds import START_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.interop

VIP = "127.9.9.9"
BOTH = {"ztunnel-sleep", "ztunnel-server"}
MALFORMED = "citadel_server_authentication_failure_count"
ISSUED = "citadel_server_success_cert_issuance_count"


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JoinedMesh]:
    """Both proxies, ready; their certificates hold for eight seconds."""
    with mesh_on(tmp_path_factory.mktemp("mesh")) as mesh:
        mesh.control()
        for node in mesh.nodes.values():
            mesh.start_node(node, SECRET_TTL="8s")
        for node in mesh.nodes.values():
            node.process.wait_until(node.is_ready, "ready", START_SECONDS)
        yield mesh


async def test_edits_of_the_folder_reach_the_mesh_while_traffic_flows(mesh: JoinedMesh) -> None:
    async with TcpApp(echo, mesh.server.address) as app, mesh.call(app.authority) as caller:
        await talk(caller, b"hello")
        await eventually(lambda: mesh.synced() == BOTH, "both synced")

        mesh.write("service.yaml", SERVICE.format(vip=VIP, port=app.port))
        await eventually(lambda: VIP in mesh.sleep.get("/config_dump"), "the service known")
        async with mesh.call(f"{VIP}:80") as by_service:
            await talk(by_service, b"by its address")
        await talk(caller, b"still here")

        mesh.write("policy.yaml", NOBODY)
        assert await read_to_end(caller) == (b"", "reset")
        mesh.write("policy.yaml", NOBODY.replace("kind: Auth", "kin: Auth"))
        await eventually(lambda: mesh.istiod.count("pilot_config_errors") == 1, "the fault noticed")
        async with mesh.call(app.authority) as refused:  # by the last good version
            assert (await read_to_end(refused)).data == b""
        mesh.remove("policy.yaml")
        await eventually(lambda: "default/nobody" not in mesh.server.get("/config_dump"), "the policy gone")
        async with mesh.call(app.authority) as again:
            await talk(again, b"hello again")

        await eventually(lambda: len(carried(mesh, app)) > 0, "logged")
        first = carried(mesh, app)[0]
        assert first["src.identity"] == "spiffe://cluster.local/ns/default/sa/sleep"
        assert first["dst.workload"] == "server"
        assert mesh.istiod.count("pilot_total_xds_rejects") == 0
    mesh.remove("service.yaml")
    await eventually(lambda: VIP not in mesh.sleep.get("/config_dump"), "the service gone")


def carried(mesh: JoinedMesh, app: TcpApp) -> list[dict[str, str]]:
    """The server's lines of connections to an application that nothing cut."""
    return [one for one in logged(mesh.server) if "error" not in one and app.authority in one.values()]


async def test_certificates_rotate_under_traffic(mesh: JoinedMesh) -> None:
    """A short form of what soaks for two minutes."""
    issued = mesh.istiod.count(ISSUED, "true")
    async with TcpApp(echo, mesh.server.address) as app, mesh.call(app.authority) as kept:
        while mesh.istiod.count(ISSUED, "true") < issued + 2:
            async with mesh.call(app.authority) as caller:
                await talk(caller, b"hello")
            await talk(kept, b"still here")
        mine = [one for one in logged(mesh.server) if app.authority in one.values()]
        assert [one["error"] for one in mine if "error" in one] == []


async def test_on_demand_an_address_is_asked_for_and_answered(mesh: JoinedMesh) -> None:
    async with TcpApp(echo, mesh.server.address) as app:
        with mesh.spare(on="sleep", XDS_ON_DEMAND="true") as node:
            await eventually(node.is_ready, "ready", START_SECONDS)
            assert mesh.server.address not in node.get("/config_dump")
            async with mesh.call(app.authority, through=node) as caller:
                await talk(caller, b"hello")
            await eventually(lambda: len(spares(mesh)) == 1, "one spare proxy")  # of those before it none
            watched = spares(mesh)[0]["watches"].values()
            assert f"/{mesh.server.address}" in {name for names in watched for name in names}


def spares(mesh: JoinedMesh) -> list[dict[str, Any]]:
    """What the control plane says of spare proxies."""
    return [one for one in mesh.istiod.page("adsz")["clients"] if one["connectionId"].startswith("ztunnel-spare")]


async def test_on_demand_a_stranger_is_passed_through_and_nothing_else_is_known(mesh: JoinedMesh) -> None:
    with mesh.spare(on="sleep", XDS_ON_DEMAND="true") as node:
        await eventually(node.is_ready, "ready", START_SECONDS)
        async with (
            TcpApp(echo, loopback_address()) as stranger,
            mesh.call(stranger.authority, through=node) as caller,
        ):
            await talk(caller, b"hello, stranger")
        known = json.loads(node.get("/config_dump"))
        assert ([one["name"] for one in known["workloads"]], known["services"]) == (["sleep"], [])


async def test_a_proxy_of_one_workload_joins_as_that_workload(mesh: JoinedMesh) -> None:
    token = mesh.state / "solo.token"
    token.write_text(mesh.istiod.token("default/solo"))
    own = {"PROXY_MODE": "dedicated", "PROXY_WORKLOAD_INFO": "default/solo/solo", "AUTH_TOKEN": str(token)}
    async with TcpApp(echo, mesh.server.address) as app:
        with mesh.spare(**own, NODE_NAME="", POD_NAME="solo", POD_NAMESPACE="default") as solo:
            mesh.write("solo.yaml", POD.format(name="solo", ip=solo.address))
            await eventually(solo.is_ready, "ready", START_SECONDS)
            async with captured((solo.address, 15001), solo.address, app.authority) as caller:
                await talk(caller, b"hello")
            await eventually(lambda: "spiffe://cluster.local/ns/default/sa/solo" in mesh.server.log, "logged")
            mesh.remove("solo.yaml")
    await eventually(lambda: "sa/solo" not in mesh.server.get("/config_dump"), "gone again")


async def test_a_node_proxy_gets_nothing_for_the_pods_of_another_node(mesh: JoinedMesh) -> None:
    with mesh.spare(on="sleep", claims="server") as node:
        await eventually(
            lambda: mesh.istiod.count("citadel_server_impersonation_failure_count", "node") > 0, "refused and counted"
        )
        refusal = "no pod of spiffe://cluster.local/ns/default/sa/sleep runs on node server"
        await eventually(lambda: refusal in mesh.istiod.process.output, "logged")
        await eventually(lambda: refusal in node.log, "told")


async def test_a_token_of_nobody_gets_nothing_at_all(mesh: JoinedMesh) -> None:
    before = mesh.istiod.page("connections")["totalClients"]
    refused = mesh.istiod.count(MALFORMED, "malformed")
    with mesh.spare(on="sleep", AUTH_TOKEN="no.such.token") as node:
        await eventually(lambda: mesh.istiod.count(MALFORMED, "malformed") > refused + 1, "refused")
        assert not node.is_ready()
        assert mesh.istiod.page("connections")["totalClients"] <= before


async def test_the_control_plane_may_go_and_come_back_under_traffic(mesh: JoinedMesh) -> None:
    async with TcpApp(echo, mesh.server.address) as app, mesh.call(app.authority) as caller:
        await talk(caller, b"before")
        mesh.istiod.process.kill()
        await eventually(lambda: "discovery stream ended" in mesh.server.log, "noticed")
        await talk(caller, b"meanwhile")
        async with mesh.call(app.authority) as fresh:
            await talk(fresh, b"a new one")
        back = mesh.control()
        await eventually(lambda: mesh.synced() == BOTH, "both back")
        await talk(caller, b"after")
        # Both kept everything, and are told that there is nothing new.
        assert back.count("pilot_xds_pushes", "wds") == 2
        assert back.count("pilot_xds_config_bytes", "wds") < 400
        mesh.write("policy.yaml", NOBODY)
        assert await read_to_end(caller) == (b"", "reset")
    mesh.remove("policy.yaml")
    await eventually(lambda: "default/nobody" not in mesh.server.get("/config_dump"), "the policy gone")
