"""Gateways into other networks (hbone-controlplane 1.5, 1.6)."""

from __future__ import annotations

from typing import Any

import pytest

from mesh_py.manifests.gateway import Gateway, GatewayAddressValue, Listener
from mesh_py.model.address import GatewayAddress, NamespacedHostname, NetworkAddress, parse_ip
from tests.istiod_py.ambient.folder import machine, mesh, meta, pod, the_pod

FAR = {"topology.istio.io/network": "far"}
IP, NAME = GatewayAddressValue("IPAddress", "192.0.2.1"), GatewayAddressValue("Hostname", "gw.example.com")


def remote(name: str = "gw", **fields: Any) -> Gateway:
    annotations = fields.pop("annotations", {})
    given = {
        "gateway_class_name": "istio-remote",
        "listeners": (Listener("cross", 15008, "HBONE"),),
        "addresses": (IP,),
    }
    labels = fields.pop("labels", FAR)
    return Gateway(meta(name, "istio-gateways", labels=labels, annotations=annotations), **(given | fields))


@pytest.mark.parametrize(
    ("addresses", "reference"),
    [
        pytest.param({"addresses": (IP,)}, NetworkAddress("far", parse_ip("192.0.2.1")), id="an IP"),
        pytest.param({"addresses": (NAME,)}, NamespacedHostname("istio-gateways", "gw.example.com"), id="a name"),
        pytest.param(
            {"addresses": (IP,), "status_addresses": (NAME,)},
            NamespacedHostname("istio-gateways", "gw.example.com"),
            id="the status before the wish",
        ),
        pytest.param({"addresses": (IP, NAME)}, NetworkAddress("far", parse_ip("192.0.2.1")), id="the first of two"),
    ],
)
def test_workloads_of_a_network_refer_to_its_gateway(addresses: dict[str, Any], reference: Any) -> None:
    told = mesh(remote(**addresses), pod(labels=FAR), pod("near", "10.1.0.2"), machine(network="far"))
    expected = GatewayAddress(reference, 15008)
    assert the_pod(told).network_gateway == expected
    assert told.workloads["Kubernetes/networking.istio.io/WorkloadEntry/shop/vm"].network_gateway == expected
    assert the_pod(told, "near").network_gateway is None


def test_a_gateway_is_a_workload_so_that_node_proxies_know_whom_to_expect() -> None:
    told = mesh(remote(annotations={"gateway.istio.io/service-account": "gw-account"}))
    one = told.workloads["NetworkGateway/far/192.0.2.1/15008"]
    assert (one.network, one.workload_ips, one.hostname) == ("far", ("192.0.2.1",), "")
    assert str(one.identity) == "spiffe://cluster.local/ns/istio-gateways/sa/gw-account"


def test_a_gateway_known_by_name() -> None:
    [one] = mesh(remote(addresses=(NAME,))).workloads.values()
    assert (one.uid, one.hostname) == ("NetworkGateway/far/gw.example.com/15008", "gw.example.com")
    assert one.service_account == "gw-istio-remote"


@pytest.mark.parametrize(
    "gateway",
    [
        pytest.param(remote(labels={}), id="of no network"),
        pytest.param(remote(gateway_class_name="istio-east-west"), id="our own east-west gateway"),
        pytest.param(remote(listeners=(Listener("x", 443, "TLS"),)), id="without HBONE"),
        pytest.param(remote(addresses=()), id="without an address"),
    ],
)
def test_other_gateways_lead_nowhere(gateway: Gateway) -> None:
    assert mesh(gateway).workloads == {}


def test_of_several_gateways_the_first_by_name_counts() -> None:
    told = mesh(remote("b"), remote("a", addresses=(NAME,)), pod(labels=FAR))
    assert str(the_pod(told).network_gateway.destination) == "istio-gateways/gw.example.com"  # type: ignore[union-attr]
    assert len(told.workloads) == 3
