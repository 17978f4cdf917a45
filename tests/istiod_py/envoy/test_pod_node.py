"""Which Envoy a pod runs, read off its manifest."""

from __future__ import annotations

from typing import Any

import pytest

from istiod_py.envoy.node import ProxyType
from istiod_py.envoy.pod_node import node_of_pod
from mesh_py.manifests.core import Pod, PodSpec
from mesh_py.manifests.metadata import Metadata
from mesh_py.manifests.objects import Manifests
from mesh_py.model.address import parse_ip
from tests.istiod_py.envoy.meshes import gateway

NAME = "gateway.networking.k8s.io/gateway-name"


def pod(ip: str = "10.1.0.1", **labels: str) -> Pod:
    return Pod(Metadata("p", "default", labels), PodSpec("account"), (parse_ip(ip),))


@pytest.mark.parametrize(
    ("labels", "gateways", "expected"),
    [
        pytest.param({}, (), ProxyType.SIDECAR, id="no gateway"),
        pytest.param({NAME: "w"}, (gateway(name="w", class_name="istio-waypoint"),), ProxyType.WAYPOINT, id="waypoint"),
        pytest.param({NAME: "i"}, (gateway(name="i"),), ProxyType.ROUTER, id="ingress"),
        pytest.param({NAME: "x"}, (), ProxyType.WAYPOINT, id="a gateway nobody described"),
    ],
)
def test_its_kind(labels: dict[str, str], gateways: tuple[Any, ...], expected: ProxyType) -> None:
    assert node_of_pod(pod(**labels), Manifests.of(gateways)).type is expected


def test_where_traffic_is_redirected() -> None:
    node = node_of_pod(pod(**{"networking.istio.io/tunnel": "http"}), Manifests())
    assert (node.listens_on_hbone, node.takes_proxy_protocol, node.http_proxy_port) == (True, False, None)
    assert (node.bind_address, node.service_account) == ("", "account")


def test_on_loopback_nothing_is_redirected() -> None:
    node = node_of_pod(pod("127.0.9.1"), Manifests())
    assert (node.bind_address, node.takes_proxy_protocol, node.http_proxy_port) == ("127.0.9.1", True, 15007)
    waypoint = node_of_pod(pod("127.0.9.2", **{NAME: "w"}), Manifests())
    assert (waypoint.bind_address, waypoint.takes_proxy_protocol, waypoint.http_proxy_port) == (
        "127.0.9.2",
        False,
        None,
    )
