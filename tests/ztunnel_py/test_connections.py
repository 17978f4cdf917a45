"""Connections as a set: counted, found, told of changes, cut."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from hbone_py.errors import ConnectionFailed, ConnectionLost, ConnectTimeout, HboneError, StreamReset
from mesh_py.telemetry.access_log import AccessLog
from mesh_py.telemetry.connection_log import PlainLines
from mesh_py.telemetry.facts import ConnectionFacts
from mesh_py.telemetry.metrics import Metrics
from tests.support.pods import fields_of
from ztunnel_py.connections import Connection, Connections, DrainCut
from ztunnel_py.kind import Kind

if TYPE_CHECKING:
    from ztunnel_py.context import ProxyContext

FACTS = ConnectionFacts("source", None, None)


class Call(Connection):
    """A connection that writes down what it is told."""

    def __init__(self, context: ProxyContext) -> None:
        super().__init__(context, ("10.0.0.1", 1), ("10.0.0.2", 2))
        self.rechecked = 0
        self.fails = False

    def recheck(self) -> None:
        self.rechecked += 1
        if self.fails:
            raise RuntimeError("a bug")

    def cut(self, error: HboneError) -> None:
        self.closed(error)


class Desk:
    """Everything a connection needs of a proxy."""

    def __init__(self) -> None:
        self.now = 100.0
        self.lines: list[str] = []
        self.metrics = Metrics()
        self.connections = Connections()
        self.context = cast(
            "ProxyContext",
            SimpleNamespace(
                reactor=SimpleNamespace(loop=SimpleNamespace(time=lambda: self.now)),
                metrics=self.metrics,
                tracer=None,
                access=AccessLog(self.lines.append, PlainLines(), lambda: 0.0),
                connections=self.connections,
            ),
        )

    def call(self) -> Call:
        call = Call(self.context)
        call.opened(Kind(FACTS, ("10.0.0.3", 3), None))
        return call

    @property
    def logged(self) -> list[dict[str, str]]:
        return [fields_of(line) for line in self.lines]

    @property
    def closed(self) -> dict[str, int]:
        [series] = self.metrics.traffic
        return series.closed


@pytest.fixture
def desk() -> Desk:
    return Desk()


def flow(sent: int, received: int) -> Any:
    return SimpleNamespace(sent=sent, received=received)


def test_it_is_counted_and_logged_once(desk: Desk) -> None:
    call = desk.call()
    call.flow = flow(11, 22)
    desk.now += 1.5
    call.closed(None)
    call.closed(HboneError("again"))
    [line] = desk.logged
    assert (line["bytes_sent"], line["bytes_recv"], line["duration"]) == ("11", "22", "1500ms")
    assert (line["src.addr"], line["dst.addr"]) == ("10.0.0.1:1", "10.0.0.3:3")
    assert desk.closed == {"-": 1}


def test_bytes_are_counted_as_they_flow_and_never_twice(desk: Desk) -> None:
    call = desk.call()
    [series] = desk.metrics.traffic
    for sent, received in ((5, 0), (5, 7), (11, 22)):
        call.flow = flow(sent, received)
        desk.connections.settle()
        assert (series.received_bytes, series.sent_bytes) == (sent, received)
    call.closed(None)
    assert (series.received_bytes, series.sent_bytes) == (11, 22)


@pytest.mark.parametrize(
    ("error", "flows", "flag"),
    [
        pytest.param(StreamReset(8), False, "H2_HANDSHAKE_FAILURE", id="reset before it is open"),
        pytest.param(StreamReset(8), True, "CONNECT", id="reset while it is open"),
        pytest.param(ConnectionLost("gone"), True, "CONNECT", id="lost while it is open"),
        pytest.param(ConnectionFailed("refused"), False, "CONNECT", id="refused"),
        pytest.param(ConnectTimeout("late"), False, "NETWORK_POLICY", id="no answer"),
        pytest.param(DrainCut(), True, "-", id="drained"),
    ],
)
def test_flags(desk: Desk, error: HboneError, flows: bool, flag: str) -> None:
    call = desk.call()
    call.flow = flow(0, 0) if flows else None
    call.closed(error)
    assert desk.closed == {flag: 1}


def test_all_are_told_of_a_change_even_if_one_fails(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    calls = [desk.call() for _ in range(3)]
    calls[1].fails = True
    desk.connections.recheck()
    assert [call.rechecked for call in calls] == [1, 1, 1]
    assert desk.connections.live == {calls[0], calls[2]}
    assert "unexpected error" in caplog.text


def test_the_last_to_leave_is_noticed(desk: Desk) -> None:
    emptied: list[bool] = []
    calls = [desk.call() for _ in range(2)]
    desk.connections.when_empty(lambda: emptied.append(True))
    calls[0].closed(None)
    assert emptied == []
    calls[1].closed(None)
    assert emptied == [True]


def test_nobody_is_there(desk: Desk) -> None:
    emptied: list[bool] = []
    desk.connections.when_empty(lambda: emptied.append(True))
    assert emptied == [True]


def test_what_is_refused_is_logged_and_not_counted(desk: Desk) -> None:
    call = Call(desk.context)
    call.refused(HboneError("no"))
    call.closed(None)
    [line] = desk.logged
    assert (line["level"], line["error"], line["dst.addr"]) == ("warn", "no", "10.0.0.2:2")
    assert list(desk.metrics.traffic) == []
