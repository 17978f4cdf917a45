"""grpcio's own xDS client balances over real grpcio servers by what we tell it, in the state-of-the-world form."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from istiod_py.envoy.mesh import EnvoyMesh
from istiod_py.envoy.protobuf import pack
from istiod_py.proxyless import proxyless_resources
from tests.support.control_worlds import pod, service, world_of
from tests.support.istiod import start_istiod
from tests.support.processes import eventually, loopback_address
from tests.support.rpc import GrpcioTalk, grpcio_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from istiod_py.envoy.resources import EnvoyResources

CLIENT = """
import sys, grpc
from google.protobuf.wrappers_pb2 import StringValue
with grpc.insecure_channel(sys.argv[1]) as channel:
    say = channel.unary_unary("/test.Talk/Say", StringValue.SerializeToString, StringValue.FromString)
    for line in sys.stdin:
        try:
            say(StringValue(value=line.strip()), timeout=5, wait_for_ready=True)
            print("ok", flush=True)
        except grpc.RpcError as error:
            print(error.code().name, error.details(), flush=True)
"""


class Caller:
    """A client process that calls `xds:///...` whenever it is told to."""

    def __init__(self, target: str, bootstrap: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", CLIENT, target],
            env={"GRPC_XDS_BOOTSTRAP": str(bootstrap), "PATH": ""},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def calls(self) -> str:
        """One call; `ok`, or how it failed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("hello\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)
        if self._process.stdout is not None:
            self._process.stdout.close()


def bootstrap_file(folder: Path, address: str) -> Path:
    node = {"id": f"sidecar~{address}~caller.shop~shop.svc.cluster.local", "metadata": {"GENERATOR": "grpc"}}
    server = {"server_uri": f"{address}:15010", "channel_creds": [{"type": "insecure"}], "server_features": ["xds_v3"]}
    path = folder / "bootstrap.json"
    path.write_text(json.dumps({"xds_servers": [server], "node": node}))
    return path


@contextlib.contextmanager
def talking(address: str) -> Iterator[tuple[GrpcioTalk, int]]:
    talk = GrpcioTalk()
    with grpcio_server(talk, address=address) as port:
        yield talk, port


@pytest.mark.interop
async def test_grpcios_own_xds_client_follows_the_folder(tmp_path: Path) -> None:
    mesh = tmp_path / "mesh"
    mesh.mkdir()
    first, second = loopback_address(), loopback_address()
    with contextlib.ExitStack() as stack:
        one, port = stack.enter_context(talking(first))
        two, other = stack.enter_context(talking(second))
        text = service("cart", "10.96.0.1", target=port) + pod("cart-1", first)
        (mesh / "mesh.yaml").write_text(text)
        istiod = stack.enter_context(start_istiod(mesh, tmp_path / "state", loopback_address()))
        istiod.wait_ready()
        caller = Caller("xds:///cart.shop.svc.cluster.local:80", bootstrap_file(tmp_path, istiod.address))
        stack.callback(caller.close)
        assert [caller.calls() for _ in range(3)] == ["ok"] * 3
        assert (len(one.peers), len(two.peers)) == (3, 0)

        stop = pod("cart-1", first).replace("Running", "Succeeded")
        slice_ = text.replace(pod("cart-1", first), stop) + pod("cart-2", second).replace(
            "containers: [{name: app}]", f"containers: [{{name: app, ports: [{{name: grpc, containerPort: {other}}}]}}]"
        )
        (mesh / "mesh.yaml").write_text(slice_.replace(f"targetPort: {port}", f"targetPort: {other}"))
        await eventually(lambda: caller.calls() == "ok" and len(two.peers) > 0, "calls arrive at the second")
        before = len(one.peers)
        assert [caller.calls() for _ in range(5)] == ["ok"] * 5
        assert len(one.peers) == before
        assert istiod.count("pilot_total_xds_rejects") == 0
        assert {one["form"] for one in istiod.page("connections")["clients"]} == {"state"}


def resources() -> EnvoyResources:
    world = world_of(pod("cart-1", "10.0.0.1"), pod("cart-2", "10.0.0.2"), service("cart", "10.96.0.1"))
    return proxyless_resources(EnvoyMesh(world.mesh, world.manifests))


def test_a_listener_for_every_way_to_name_a_service() -> None:
    assert set(resources().listeners) == {"cart.shop.svc.cluster.local:80", "cart.shop.svc:80", "cart.shop:80"}


def test_listener_route_cluster_and_endpoints_name_each_other() -> None:
    found = resources()
    [name] = found.clusters
    manager = found.listeners["cart.shop:80"]["api_listener"]["api_listener"]
    assert manager["rds"]["route_config_name"] == name
    assert found.routes[name]["virtual_hosts"][0]["routes"][0]["route"] == {"cluster": name}
    [group] = found.endpoints[name]["endpoints"]
    addresses = [one["endpoint"]["address"]["socket_address"] for one in group["lb_endpoints"]]
    assert [(one["address"], one["port_value"]) for one in addresses] == [("10.0.0.1", 8080), ("10.0.0.2", 8080)]


def test_all_of_it_is_of_the_form_that_the_messages_have() -> None:
    for type_url, named in resources().by_type().items():
        for name, one in named.items():
            assert pack(type_url, name, one).body
