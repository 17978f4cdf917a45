"""Which calls are gRPC's, and what they are told in place of an HTTP status."""

from __future__ import annotations

import pytest

from mesh_py.http.grpc_reply import grpc_reply, is_grpc
from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpRequest


@pytest.mark.parametrize(
    ("kind", "is_so"),
    [
        ("application/grpc", True),
        ("application/grpc+proto", True),
        ("Application/gRPC; a=b", True),
        ("application/grpc-web", False),
        ("application/json", False),
        ("", False),
    ],
)
def test_what_is_grpc(kind: str, is_so: bool) -> None:
    headers = Headers([("content-type", kind)] if kind else [])
    assert is_grpc(HttpRequest("POST", "/", "a", headers)) is is_so


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "13"), (401, "16"), (403, "7"), (404, "12"), (429, "14"), (503, "14"), (504, "14"), (500, "2")],
)
def test_the_status_is_in_the_headers(status: int, code: str) -> None:
    answer = grpc_reply(status, "100% näh\n")
    assert (answer.status, answer.headers.get("grpc-status")) == (200, code)
    assert answer.headers.get("grpc-message") == "100%25 n%C3%A4h%0A"
    assert "grpc-message" not in grpc_reply(status, "").headers
