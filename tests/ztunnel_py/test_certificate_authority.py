"""Two node proxies as processes whose certificates grpcio's authority signs: it goes, comes back, changes its root.

Certificates live for seconds, so that all of it happens while one call goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.interop.callers import talk
from tests.support.certificates import TestRoot
from tests.support.grpcio_ca import Authority, GrpcioCa, serving_ca
from tests.support.processes import answers, eventually, loopback_address, run_tool
from tests.support.tcp_apps import TcpApp, echo
from tests.ztunnel_py.nodes import nodes_started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.certificates import CertificateFiles
    from tests.ztunnel_py.nodes import Node, Nodes

pytestmark = pytest.mark.interop


class World:
    """An authority that can be taken away, and two proxies that depend on it."""

    def __init__(self, folder: Path, life: float) -> None:
        self.ca = GrpcioCa(longest=life)
        self.address = loopback_address()
        self.files: CertificateFiles = TestRoot(folder / "control-plane").issue_server("istiod", self.address)
        self.port = 0
        self._serving = contextlib.ExitStack()
        self.nodes: Nodes

    def come(self) -> None:
        """The authority serves (again)."""
        self.port = self._serving.enter_context(serving_ca(self.ca, self.address, self.files, self.port))

    def go(self) -> None:
        """Nobody is there."""
        self._serving.close()

    async def verifies(self, node: Node, root: Authority, folder: Path) -> bool:
        """Whether openssl accepts what a node shows on 15008 by this root alone."""
        (folder / "ca.pem").write_text(root.pem)
        command = ["openssl", "s_client", "-connect", f"{node.address}:15008", "-alpn", "h2", "-brief"]
        command += ["-CAfile", str(folder / "ca.pem"), "-verify_return_error", "-partial_chain"]
        command += ["-cert", self.own(folder)[0], "-key", self.own(folder)[1]]
        done = await run_tool(*command)
        return b"Verification: OK" in done.stderr

    def own(self, folder: Path) -> tuple[str, str]:
        """A certificate for openssl, of the present root."""
        key = ec.generate_private_key(ec.SECP256R1())
        chain, secret = folder / "own.crt", folder / "own.key"
        chain.write_text(self.ca.root.sign(key.public_key(), "spiffe://cluster.local/ns/default/sa/sleep", 600))
        form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
        return str(chain), str(secret)


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """Its parameter is how many seconds a certificate lives; it is renewed after half of them."""
    world = World(tmp_path, request.param)
    world.come()
    told = {
        "CA_ADDRESS": f"{world.address}:{world.port}",
        "CA_ROOT_CA": str(world.files.roots),
        "AUTH_TOKEN": "eyJ.x.y",
        "SECRET_TTL": "3600s",
    }
    own = dict.fromkeys(("sleep", "server"), told)
    with nodes_started(tmp_path, TestRoot(tmp_path / "unused"), own=own) as world.nodes:
        yield world
    world.go()


def certificate(node: Node, account: str) -> dict[str, Any]:
    """The entry of `/config_dump` of the one certificate a node has."""
    (entry,) = json.loads(node.get("/config_dump"))["certificates"]
    assert entry["identity"].endswith(f"/sa/{account}")
    return dict(entry)


async def until(world: World, what: str, condition: Callable[[dict[str, Any]], bool]) -> None:
    """Wait until the certificates of both nodes are like that."""
    for node in (world.nodes.sleep, world.nodes.server):
        await answers(partial(asyncio.to_thread, certificate, node, node.name), condition, what)


def has_root(authority: Authority) -> Callable[[dict[str, Any]], bool]:
    serial = str(authority.certificate.serial_number)
    return lambda entry: serial in [root["serialNumber"] for root in entry["rootCerts"]]


def says(log: Path, text: str) -> bool:
    return text in log.read_text()


def is_available(entry: dict[str, Any]) -> bool:
    return bool(entry["state"] == "Available")


def has_no_root(authority: Authority) -> Callable[[dict[str, Any]], bool]:
    return lambda entry: not has_root(authority)(entry)


@pytest.mark.parametrize("world", [5.0], indirect=True)
async def test_a_call_outlives_authority_certificates_and_root(world: World, tmp_path: Path) -> None:
    nodes, ca, first = world.nodes, world.ca, world.ca.root
    async with TcpApp(echo, nodes.server.address) as app, nodes.call(app.authority) as long_call:
        await talk(long_call, b"with the first certificates")
        assert set(ca.identities) == {f"spiffe://cluster.local/ns/default/sa/{name}" for name in ("sleep", "server")}
        assert {asked.seconds for asked in ca.asked} == {3600}
        assert {asked.metadata["authorization"] for asked in ca.asked} == {"Bearer eyJ.x.y"}
        assert await world.verifies(nodes.server, first, tmp_path)
        assert "eyJ.x.y" not in nodes.sleep.get("/config_dump")

        world.go()
        for log in (nodes.sleep.log_file, nodes.server.log_file):
            await eventually(partial(says, log, "keeps its certificate until"), "a failed renewal")
        async with nodes.call(app.authority) as caller:  # what is valid stays in use
            await talk(caller, b"while the authority is away")

        second = Authority("second root")
        ca.root, ca.further_roots = second, [first]  # peers may still show what the first has signed
        ca.intermediate = Authority("an intermediate", second)
        world.come()
        await until(world, "signed by the second", has_root(second))
        assert await world.verifies(nodes.server, second, tmp_path)
        ca.further_roots, ca.intermediate = [], Authority("another intermediate", second)
        await until(world, "rid of the first", has_no_root(first))
        assert not await world.verifies(nodes.server, first, tmp_path)
        async with nodes.call(app.authority) as caller:
            await talk(caller, b"under the second root alone")
        await talk(long_call, b"through all of it")


@pytest.mark.parametrize("world", [2.0], indirect=True)
async def test_an_authority_that_stays_away_is_told_and_taken_back(world: World) -> None:
    """Without it the certificates end, and the dump says why; after its return calls go through."""
    nodes = world.nodes
    await until(world, "there", is_available)
    world.go()
    await until(world, "gone", lambda entry: not is_available(entry))
    state = certificate(nodes.sleep, "sleep")["state"]
    assert state.startswith("Unavailable: it expired at ")
    assert f"cannot connect to {world.address}:{world.port}" in state
    world.ca.longest = 3600
    world.come()
    await until(world, "there again", is_available)
    async with TcpApp(echo, nodes.server.address) as app, nodes.call(app.authority) as caller:
        await talk(caller, b"again")
