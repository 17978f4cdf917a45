"""So many requests in a while."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh_py.http.errors import RateLimited
from mesh_py.http.filters.base import CONTINUE
from mesh_py.http.filters.rate_limit import RateLimit, RateRules, TokenBucket
from mesh_py.http.messages import HttpResponse
from tests.mesh_py.http.filters.streams import stream
from tests.mesh_py.http.routes import request


def taken(bucket: TokenBucket, times: list[float]) -> list[bool]:
    return [bucket.take(now) for now in times]


@pytest.mark.parametrize(
    ("rules", "times", "expected"),
    [
        pytest.param(RateRules(2), [0, 0, 0], [True, True, False], id="a full bucket"),
        pytest.param(RateRules(1), [0, 0.9, 1, 1.5, 2], [True, False, True, False, True], id="whole intervals"),
        pytest.param(
            RateRules(2, 2, 10), [0, 0, 9, 10, 10, 10], [True, True, False, True, True, False], id="more at once"
        ),
        pytest.param(RateRules(1), [0, 100, 100], [True, True, False], id="never more than it holds"),
        pytest.param(RateRules(1), [10, 5, 5.5, 6], [True, False, False, True], id="a clock set back"),
    ],
)
def test_buckets(rules: RateRules, times: list[float], expected: list[bool]) -> None:
    assert taken(TokenBucket(rules, times[0]), times) == expected


@given(
    gaps=st.lists(st.floats(0, 3), max_size=40),
    most=st.integers(1, 5),
    fill=st.integers(1, 3),
    interval=st.floats(0.5, 2),
)
def test_never_more_than_the_rules_say(gaps: list[float], most: int, fill: int, interval: float) -> None:
    now, bucket, passed = 0.0, TokenBucket(RateRules(most, fill, interval), 0.0), 0
    for gap in gaps:
        now += gap
        passed += bucket.take(now)
    assert passed <= most + fill * (int(now / interval) + 1)


def test_over_the_limit_is_429() -> None:
    limit, info = RateLimit(RateRules(1)), stream()
    assert limit.on_request(request(), info) is CONTINUE
    with pytest.raises(RateLimited) as refused:
        limit.on_request(request(), info)
    assert (refused.value.answer, refused.value.flag, refused.value.text) == (429, "RL", "local_rate_limited")
    limit.on_response(HttpResponse(200), info)
