"""The whole process: started over a folder, joined, edited under, ended."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from hbone_py.tls import TlsSettings
from istiod_py.command_line import run
from mesh_py.discovery.state import MeshState
from mesh_py.rpc.channel import RpcChannel
from mesh_py.rpc.endpoint import Address, Endpoint
from mesh_py.rpc.roots import Roots
from mesh_py.telemetry.metrics import Metrics
from mesh_py.xds.client import DiscoveryClient
from mesh_py.xds.delta import Interest
from mesh_py.xds.intake import Intake
from mesh_py.xds.node import Node
from mesh_py.xds.proxy_config import decode_proxy_config
from mesh_py.xds.proxy_config_intake import ProxyConfigIntake
from mesh_py.xds.types import ADDRESS, AUTHORIZATION, PROXY_CONFIG, SECRET
from tests.support.discovery import SIDECAR_ID, GrpcioProxy, names, node_of
from tests.support.istiod import Istiod, start_istiod
from tests.support.processes import eventually, loopback_address, run_tool
from tests.support.require import require_tool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from mesh_py.manifests.proxy_config import ProxyConfig
    from tests.support.certificates import TestRoot

pytestmark = pytest.mark.interop

CART = """
apiVersion: v1
kind: Pod
metadata: {name: cart-1, namespace: shop, labels: {app: cart}}
spec: {serviceAccountName: cart, nodeName: node-a, containers: [{name: app}]}
status: {podIP: 10.0.0.1, phase: Running}
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {clusterIP: 10.96.0.1, selector: {app: cart}, ports: [{port: 80, targetPort: 8080}]}
"""
POLICY = """
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers, namespace: shop}
spec: {selector: {matchLabels: {app: cart}}, rules: [{to: [{operation: {methods: [GET]}}]}]}
"""
CART_NAME, SERVICE_NAME = "Kubernetes//Pod/shop/cart-1", "shop/cart.shop.svc.cluster.local"


@pytest.fixture(scope="module")
def istiod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Istiod]:
    base = tmp_path_factory.mktemp("istiod")
    (base / "mesh").mkdir()
    (base / "mesh" / "cart.yaml").write_text(CART)
    with start_istiod(base / "mesh", base / "state", loopback_address()) as istiod:
        istiod.wait_ready()
        yield istiod


@pytest.fixture
async def joined(istiod: Istiod) -> AsyncIterator[GrpcioProxy]:
    """A client of 15012."""
    proxy = GrpcioProxy(f"{istiod.address}:15012", istiod.roots.read_bytes())
    yield proxy
    await proxy.channel.close()


@pytest.fixture
async def plaintext(istiod: Istiod) -> AsyncIterator[GrpcioProxy]:
    """A client of 15010."""
    proxy = GrpcioProxy(f"{istiod.address}:15010")
    yield proxy
    await proxy.channel.close()


async def test_a_folder_is_served_and_followed(istiod: Istiod, joined: GrpcioProxy) -> None:
    stream = joined.delta(ADDRESS, istiod.token("istio-system/ztunnel", "node-a"))
    await stream.says(node=node_of())
    assert names(await stream.acknowledges()) == {CART_NAME}
    (istiod.folder / "service.yaml").write_text(SERVICE)
    assert names(await stream.acknowledges()) == {CART_NAME, SERVICE_NAME}  # the pod serves it now
    (istiod.folder / "service.yaml").unlink()
    answer = await stream.acknowledges()
    assert (names(answer), list(answer.removed_resources)) == ({CART_NAME}, [SERVICE_NAME])


async def test_a_broken_manifest_is_reported_and_the_last_good_state_stays(istiod: Istiod, joined: GrpcioProxy) -> None:
    stream = joined.delta(ADDRESS, istiod.token("istio-system/ztunnel", "node-a"))
    await stream.says(node=node_of())
    await stream.acknowledges()
    (istiod.folder / "cart.yaml").write_text(CART.replace("podIP: 10.0.0.1", "podIP: nowhere"))
    await eventually(lambda: istiod.count("pilot_config_errors") == 1, "the fault counted")
    [fault] = istiod.page("problems")["faults"]
    assert "cart.yaml:6:17: 'nowhere' is not an IP address" in fault
    said = "the edit is ignored, its last good version stays"
    await eventually(lambda: said in istiod.process.output, "logged")
    (istiod.folder / "cart.yaml").write_text(CART.replace("10.0.0.1", "10.0.0.2"))
    answer = await stream.acknowledges()
    assert list(answer.resources[0].aliases) == ["/10.0.0.2"]
    await eventually(lambda: istiod.count("pilot_config_errors") == 0, "the fault gone")
    (istiod.folder / "cart.yaml").write_text(CART)
    await stream.acknowledges()


async def test_plaintext_is_there_for_this_machine(plaintext: GrpcioProxy) -> None:
    stream = plaintext.delta(AUTHORIZATION)
    await stream.says(node=node_of())
    assert not (await stream.acknowledges()).resources


async def test_secrets_go_to_whoever_has_proven_its_identity_alone(
    istiod: Istiod, joined: GrpcioProxy, plaintext: GrpcioProxy
) -> None:
    both: set[str] = {"default", "ROOTCA"}
    for proxy, token, found in ((joined, istiod.token("shop/cart"), both), (plaintext, None, set())):
        stream = proxy.delta(SECRET, token)
        await stream.says(node=node_of(SIDECAR_ID), resource_names_subscribe=["default", "ROOTCA"])
        answer = await stream.acknowledges()
        assert names(answer) == found
        assert set(answer.removed_resources) == {"default", "ROOTCA"} - found


async def test_a_sidecar_of_ours_is_told_what_concerns_it(istiod: Istiod, joined: GrpcioProxy) -> None:
    stream = joined.delta(PROXY_CONFIG, istiod.token("shop/cart"))
    await stream.says(node=node_of(SIDECAR_ID))
    assert kinds(await stream.acknowledges()) == ["Pod"]
    policy = istiod.folder / "policy.yaml"
    policy.write_text(POLICY)
    assert kinds(await stream.acknowledges()) == ["AuthorizationPolicy", "Pod"]
    (istiod.folder / "service.yaml").write_text(SERVICE)  # is nothing to it
    policy.unlink()
    assert kinds(await stream.acknowledges()) == ["Pod"]
    (istiod.folder / "service.yaml").unlink()


async def test_our_own_client_follows_what_concerns_it(istiod: Istiod) -> None:
    told: list[list[str]] = []

    def changed(config: ProxyConfig | None) -> None:
        told.append([] if config is None else [one.kind for one in config.objects])

    client = DiscoveryClient(
        lambda: RpcChannel(Endpoint(Address(istiod.address, 15010, is_plaintext=True), Roots()), TlsSettings()),
        Node.of("sidecar", name="cart-1", namespace="shop", ip="10.0.0.1"),
        [Interest(ADDRESS), Interest(PROXY_CONFIG)],
        Intake(MeshState(), {PROXY_CONFIG: ProxyConfigIntake(changed).take}),
        Metrics(),
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(client.run())
        await eventually(lambda: told == [["Pod"]], "its own pod")
        policy = istiod.folder / "policy.yaml"
        policy.write_text(POLICY)
        await eventually(lambda: told[1:] == [["AuthorizationPolicy", "Pod"]], "the policy")
        policy.unlink()
        await eventually(lambda: told[2:] == [["Pod"]], "no policy")
        assert client.ready.is_set()
        running.cancel()


def kinds(answer: Any) -> list[str]:
    """The kinds of manifests in the one resource of an answer."""
    [resource] = answer.resources
    assert resource.name == "shop/cart-1"
    return [one.kind for one in decode_proxy_config(resource.resource.value, resource.name).objects]


async def test_pages_tell_who_is_connected(istiod: Istiod, joined: GrpcioProxy) -> None:
    stream = joined.delta(ADDRESS, istiod.token("istio-system/ztunnel", "node-a"))
    await stream.says(node=node_of(NODE_NAME="node-a"))
    await stream.acknowledges()

    def synced() -> list[dict[str, object]]:
        return [one for one in istiod.page("syncz") if one["types"].get("wds", {}).get("state") == "SYNCED"]

    await eventually(lambda: len(synced()) == 1, "one proxy synced")
    assert synced()[0]["proxy"] == "ztunnel-x.istio-system"
    [client] = istiod.page("adsz")["clients"]
    assert client["identity"] == "istio-system/ztunnel"
    assert client["metadata"] == {"NODE_NAME": "node-a"}
    [dump] = istiod.page("config_dump?proxyID=ztunnel-x.istio-system")
    assert CART_NAME in dump["resources"][ADDRESS]


@pytest.mark.parametrize(
    ("flags", "verdict"),
    [
        pytest.param(["-verify_hostname", "istiod.istio-system.svc"], "Verification: OK", id="by name"),
        pytest.param(["-verify_ip", "{address}"], "Verification: OK", id="by address"),
        pytest.param(["-verify_hostname", "elsewhere.example"], "hostname mismatch", id="not by any name"),
        pytest.param(["-tls1_2"], "alert", id="no TLS 1.2"),
        pytest.param(["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"], "alert", id="no ChaCha20"),
    ],
)
async def test_openssl_knows_15012_by_its_certificate(istiod: Istiod, flags: list[str], verdict: str) -> None:
    given = [flag.format(address=istiod.address) for flag in flags]
    target = ["-connect", f"{istiod.address}:15012", "-CAfile", str(istiod.roots), "-alpn", "h2", "-brief"]
    done = await run_tool(require_tool("openssl"), "s_client", *target, "-verify_return_error", *given)
    shown = (done.stdout + done.stderr).decode()
    assert verdict in shown
    if verdict == "Verification: OK":
        assert "Protocol version: TLSv1.3" in shown
        assert "Ciphersuite: TLS_AES_256_GCM_SHA384" in shown


async def test_a_foreign_client_certificate_is_refused_and_counted(istiod: Istiod, root: TestRoot) -> None:
    files = root.issue("foreign", "istio-system/ztunnel")
    refused = istiod.count("istiod_grpc_connections", "failed")
    target = ["-connect", f"{istiod.address}:15012", "-CAfile", str(istiod.roots), "-alpn", "h2"]
    shown = ["-cert", str(files.chain), "-key", str(files.key)]
    # TLS 1.3: the client learns of the refusal when it first reads.
    await run_tool(require_tool("openssl"), "s_client", *target, *shown, "-quiet", stdin=b"PRI * HTTP/2.0\r\n\r\n")
    await eventually(lambda: istiod.count("istiod_grpc_connections", "failed") == refused + 1, "counted")
    await eventually(lambda: "refused:" in istiod.process.output, "logged")


def test_what_it_prints_at_first_leads_a_node_proxy_in(istiod: Istiod) -> None:
    output = istiod.process.output
    assert f"export XDS_ADDRESS={istiod.url} CA_ADDRESS={istiod.url} PROXY_MODE=node\n" in output
    assert f"XDS_ROOT_CA={istiod.roots}" in output
    assert "python -m istiod_py token istio-system/ztunnel --node node-a" in output


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_with_0_and_proxies_politely(tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "mesh").mkdir()
    with start_istiod(tmp_path / "mesh", tmp_path / "state", loopback_address()) as istiod:
        istiod.wait_ready()
        proxy = GrpcioProxy(f"{istiod.address}:15010")
        stream = proxy.delta(ADDRESS)
        await stream.says(node=node_of())
        await stream.hears()
        os.kill(istiod.process.pid, how)
        assert (await stream.status())[0] is grpc.StatusCode.OK
        await proxy.channel.close()
        await eventually(lambda: not istiod.process.is_running, "ended")
        assert istiod.process.status == 0
        assert "Traceback" not in istiod.process.output


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        pytest.param(["--config", "{folder}/none"], "is no folder", id="no folder"),
        pytest.param([], "no mesh: say which folder", id="nothing said"),
        pytest.param(["--config", "{folder}", "--local-bind", "10.0.0.1"], "no loopback address", id="debug to all"),
        pytest.param(["--config", "{folder}/broken"], "bad.yaml:1:1", id="a broken folder"),
        pytest.param(["--config", "{folder}/mesh", "--bind", "192.0.2.1"], "cannot listen on", id="not our address"),
        pytest.param(["--config", "{folder}/mesh", "--state-dir", "/proc/none"], "--state-dir", id="no state folder"),
        pytest.param(["--config", "{folder}/mesh", "--dns-name", "käse"], "neither a DNS name", id="no name"),
    ],
)
def test_what_keeps_it_from_starting_is_one_line_and_status_2(
    tmp_path: Path, flags: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("mesh", "broken"):
        (tmp_path / name).mkdir()
    (tmp_path / "broken" / "bad.yaml").write_text("kind: Pod\n")
    given = [flag.format(folder=tmp_path) for flag in flags]
    state = [] if "--state-dir" in given else ["--state-dir", str(tmp_path / "state")]
    assert run([*given, *state]) == 2
    shown = capsys.readouterr().err
    assert complaint in shown
    assert shown.count("\n") == 1
