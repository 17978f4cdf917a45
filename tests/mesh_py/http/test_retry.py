"""What is tried again, how often, and after how long."""

from __future__ import annotations

import pytest

from mesh_py.http import errors
from mesh_py.http.errors import HttpError
from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpResponse
from mesh_py.http.retry import DEFAULT_POLICY, NO_RETRIES, RetryPolicy
from mesh_py.manifests.routes import Retry

ASKED = RetryPolicy.of(Retry((500, 503), 3, 0.1))


@pytest.mark.parametrize(
    ("error", "default", "asked"),
    [
        (errors.UpstreamFailure("x"), True, True),
        (errors.UpstreamRefused("x"), True, True),
        (errors.UpstreamReset("x"), False, True),
        (errors.UpstreamRemoteReset("x"), False, True),
        (errors.UpstreamTimeout("x"), False, True),
        (errors.UpstreamBadMessage("x"), False, False),
        (errors.NoHealthyEndpoint("x"), False, False),
        (errors.UpstreamOverflow("x"), False, False),
        (errors.DownstreamGone("x"), False, False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, HttpError) else None,
)
def test_failures(error: HttpError, default: bool, asked: bool) -> None:
    assert (DEFAULT_POLICY.retries_error(error, 1), ASKED.retries_error(error, 1)) == (default, asked)


@pytest.mark.parametrize(
    ("status", "grpc", "default", "asked"),
    [
        (200, None, False, False),
        (503, None, False, True),
        (500, None, False, True),
        (502, None, False, False),
        (200, "14", True, True),
        (200, "1", True, True),
        (200, "0", False, False),
    ],
)
def test_answers(status: int, grpc: str | None, default: bool, asked: bool) -> None:
    response = HttpResponse(status, Headers([("grpc-status", grpc)] if grpc else []))
    assert (DEFAULT_POLICY.retries_response(response, 1), ASKED.retries_response(response, 1)) == (default, asked)


def test_attempts_are_further_tries() -> None:
    failure = errors.UpstreamFailure("x")
    assert [ASKED.retries_error(failure, tries) for tries in range(1, 6)] == [True, True, True, False, False]
    assert not NO_RETRIES.retries_error(failure, 1)
    assert not NO_RETRIES.retries_response(HttpResponse(503), 1)
    assert RetryPolicy.of(Retry((503,))).attempts == DEFAULT_POLICY.attempts


def test_waits_double_up_to_ten_times_the_base() -> None:
    most = [ASKED.delay(tries, lambda: 1.0) for tries in (1, 2, 3, 4, 5, 100)]
    assert most == pytest.approx([0.1, 0.3, 0.7, 1.0, 1.0, 1.0])
    assert ASKED.delay(3, lambda: 0.5) == pytest.approx(0.35)
    assert ASKED.delay(3, lambda: 0.0) == 0
