"""What is written down of a request: its id, what became of it, and whose fault that was."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from hbone_py.errors import ConnectionLost, HboneError, TlsHandshakeError
from mesh_py.http.errors import HttpError, NoHealthyEndpoint, NoRoute, UpstreamFailure, UpstreamTimeout
from mesh_py.http.headers import Headers
from mesh_py.http.messages import HttpRequest, HttpResponse
from mesh_py.model.errors import NoHealthyUpstream
from mesh_py.proxy.journal import Journal, as_http_error

if TYPE_CHECKING:
    from mesh_py.exchange.exchange import Exchange
    from mesh_py.telemetry.requests import RequestRecord

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Scene:
    """A journal, the exchange it follows, and what it told in the end."""

    def __init__(self, *headers: tuple[str, str]) -> None:
        self.told: list[RequestRecord] = []
        self.exchange: Any = SimpleNamespace(
            request=HttpRequest("GET", "/ip", "cart:80", Headers(list(headers))),
            body=SimpleNamespace(size=3),
            status=200,
            sent=7,
            is_answered=True,
            error=None,
            trailers=None,
        )
        telemetry: Any = SimpleNamespace(done=self.told.append)
        self.journal = Journal(telemetry, "source", cast("Exchange", self.exchange), "10.0.0.1:5555", "10.0.0.2:80")

    def close(self) -> RequestRecord:
        self.journal.close()
        [record] = self.told
        return record


@pytest.mark.parametrize(
    ("brought", "is_kept"),
    [("own-id", True), ("x" * 256, True), ("x" * 257, False), ("", False), (None, False)],
    ids=["its own", "a long one", "too long", "empty", "none"],
)
def test_every_request_has_an_id(brought: str | None, is_kept: bool) -> None:
    scene = Scene(*([] if brought is None else [("x-request-id", brought)]))
    found = scene.exchange.request.headers.get("x-request-id")
    assert scene.close().request_id == found
    assert (found == brought) is is_kept
    assert is_kept or UUID.fullmatch(found)


def test_ids_are_told_apart() -> None:
    assert len({Scene().exchange.request.headers.get("x-request-id") for _ in range(500)}) == 500


def test_one_that_went_well() -> None:
    scene = Scene(("user-agent", "curl"), ("x-forwarded-for", "10.9.9.9"))
    response = HttpResponse(200)
    scene.journal.answered(response)
    record = scene.close()
    assert (record.status, record.received, record.sent, record.flags, record.details) == (
        200,
        3,
        7,
        "-",
        "via_upstream",
    )
    assert (record.user_agent, record.forwarded_for) == ("curl", "10.9.9.9")
    assert (record.downstream_remote, record.downstream_local) == ("10.0.0.1:5555", "10.0.0.2:80")
    assert record.upstream_milliseconds is not None
    assert (response.headers.get("x-envoy-upstream-service-time") or "").isdigit()


def test_one_that_failed_says_how_often_and_why() -> None:
    scene = Scene()
    scene.journal.outcome.flags += ["UF", "URX"]
    scene.journal.failed(UpstreamFailure("connection refused"))
    record = scene.close()
    assert (record.flags, record.details) == ("UF,URX", "UpstreamFailure{connection_refused}")


def test_our_end_of_the_connection_it_went_out_on() -> None:
    scene = Scene()
    scene.journal.outcome.connection = cast("Any", SimpleNamespace(local="127.0.0.6:4711"))
    assert scene.close().upstream_local == "127.0.0.6:4711"


@pytest.mark.parametrize(
    ("error", "expected"),
    [(TlsHandshakeError("unknown ca"), "unknown ca"), (ConnectionLost("gone"), "")],
    ids=["TLS", "not TLS"],
)
def test_why_there_was_no_tls(error: HboneError, expected: str) -> None:
    scene = Scene()
    failure = UpstreamFailure(str(error))
    failure.__cause__ = error
    scene.journal.failed(failure)
    assert scene.close().upstream_failure == expected


def test_what_the_exchange_failed_of_counts_where_nobody_said_more() -> None:
    scene = Scene()
    scene.exchange.error = UpstreamTimeout("the route's time is over")
    assert scene.close().flags == UpstreamTimeout.flag
    told = Scene()
    told.journal.failed(NoRoute("no route"))
    told.exchange.error = UpstreamTimeout("later")
    assert told.close().flags == NoRoute.flag


@pytest.mark.parametrize(
    ("head", "trailer", "expected"), [("", "5", "5"), ("7", "5", "7"), ("", "", "")], ids=["behind", "before", "never"]
)
def test_the_status_of_a_call_of_grpc(head: str, trailer: str, expected: str) -> None:
    scene = Scene(("content-type", "application/grpc"))
    scene.journal.answered(HttpResponse(200, Headers([("grpc-status", head)] if head else [])))
    scene.exchange.trailers = Headers([("grpc-status", trailer)] if trailer else [])
    record = scene.close()
    assert (record.is_grpc, record.grpc_status) == (True, expected)


def test_an_answer_to_no_call_of_grpc_has_none() -> None:
    scene = Scene()
    scene.journal.answered(HttpResponse(200, Headers([("grpc-status", "14")])))
    assert scene.journal.record.grpc_status == ""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NoRoute("none"), NoRoute),
        (NoHealthyUpstream("cart"), NoHealthyEndpoint),
        (ConnectionLost("gone"), UpstreamFailure),
    ],
    ids=["HTTP's own", "routing", "below HTTP"],
)
def test_a_failure_as_the_client_learns_it(error: HboneError, kind: type[HttpError]) -> None:
    assert type(as_http_error(error)) is kind
