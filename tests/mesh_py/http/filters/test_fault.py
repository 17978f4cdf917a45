"""Faults for a share of the requests."""

from __future__ import annotations

import pytest

from mesh_py.http.errors import FaultInjected
from mesh_py.http.filters.base import CONTINUE, Delay, Step
from mesh_py.http.filters.fault import AbortFault, DelayFault, FaultRules
from mesh_py.http.messages import HttpResponse
from tests.mesh_py.http.filters.streams import stream
from tests.mesh_py.http.routes import request


@pytest.mark.parametrize(
    ("percent", "chance", "expected"),
    [(100, 0.999, Delay(2)), (50, 0.49, Delay(2)), (50, 0.5, CONTINUE), (0, 0.0, CONTINUE), (0.1, 0.0005, Delay(2))],
)
def test_delays(percent: float, chance: float, expected: Step) -> None:
    info = stream(chance)
    assert DelayFault(FaultRules(delay=2, delay_percent=percent)).on_request(request(), info) == expected
    assert info.flags == (["DI"] if isinstance(expected, Delay) else [])


@pytest.mark.parametrize(("percent", "chance", "aborted"), [(100, 0.9, True), (10, 0.05, True), (10, 0.5, False)])
def test_aborts(percent: float, chance: float, aborted: bool) -> None:
    fault = AbortFault(FaultRules(abort_status=418, abort_percent=percent))
    info = stream(chance)
    if not aborted:
        assert fault.on_request(request(), info) is CONTINUE
        return
    with pytest.raises(FaultInjected) as refused:
        fault.on_request(request(), info)
    assert (refused.value.answer, refused.value.flag, refused.value.text) == (418, "FI", "fault filter abort")
    assert info.details == "fault_filter_abort"


def test_answers_pass() -> None:
    response = HttpResponse(200)
    for fault in (DelayFault(FaultRules()), AbortFault(FaultRules())):
        fault.on_response(response, stream())
    assert response == HttpResponse(200)
