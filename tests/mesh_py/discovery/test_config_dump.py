"""Reading config dumps, today's and the older shape, and telling them from LocalConfig."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mesh_py.discovery.config_dump import is_config_dump
from mesh_py.discovery.local_file import read_local_config
from mesh_py.discovery.problems import ConfigError
from mesh_py.discovery.yaml_reader import compose
from mesh_py.model.address import NamespacedHostname
from mesh_py.model.workload import Endpoint, HealthStatus
from tests.support.world import gateway

KEY = NamespacedHostname("shop", "cart.shop.svc")

OLDER: dict[str, Any] = {
    "workloads": {
        "net/10.1.0.7": {
            "workloadIps": ["10.1.0.7"],
            "waypoint": {"destination": "/10.96.0.9", "port": 15009},
            "protocol": "HBONE",
            "uid": "c//Pod/shop/cart-1",
            "name": "cart-1",
            "namespace": "shop",
            "network": "net",
            "status": "Healthy",
            "clusterId": "c",
            "gatewayAddress": None,
        },
        "net/fd00::7": {
            "workloadIps": ["10.1.0.7"],
            "uid": "c//Pod/shop/cart-1",
            "name": "cart-1",
            "namespace": "shop",
        },
    },
    "services": {
        "/10.96.3.3": {
            "name": "cart",
            "namespace": "shop",
            "hostname": "cart.shop.svc",
            "vips": ["/10.96.3.3"],
            "ports": {"80": 8080},
            "endpoints": {
                "c//Pod/shop/cart-1:net/10.1.0.7": {
                    "workloadUid": "c//Pod/shop/cart-1",
                    "service": "shop/cart.shop.svc",
                    "address": "net/10.1.0.7",
                    "port": {"80": 7070},
                },
                "gone:/10.1.0.8": {"workloadUid": "gone", "address": "/10.1.0.8", "port": {"80": 8080}},
            },
            "subjectAltNames": [],
        }
    },
    "policies": [
        {
            "action": "Allow",
            "name": "allow-waypoint",
            "namespace": "shop",
            "rules": [[[{"serviceAccounts": [{"namespace": "shop", "serviceAccount": "waypoint"}]}]]],
            "scope": "WorkloadSelector",
        }
    ],
    "certificates": [{"identity": "spiffe://td/ns/shop/sa/cart", "state": "Initializing", "certChain": []}],
}

TODAY = {
    "workloads": [
        {
            "workloadIps": ["10.1.0.7"],
            "protocol": "HBONE",
            "networkMode": "Standard",
            "uid": "a",
            "name": "a",
            "namespace": "shop",
            "services": ["shop/cart.shop.svc", "shop/later.shop.svc"],
            "status": "Healthy",
            "clusterId": "c",
            "capacity": 1,
            "aKeyOfTomorrow": 1,
        }
    ],
    "services": [
        {
            "name": "cart",
            "namespace": "shop",
            "hostname": "cart.shop.svc",
            "vips": [],
            "ports": {"80": 0},
            "endpoints": {
                "a": {"workloadUid": "a", "port": {"80": 7070}, "status": "Healthy"},
                "b": {"workloadUid": "b", "port": {}, "status": "Unhealthy"},
            },
            "subjectAltNames": [],
            "canonical": True,
            "visibility": "Public",
        }
    ],
    "policies": [],
    "stagedServices": {"shop/later.shop.svc": {"a": {"workloadUid": "a", "port": {"90": 9090}, "status": "Healthy"}}},
    "version": {"version": "x"},
}


def test_the_older_shape() -> None:
    config = read_local_config(json.dumps(OLDER), "dump.json")
    (second,) = config.workloads
    assert second.services == {KEY: {80: 7070}}
    (cart,) = config.services
    assert cart.endpoints == {"gone": Endpoint("gone", {80: 8080})}
    assert [policy.key for policy in config.policies] == ["shop/allow-waypoint"]


def test_a_waypoint_of_the_older_shape() -> None:
    workloads = {"net/10.1.0.7": OLDER["workloads"]["net/10.1.0.7"]}
    (cart,) = read_local_config(json.dumps({"workloads": workloads}), "dump.json").workloads
    assert cart.waypoint == gateway("/10.96.0.9", 15009)


def test_todays_shape() -> None:
    config = read_local_config(json.dumps(TODAY), "dump.json")
    (first,) = config.workloads
    later = NamespacedHostname("shop", "later.shop.svc")
    assert first.services == {KEY: {80: 7070}, later: {90: 9090}}
    (cart,) = config.services
    assert cart.endpoints == {"b": Endpoint("b", {}, HealthStatus.UNHEALTHY)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("{version: {}}", True, id="a key of dumps"),
        pytest.param("{certificates: []}", True, id="another"),
        pytest.param("{workloads: {}}", True, id="a map of workloads"),
        pytest.param("{policies: {}, workloads: []}", True, id="a map of policies"),
        pytest.param("{workloads: [], services: [], policies: []}", False, id="lists alone"),
        pytest.param("{}", False, id="nothing"),
        pytest.param("[]", False, id="a list"),
    ],
)
def test_told_from_a_local_file_by_keys(text: str, expected: bool) -> None:
    assert is_config_dump(compose(text, "f")) is expected


def test_a_dump_that_cannot_be_read_is_refused() -> None:
    broken = json.dumps(TODAY, indent=2).replace('"10.1.0.7"', '"ten"')
    with pytest.raises(ConfigError, match=r"^dump\.json:5:9: 'ten' is not an IP address$"):
        read_local_config(broken, "dump.json")
