"""What a port speaks, by Istio's rules of protocol selection."""

from __future__ import annotations

import pytest

from istiod_py.ambient.protocols import declared
from mesh_py.model.workload import AppProtocol as Speaks


@pytest.mark.parametrize(
    ("port", "name", "word", "expected"),
    [
        (80, "", "", Speaks.UNKNOWN),
        (80, "web", "", Speaks.UNKNOWN),
        (80, "http", "", Speaks.HTTP11),
        (80, "http-web", "", Speaks.HTTP11),
        (80, "HTTP2-web", "", Speaks.HTTP2),
        (80, "grpc", "", Speaks.GRPC),
        (80, "grpc-web", "", Speaks.HTTP11),
        (80, "grpc-web-x", "", Speaks.HTTP11),
        (443, "https", "", Speaks.TLS),
        (443, "tls-x", "", Speaks.TLS),
        (9000, "tcp-x", "", Speaks.TCP),
        (80, "tcp", "http", Speaks.HTTP11),
        (443, "api", "HTTPS", Speaks.TLS),
        (80, "x", "kubernetes.io/h2c", Speaks.HTTP2),
        (80, "http", "example.com/own", Speaks.HTTP11),
        (3306, "", "", Speaks.TCP),
        (3306, "http", "", Speaks.HTTP11),
    ],
)
def test_what_a_port_speaks(port: int, name: str, word: str, expected: Speaks) -> None:
    assert declared(port, name, word) is expected
