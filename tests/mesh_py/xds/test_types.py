"""Type URLs and method paths are the names of the messages and services themselves."""

from __future__ import annotations

import pytest
from envoy.service.discovery.v3 import ads_pb2

from mesh_py.xds import types
from mesh_py.xds.proto import authorization_pb2, citadel_pb2, proxy_config_pb2, workload_pb2


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (types.ADDRESS, workload_pb2.Address),
        (types.WORKLOAD, workload_pb2.Workload),
        (types.AUTHORIZATION, authorization_pb2.Authorization),
        (types.PROXY_CONFIG, proxy_config_pb2.ProxyConfig),
    ],
)
def test_a_type_url_names_its_message(url: str, message) -> None:
    assert url == f"type.googleapis.com/{message.DESCRIPTOR.full_name}"


@pytest.mark.parametrize(
    ("path", "file", "method"),
    [
        (types.DELTA_DISCOVERY, ads_pb2, "DeltaAggregatedResources"),
        (types.STREAM_DISCOVERY, ads_pb2, "StreamAggregatedResources"),
        (types.CREATE_CERTIFICATE, citadel_pb2, "CreateCertificate"),
    ],
)
def test_a_path_names_its_method(path: str, file, method: str) -> None:
    paths = {
        f"/{service.full_name}/{found.name}"
        for service in file.DESCRIPTOR.services_by_name.values()
        for found in service.methods
    }
    assert path in paths
    assert path.endswith(f"/{method}")
