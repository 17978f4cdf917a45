"""Settings of a waypoint: who it is, what does not go together, what the names mean."""

from __future__ import annotations

from typing import Any

import pytest

from mesh_py.settings.kinds import WorkloadInfo
from mesh_py.settings.source import SettingsError, from_environment
from waypoint_py.config import Settings, from_values
from waypoint_py.settings_table import TABLE

LEAST = {"PROXY_WORKLOAD_INFO": "shop/way-1/way", "LOCAL_XDS": "workloads: []", "FAKE_CA": "true"}


def settings(**told: str) -> Settings:
    environment = {name: text for name, text in {**LEAST, **told}.items() if text}
    return from_values([{}, from_environment(TABLE, environment)], environment)


@pytest.mark.parametrize(
    ("told", "name", "expected"),
    [
        ({}, "workload", WorkloadInfo("shop", "way-1", "way")),
        (
            {"PROXY_WORKLOAD_INFO": "", "POD_NAME": "a", "POD_NAMESPACE": "b", "SERVICE_ACCOUNT": "c"},
            "workload",
            WorkloadInfo("b", "a", "c"),
        ),
        ({"GATEWAY_NAME": "w"}, "gateway", "w"),
        ({"ROOT_NAMESPACE": "root"}, "root_namespace", "root"),
        ({"NUM_TRUSTED_PROXIES": "2"}, "trusted_proxies", 2),
        ({"PROXY_BIND_ADDRESS": "127.5.5.5"}, "local_bind", "127.5.5.5"),
        ({"PROXY_BIND_ADDRESS": "10.0.0.1"}, "local_bind", "127.0.0.1"),
        ({"TERMINATION_DRAIN_DURATION_SECONDS": "7"}, "drain_deadline", 7.0),
        ({}, "discovery", None),
    ],
)
def test_what_is_told(told: dict[str, str], name: str, expected: Any) -> None:
    assert getattr(settings(**told), name) == expected


def test_a_control_plane_is_told_that_we_are_a_waypoint() -> None:
    found = settings(LOCAL_XDS="", XDS_ADDRESS="https://istiod.test:15012").discovery
    assert found is not None
    assert found.node.id.startswith("waypoint~")


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ({"PROXY_WORKLOAD_INFO": ""}, "which workload am I"),
        ({"LOCAL_XDS": ""}, "no mesh: set LOCAL_XDS_PATH"),
        ({"LOCAL_XDS_PATH": "mesh.yaml"}, "only one of them can be the mesh"),
        ({"PROXY_LOCAL_ADDRESS": "10.0.0.1"}, "is no loopback address"),
        ({"NUM_TRUSTED_PROXIES": "-1"}, "NUM_TRUSTED_PROXIES"),
        ({"HTTP2_STREAM_WINDOW_SIZE": "64MiB", "HTTP2_CONNECTION_WINDOW_SIZE": "64MiB"}, "HTTP2_STREAM_WINDOW_SIZE"),
    ],
)
def test_what_cannot_be(told: dict[str, str], complaint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(**told)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)
