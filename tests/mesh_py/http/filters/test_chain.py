"""Chains: order, halts, answers on their way back, and filters that break."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mesh_py.http.errors import AccessDenied
from mesh_py.http.filters.base import CONTINUE, BlindToAnswers, Delay, Respond, Step
from mesh_py.http.filters.chain import FilterChain, FilterFailed
from mesh_py.http.messages import HttpRequest, HttpResponse
from tests.mesh_py.http.filters.streams import stream
from tests.mesh_py.http.routes import request

if TYPE_CHECKING:
    from mesh_py.http.filters.stream_info import StreamInfo


class Scribe:
    """Writes down what it sees, and says what it is told to say."""

    def __init__(self, name: str, log: list[str], step: Step | Exception = CONTINUE) -> None:
        self.name, self.log, self.step = name, log, step

    def on_request(self, request: HttpRequest, info: StreamInfo) -> Step:
        self.log.append(f"{self.name}?")
        if isinstance(self.step, Exception):
            raise self.step
        return self.step

    def on_response(self, response: HttpResponse, info: StreamInfo) -> None:
        self.log.append(f"{self.name}!")
        if response.status == 599:
            raise ValueError("no")


def chain(*steps: Step | Exception) -> tuple[FilterChain, list[str]]:
    log: list[str] = []
    return FilterChain([Scribe(str(number), log, step) for number, step in enumerate(steps)]), log


def test_in_order_and_back() -> None:
    filters, log = chain(CONTINUE, CONTINUE)
    info = stream()
    assert filters.run(request(), info).step is None
    filters.finish(HttpResponse(200), info)
    assert log == ["0?", "1?", "1!", "0!"]


class Blind(BlindToAnswers):
    """Looks at requests alone, and would break over an answer."""

    def on_request(self, request: HttpRequest, info: StreamInfo) -> Step:
        return CONTINUE

    def on_response(self, response: HttpResponse, info: StreamInfo) -> None:
        raise AssertionError("asked")


def test_who_is_blind_to_answers_is_not_asked() -> None:
    log: list[str] = []
    filters, info = FilterChain([Scribe("0", log), Blind(), Scribe("2", log)]), stream()
    assert filters.run(request(), info).step is None
    filters.finish(HttpResponse(200), info)
    assert log == ["0?", "2?", "2!", "0!"]


def test_an_answer_goes_back_past_those_who_saw_the_request() -> None:
    answer = Respond(HttpResponse(418))
    filters, log = chain(CONTINUE, answer, CONTINUE)
    info = stream()
    assert filters.run(request(), info).step is answer
    filters.finish(HttpResponse(418), info)
    assert log == ["0?", "1?", "1!", "0!"]


def test_a_delay_is_carried_out_and_the_chain_goes_on_behind_it() -> None:
    filters, log = chain(CONTINUE, Delay(3), CONTINUE)
    info, asked = stream(), request()
    halt = filters.run(asked, info)
    assert (halt.step, halt.position) == (Delay(3), 2)
    assert filters.run(asked, info, halt.position).step is None
    assert log == ["0?", "1?", "2?"]


def test_a_refusal_is_its_own() -> None:
    filters, log = chain(CONTINUE, AccessDenied("no"), CONTINUE)
    info = stream()
    with pytest.raises(AccessDenied):
        filters.run(request(), info)
    filters.finish(HttpResponse(403), info)
    assert log == ["0?", "1?", "1!", "0!"]


def test_a_filter_that_breaks_lets_nothing_through() -> None:
    filters, _ = chain(KeyError("x"))
    with pytest.raises(FilterFailed, match="Scribe: KeyError") as broken:
        filters.run(request(), stream())
    assert (broken.value.answer, broken.value.text) == (500, "Internal Server Error")


def test_a_filter_that_breaks_on_the_way_back() -> None:
    filters, _ = chain(CONTINUE)
    info = stream()
    filters.run(request(), info)
    with pytest.raises(FilterFailed):
        filters.finish(HttpResponse(599), info)
