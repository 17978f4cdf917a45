"""What Envoys say of themselves."""

from __future__ import annotations

import pytest

from istiod_py.envoy.node import ProxyType, envoy_node
from istiod_py.node import read_node

ID = "sidecar~10.1.0.7~sleep-1.shop~shop.svc.example.org"


def test_a_node_is_understood() -> None:
    metadata = {
        "LABELS": {"app": "sleep"},
        "SERVICE_ACCOUNT": "sleeper",
        "ENABLE_HBONE": "true",
        "DISABLE_HBONE_SEND": True,
        "HTTP_PROXY_PORT": 15007.0,
        "SOMETHING": ["else"],
    }
    node = envoy_node(read_node(ID, metadata))
    assert node is not None
    assert (node.type, node.ip, node.name, node.namespace) == (ProxyType.SIDECAR, "10.1.0.7", "sleep-1", "shop")
    assert (node.dns_domain, node.labels, node.service_account) == ("example.org", {"app": "sleep"}, "sleeper")
    assert (node.listens_on_hbone, node.sends_hbone, node.http_proxy_port) == (True, False, 15007)
    assert node.id == ID


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"LABELS": "app=sleep", "HTTP_PROXY_PORT": "http", "PROXY_BIND_ADDRESS": "here"},
        {"LABELS": None, "HTTP_PROXY_PORT": 70000, "PROXY_BIND_ADDRESS": ["127.0.0.1"]},
    ],
)
def test_what_it_does_not_say_or_says_wrong_has_istios_defaults(metadata: dict[str, object]) -> None:
    node = envoy_node(read_node("waypoint~fd00::7~way-1.shop~shop.svc.cluster.local", metadata))
    assert node is not None
    assert (node.listens_on_hbone, node.sends_hbone, node.takes_proxy_protocol) == (False, True, False)
    assert (node.wildcard, node.localhost, node.http_proxy_port) == ("::", "::1", None)
    assert (node.service_account, node.gateway_name, node.labels) == ("default", "way-1", {})


def test_a_loopback_world_binds_one_address() -> None:
    node = envoy_node(read_node("router~127.0.9.1~in.shop~shop.svc.cluster.local", {"PROXY_BIND_ADDRESS": "127.0.9.1"}))
    assert node is not None
    assert (node.wildcard, node.localhost) == ("127.0.9.1", "127.0.9.1")


def test_a_node_proxy_is_no_envoy() -> None:
    assert envoy_node(read_node("ztunnel~10.1.0.7~z.istio-system~istio-system.svc.cluster.local")) is None
