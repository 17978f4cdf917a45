"""Where plain connections go."""

from __future__ import annotations

from typing import Any

import pytest

from istiod_py.envoy.tcp_routes import clusters_of_service
from tests.istiod_py.envoy.meshes import backend, echo_service, mesh, tcp_route


def clusters(*routes: Any) -> list[tuple[str, int]]:
    service = echo_service()
    return clusters_of_service(
        mesh(service, *routes), service, 81, lambda one, port: f"{one.name}:{port}", ("default",)
    )


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        pytest.param((), [("echo:81", 1)], id="none"),
        pytest.param((tcp_route(backend("echo", 80)),), [("echo:80", 1)], id="one backend"),
        pytest.param(
            (tcp_route(backend("echo", 81, 3), backend("echo", 82, 1), backend("echo", 80, 0)),),
            [("echo:81", 3), ("echo:82", 1)],
            id="weights",
        ),
        pytest.param((tcp_route(backend("nobody", 81)),), [("BlackHoleCluster", 1)], id="a backend that is not there"),
        pytest.param((tcp_route(),), [("BlackHoleCluster", 1)], id="no backend"),
        pytest.param((tcp_route(backend(), service="other"),), [("echo:81", 1)], id="of another service"),
        pytest.param(
            (
                tcp_route(backend("echo", 82), creation_timestamp="2026-01-02T00:00:00Z"),
                tcp_route(backend("echo", 80), creation_timestamp="2026-01-01T00:00:00Z"),
            ),
            [("echo:80", 1)],
            id="the oldest counts",
        ),
    ],
)
def test_clusters(routes: tuple[Any, ...], expected: list[tuple[str, int]]) -> None:
    assert clusters(*routes) == expected
