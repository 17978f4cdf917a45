"""What the control plane says of a proxy stays until something else is said, reconnects included."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from mesh_py.discovery.state import MeshState
from mesh_py.manifests.proxy_config import ProxyConfig
from mesh_py.manifests.reader import read_manifests
from mesh_py.proxy.following import Following
from mesh_py.telemetry.metrics import Metrics
from mesh_py.xds.delta import Resource, Response
from mesh_py.xds.encode import wire
from mesh_py.xds.node import Node
from mesh_py.xds.proxy_config import encode_proxy_config
from mesh_py.xds.types import PROXY_CONFIG

if TYPE_CHECKING:
    from mesh_py.manifests.proxy_file import Further

POLICY = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nobody, namespace: shop}
spec: {action: DENY, rules: [{}]}
"""
NAME = "shop/web-1"
TOLD = Resource(NAME, wire(encode_proxy_config(ProxyConfig(NAME, objects=read_manifests(POLICY, "p.yaml").objects))))
BROKEN = Resource(NAME, b"\xff")


class Directory:
    """What the proxy goes by: the policies that it was told of, one entry a change."""

    def __init__(self) -> None:
        self.told: list[list[str]] = []

    def expect_configuration(self) -> None:
        """Nobody is let in until then."""

    def take(self, further: Further, _source: str) -> None:
        self.told.append([one.metadata.name for one in further.manifests.authorization_policies])


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        pytest.param([((), ())], [[]], id="nothing concerns us"),
        pytest.param([((TOLD,), ())], [["nobody"]], id="a policy"),
        pytest.param([((TOLD,), ()), ((), ())], [["nobody"]], id="nothing new, as after a reconnect"),
        pytest.param([((TOLD,), ()), ((), (NAME,))], [["nobody"], []], id="nothing concerns us any more"),
        pytest.param([((TOLD,), ()), ((BROKEN,), ())], [["nobody"]], id="what cannot be read"),
        pytest.param([((BROKEN,), ())], [], id="what cannot be read, at first"),
    ],
)
async def test_what_is_told(answers: list[tuple[tuple[Resource, ...], tuple[str, ...]]], told: list[list[str]]) -> None:
    directory = Directory()
    settings = SimpleNamespace(endpoint=None, node=Node("sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local", {}))
    following = Following(cast("Any", settings), cast("Any", None), MeshState(), cast("Any", directory), Metrics())
    for resources, removed in answers:
        await following._take(Response(PROXY_CONFIG, "n", resources, removed))
    assert directory.told == told
