"""A control plane for minutes: certificates of 20 seconds rotate under load, edits and restarts come and go."""

from __future__ import annotations

import asyncio
import datetime
import json
import time
from typing import TYPE_CHECKING

import pytest

from benchmarks.control_plane import manifests
from mesh_py.identity.certificate_facts import certificates_of
from mesh_py.identity.key_files import PRIVATE, write_file
from mesh_py.identity.signing import CA_LIFETIME, new_root, to_pem, validity
from mesh_py.xds.types import ADDRESS
from tests.interop.callers import talk
from tests.istiod_py.joined import SERVICE, JoinedMesh, logged, mesh_on
from tests.support.discovery import GrpcioProxy, node_of
from tests.support.processes import eventually
from tests.support.tcp_apps import TcpApp, echo
from tests.ztunnel_py.worlds import START_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]

ROTATION_SECONDS, SECONDS = 120.0, 60.0
LIFETIME = 20.0
CALLERS = 8
STREAMS, AT_ONCE = 3000, 20
ISSUED = "citadel_server_success_cert_issuance_count"


async def in_turn(mesh: JoinedMesh, app: TcpApp, until: float) -> int:
    """New connections, one after the other, with a pause between them that leaves the rest some time; how many."""
    count = 0
    while time.monotonic() < until:
        async with mesh.call(app.authority) as caller:
            await talk(caller, b"hello")
        count += 1
        await asyncio.sleep(0.02)
    return count


async def under_load(
    mesh: JoinedMesh, beside: Callable[[float], Coroutine[None, None, None]], seconds: float = SECONDS
) -> int:
    """Load for so long with something happening beside it; how many connections were made. None may fail."""
    until = time.monotonic() + seconds
    async with TcpApp(echo, mesh.server.address) as app, mesh.call(app.authority) as kept:
        async with asyncio.TaskGroup() as group:
            group.create_task(beside(until))
            callers = [group.create_task(in_turn(mesh, app, until)) for _ in range(CALLERS)]
        await talk(kept, b"still here")
    assert [one for one in logged(mesh.server) + logged(mesh.sleep) if "error" in one] == []
    return sum(caller.result() for caller in callers)


async def test_short_certificates_rotate_for_two_minutes_and_no_connection_fails(tmp_path: Path) -> None:
    async def nothing(_: float) -> None:
        return None

    with mesh_on(tmp_path) as mesh, mesh.controlled() as istiod:
        for node in mesh.nodes.values():
            mesh.start_node(node, SECRET_TTL=f"{LIFETIME:.0f}s")
        await mesh.ready()
        connections = await under_load(mesh, nothing, ROTATION_SECONDS)
        assert connections > ROTATION_SECONDS
        # Each of the two identities, renewed at half of what remains on receipt.
        assert istiod.count(ISSUED, "true") >= 2 * ROTATION_SECONDS / (LIFETIME / 2) * 0.8


async def test_edits_and_restarts_for_a_minute_and_no_connection_fails(tmp_path: Path) -> None:
    with mesh_on(tmp_path) as mesh:
        with mesh.controlled():
            for node in mesh.nodes.values():
                mesh.start_node(node)
            await mesh.ready()
            async with TcpApp(echo, mesh.server.address) as app, mesh.call(app.authority) as caller:
                await talk(caller, b"both have certificates")

        async def coming_and_going(until: float) -> None:
            number = 0
            while time.monotonic() < until:
                with mesh.controlled() as istiod:
                    for _ in range(5):
                        number += 1
                        mesh.write("service.yaml", SERVICE.format(vip=f"10.9.9.{number % 250}", port=8080))
                        wanted = f"10.9.9.{number % 250}"
                        await eventually(lambda: wanted in mesh.sleep.get("/config_dump"), "known", START_SECONDS)  # noqa: B023
                    istiod.process.kill()

        assert await under_load(mesh, coming_and_going) > SECONDS
        assert mesh.starts > 5


def certificates_of_nodes(mesh: JoinedMesh) -> list[tuple[str, set[str]]]:
    """Of each proxy's certificate the serial number, and those of the roots that came with it."""
    held = [one for node in mesh.nodes.values() for one in json.loads(node.get("/config_dump"))["certificates"]]
    return [
        (one["certChain"][0]["serialNumber"], {root["serialNumber"] for root in one["rootCerts"]})
        for one in held
        if one["certChain"]
    ]


async def all_renewed(mesh: JoinedMesh, roots: set[str]) -> None:
    """Every proxy has a certificate of after now, and trusts just these."""
    before = {serial for serial, _ in certificates_of_nodes(mesh)}

    def renewed() -> bool:
        return all(serial not in before and trusted == roots for serial, trusted in certificates_of_nodes(mesh))

    await eventually(renewed, "renewed everywhere", 4 * LIFETIME)


async def test_the_root_is_replaced_in_three_steps_and_no_connection_fails(tmp_path: Path) -> None:
    fresh = new_root(*validity(datetime.datetime.now(datetime.UTC), CA_LIFETIME))
    with mesh_on(tmp_path) as mesh, mesh.controlled() as istiod:
        for node in mesh.nodes.values():
            mesh.start_node(node, SECRET_TTL=f"{LIFETIME:.0f}s")
        await mesh.ready()
        old = istiod.roots.read_bytes()
        [first] = certificates_of(old)
        serials = {str(first.serial_number)}, {str(fresh.certificate.serial_number)}

        async def replaced(_: float) -> None:
            await eventually(lambda: len(certificates_of_nodes(mesh)) == 2, "both have certificates")
            write_file(istiod.roots, old + to_pem(fresh.certificate), replace=True)
            await all_renewed(mesh, serials[0] | serials[1])
            write_file(istiod.roots.with_name("root-key.pem"), fresh.key_pem, PRIVATE, replace=True)
            write_file(istiod.roots, to_pem(fresh.certificate) + old, replace=True)
            await all_renewed(mesh, serials[0] | serials[1])
            write_file(istiod.roots, to_pem(fresh.certificate), replace=True)
            await all_renewed(mesh, serials[1])

        assert await under_load(mesh, replaced) > SECONDS
        assert mesh.synced() == {"ztunnel-sleep", "ztunnel-server"}


async def come_and_go(target: str, *, politely: bool) -> None:
    """One stream for everything, from a client that leaves soon."""
    proxy = GrpcioProxy(target)
    stream = proxy.delta(ADDRESS)
    await stream.says(node=node_of())
    if politely:
        await stream.acknowledges()
        await stream.ends()
    else:
        stream.drop()
    await proxy.channel.close()


async def test_clients_come_and_go_by_thousands_and_nothing_of_them_stays(tmp_path: Path) -> None:
    with mesh_on(tmp_path, "--log", "warn") as mesh, mesh.controlled() as istiod:
        for name, text in manifests(500):
            mesh.write(name, text)
        await eventually(lambda: istiod.count("pilot_workloads") == 502, "all served")
        held: list[tuple[float, int]] = []
        for _ in range(STREAMS // AT_ONCE):
            async with asyncio.TaskGroup() as group:
                for number in range(AT_ONCE):
                    group.create_task(come_and_go(f"{istiod.address}:15010", politely=bool(number % 2)))
            held.append((istiod.count("process_open_fds"), istiod.process.resident_bytes))
        await eventually(lambda: istiod.page("connections")["totalClients"] == 0, "all gone")
        warmed_up = held[len(held) // 4]
        assert istiod.count("process_open_fds") <= warmed_up[0] + 4
        assert istiod.process.resident_bytes - warmed_up[1] < 24 << 20
        assert "Traceback" not in istiod.process.output
