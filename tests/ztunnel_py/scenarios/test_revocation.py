"""Certificates taken back while everything runs: refused when they come, ended when they are there (3.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mesh_py.identity import revocation
from tests.interop.callers import read_to_end, talk
from tests.support.pods import HBONE
from tests.support.processes import eventually
from tests.support.raw_peer import Code, Kind, client_tls, raw_client
from tests.support.tcp_apps import echo

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.pods import Pod, Pods

REVOKED = "connection closed: peer certificate revoked by CRL"
REJECTED = "istio_crl_policy_rejections_total"
FAILED = "istio_tcp_connections_failed_total"


class Mesh:
    """`sleep` and `server`; the one that judges follows a list."""

    def __init__(self, pods: Pods, file: Path, judge: str) -> None:
        self._pods, self._file = pods, file
        environment = {"CRL_PATH": str(file)}
        self.sleep = pods.add("sleep", environment=environment if judge == "sleep" else None)
        self.server = pods.add("server", environment=environment if judge == "server" else None)

    def revoke(self, *accounts: str) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(self._pods.authority.root.revoke(*map(self._pods.authority.of, accounts)))
        fresh.rename(self._file)

    async def is_known_to(self, judge: Pod) -> None:
        guard = judge.its_proxy.plane.context.revocation
        assert guard is not None
        await eventually(lambda: len(guard.file.now) == 1, "the list is read")


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocation, "POLL_SECONDS", 0.01)


async def test_a_revoked_client_is_refused(pods: Pods, tmp_path: Path) -> None:
    mesh = Mesh(pods, tmp_path / "crl.pem", judge="server")
    mesh.revoke("sleep")
    await mesh.is_known_to(mesh.server)
    async with mesh.server.app(echo) as app:
        async with mesh.sleep.call(app.authority) as caller:
            assert await read_to_end(caller) == (b"", "reset")
        assert app.connections == []
    line = await mesh.server.its_proxy.line(message="connection failed")
    assert line["error"] == f"tls handshake error: {REVOKED}"
    assert mesh.server.its_proxy.total(REJECTED, reporter="destination") == 1


async def test_a_revoked_server_is_refused(pods: Pods, tmp_path: Path) -> None:
    mesh = Mesh(pods, tmp_path / "crl.pem", judge="sleep")
    mesh.revoke("server")
    await mesh.is_known_to(mesh.sleep)
    async with mesh.server.app(echo) as app:
        async with mesh.sleep.call(app.authority) as caller:
            assert await read_to_end(caller) == (b"", "reset")
        assert app.connections == []
    assert (await mesh.sleep.its_proxy.line())["error"] == REVOKED
    assert mesh.sleep.its_proxy.total(FAILED, response_flags="CERT_REVOKED") == 1
    assert mesh.sleep.its_proxy.total(REJECTED, reporter="source") == 1


@pytest.mark.parametrize(("judge", "revoked"), [("server", "sleep"), ("sleep", "server")])
async def test_open_tunnels_end_when_the_list_says_so(pods: Pods, tmp_path: Path, judge: str, revoked: str) -> None:
    mesh = Mesh(pods, tmp_path / "crl.pem", judge=judge)
    proxy = (mesh.server if judge == "server" else mesh.sleep).its_proxy
    async with mesh.server.app(echo) as app, mesh.sleep.call(app.authority) as caller:
        await talk(caller, b"hello")
        mesh.revoke("somebody-else")
        await mesh.is_known_to(mesh.server if judge == "server" else mesh.sleep)
        await talk(caller, b"still here")
        mesh.revoke(revoked)
        assert await read_to_end(caller) == (b"", "reset")
        assert await app.ended() == "reset"
        assert (await proxy.line())["error"] == REVOKED
    assert proxy.total(FAILED, response_flags="CERT_REVOKED") == 1
    assert proxy.total(REJECTED) == 1


async def test_a_revoked_client_hears_goaway(pods: Pods, tmp_path: Path) -> None:
    mesh = Mesh(pods, tmp_path / "crl.pem", judge="server")
    async with (
        mesh.server.app(echo) as app,
        raw_client(mesh.server.ip, HBONE, client_tls(pods.authority.of("sleep"))) as peer,
    ):
        await peer.open_tunnel(app.authority)
        await app.connection()
        mesh.revoke("sleep")
        assert (await peer.expect(Kind.GOAWAY)).code == Code.NO_ERROR
        await peer.expect_end()


async def test_a_pardoned_client_is_let_in_again(pods: Pods, tmp_path: Path) -> None:
    mesh = Mesh(pods, tmp_path / "crl.pem", judge="server")
    mesh.revoke("sleep")
    await mesh.is_known_to(mesh.server)
    async with mesh.server.app(echo) as app:
        async with mesh.sleep.call(app.authority) as caller:
            await read_to_end(caller)
        guard = mesh.server.its_proxy.plane.context.revocation
        assert guard is not None
        before = guard.file.now
        mesh.revoke()
        await eventually(lambda: guard.file.now is not before, "the new list is read")
        async with mesh.sleep.call(app.authority) as caller:
            await talk(caller, b"hello")
