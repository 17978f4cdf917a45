"""Settings of a sidecar: who it stands beside, what does not go together, what the names mean."""

from __future__ import annotations

from typing import Any

import pytest

from mesh_py.settings.kinds import WorkloadInfo
from mesh_py.settings.source import SettingsError, from_environment
from sidecar_py.config import Scrape, Settings, from_values
from sidecar_py.settings_table import TABLE

LEAST = {"PROXY_WORKLOAD_INFO": "shop/cart-1/cart", "LOCAL_XDS": "workloads: []", "FAKE_CA": "true"}


def settings(**told: str) -> Settings:
    environment = {name: text for name, text in {**LEAST, **told}.items() if text}
    return from_values([{}, from_environment(TABLE, environment)], environment)


@pytest.mark.parametrize(
    ("told", "name", "expected"),
    [
        ({}, "workload", WorkloadInfo("shop", "cart-1", "cart")),
        (
            {"PROXY_WORKLOAD_INFO": "", "POD_NAME": "a", "POD_NAMESPACE": "b", "SERVICE_ACCOUNT": "c"},
            "workload",
            WorkloadInfo("b", "a", "c"),
        ),
        (
            {"PROXY_WORKLOAD_INFO": "", "POD_NAME": "a", "POD_NAMESPACE": "b"},
            "workload",
            WorkloadInfo("b", "a", "default"),
        ),
        ({}, "app_address", None),
        ({"CAPTURED_PORTS": "8080,9090"}, "app_address", "127.0.0.1"),
        ({"CAPTURED_PORTS": "8080,9090"}, "captured_ports", (8080, 9090)),
        ({"CAPTURED_PORTS": "8080", "APP_ADDRESS": "127.0.0.9"}, "app_address", "127.0.0.9"),
        ({}, "waypoint_form", "post"),
        ({"PILOT_PREFER_SENDING_HBONE": "true"}, "prefers_hbone", True),
        ({"OUTBOUND_TRAFFIC_POLICY": "REGISTRY_ONLY"}, "registry_only", True),
        ({"PROXY_BIND_ADDRESS": "127.5.5.5"}, "local_bind", "127.5.5.5"),
        ({"PROXY_BIND_ADDRESS": "10.0.0.1"}, "local_bind", "127.0.0.1"),
        ({"TERMINATION_DRAIN_DURATION_SECONDS": "7"}, "drain_deadline", 7.0),
        ({"ISTIO_META_NETWORK": "n1"}, "network", "n1"),
        ({}, "scrape", None),
        ({"ISTIO_PROMETHEUS_ANNOTATIONS": '{"scrape":"true","port":"9090","path":""}'}, "scrape", Scrape(9090)),
        ({"ISTIO_PROMETHEUS_ANNOTATIONS": '{"scrape":"false"}'}, "scrape", None),
        ({}, "discovery", None),
    ],
)
def test_what_is_told(told: dict[str, str], name: str, expected: Any) -> None:
    assert getattr(settings(**told), name) == expected


def test_addresses_of_the_listeners() -> None:
    assert settings().bind_address == "::"
    assert settings(IPV6_ENABLED="false").bind_address == "0.0.0.0"
    assert settings(PROXY_BIND_ADDRESS="127.5.5.5").bind_address == "127.5.5.5"


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ({"PROXY_WORKLOAD_INFO": ""}, "whom do I stand beside"),
        ({"LOCAL_XDS": ""}, "no mesh: set LOCAL_XDS_PATH"),
        ({"LOCAL_XDS_PATH": "mesh.yaml"}, "only one of them can be the mesh"),
        ({"WAYPOINT_FORM": "tomorrow"}, "WAYPOINT_FORM: 'tomorrow' is none of post, service, today"),
        ({"PROXY_LOCAL_ADDRESS": "10.0.0.1"}, "is no loopback address"),
        ({"PROXY_PROTOCOL_CAPTURE": "true"}, "whoever reaches the port could claim any source"),
        ({"CAPTURED_PORTS": "8080,web"}, "is not a whole number"),
        ({"ISTIO_PROMETHEUS_ANNOTATIONS": "{"}, "write JSON such as"),
        ({"ISTIO_PROMETHEUS_ANNOTATIONS": '{"scrape":"true","port":"0"}'}, "a port from 1 to 65535"),
        ({"HTTP2_STREAM_WINDOW_SIZE": "64MiB", "HTTP2_CONNECTION_WINDOW_SIZE": "64MiB"}, "HTTP2_STREAM_WINDOW_SIZE"),
    ],
)
def test_what_cannot_be(told: dict[str, str], complaint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(**told)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)
