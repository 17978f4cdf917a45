"""Nodes as Envoys send them, and those that are refused."""

from __future__ import annotations

import pytest

from istiod_py.envoy.node import NodeError, ProxyType, read_node

ID = "sidecar~10.1.0.7~sleep-1.shop~shop.svc.example.org"


def test_a_node_is_understood() -> None:
    node = read_node(
        ID,
        {
            "LABELS": {"app": "sleep"},
            "SERVICE_ACCOUNT": "sleeper",
            "ENABLE_HBONE": "true",
            "DISABLE_HBONE_SEND": True,
            "HTTP_PROXY_PORT": "15007",
            "SOMETHING": ["else"],
        },
    )
    assert (node.type, node.ip, node.name, node.namespace) == (ProxyType.SIDECAR, "10.1.0.7", "sleep-1", "shop")
    assert (node.dns_domain, node.labels, node.service_account) == ("example.org", {"app": "sleep"}, "sleeper")
    assert (node.listens_on_hbone, node.sends_hbone, node.http_proxy_port) == (True, False, 15007)
    assert node.id == ID


def test_what_it_does_not_say_has_istios_defaults() -> None:
    node = read_node("waypoint~fd00::7~way-1.shop~shop.svc.cluster.local", {})
    assert (node.listens_on_hbone, node.sends_hbone, node.takes_proxy_protocol) == (False, True, False)
    assert (node.wildcard, node.localhost, node.http_proxy_port) == ("::", "::1", None)
    assert (node.service_account, node.gateway_name) == ("default", "way-1")


def test_a_loopback_world_binds_one_address() -> None:
    node = read_node("router~127.0.9.1~in.shop~shop.svc.cluster.local", {"PROXY_BIND_ADDRESS": "127.0.9.1"})
    assert (node.wildcard, node.localhost) == ("127.0.9.1", "127.0.9.1")


@pytest.mark.parametrize(
    ("node_id", "metadata", "complaint"),
    [
        pytest.param("sidecar~10.1.0.7~a.b", {}, "four parts", id="parts"),
        pytest.param("broker~10.1.0.7~a.b~c", {}, "'broker'", id="type"),
        pytest.param("sidecar~somewhere~a.b~c", {}, "'somewhere'", id="address"),
        pytest.param("sidecar~10.1.0.7~ab~c", {}, "'ab' is not name.namespace", id="name"),
        pytest.param(ID, {"LABELS": "app=sleep"}, "LABELS", id="labels"),
        pytest.param(ID, {"NAMESPACE": 3}, "NAMESPACE", id="namespace"),
        pytest.param(ID, {"HTTP_PROXY_PORT": "http"}, "HTTP_PROXY_PORT", id="port"),
        pytest.param(ID, {"HTTP_PROXY_PORT": 70000}, "HTTP_PROXY_PORT", id="port too big"),
    ],
)
def test_a_node_that_is_none_is_refused(node_id: str, metadata: dict[str, object], complaint: str) -> None:
    with pytest.raises(NodeError, match=complaint):
        read_node(node_id, metadata)
