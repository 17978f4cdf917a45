"""Every error has Envoy's status and flag."""

from __future__ import annotations

import pytest

from mesh_py.http import errors
from mesh_py.http.errors import HttpError


@pytest.mark.parametrize(
    ("error", "status", "flag", "text"),
    [
        (errors.BadMessage("x"), 400, "DPE", "Bad Request"),
        (errors.HeadTooLarge("x"), 431, "DPE", "Request Header Fields Too Large"),
        (errors.NoRoute("x"), 404, "NR", ""),
        (errors.InvalidBackend("no backend"), 500, "NC", "no backend"),
        (errors.NoHealthyEndpoint("x"), 503, "UH", "no healthy upstream"),
        (errors.UpstreamFailure("x"), 503, "UF", errors.RESET + "connection failure"),
        (errors.UpstreamReset("x"), 503, "UC", errors.RESET + "connection termination"),
        (errors.UpstreamOverflow("x"), 503, "UO", errors.RESET + "overflow"),
        (errors.UpstreamBadMessage("x"), 502, "UPE", errors.RESET + "protocol error"),
        (errors.UpstreamTimeout("x"), 504, "UT", "upstream request timeout"),
        (errors.AccessDenied("x"), 403, "-", "RBAC: access denied"),
        (errors.RateLimited("x"), 429, "RL", "local_rate_limited"),
        (errors.FaultInjected(418), 418, "FI", "fault filter abort"),
        (errors.DownstreamGone("x"), 0, "DC", "x"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, HttpError) else None,
)
def test_answer(error: HttpError, status: int, flag: str, text: str) -> None:
    assert (error.answer, error.flag, error.text) == (status, flag, text)
