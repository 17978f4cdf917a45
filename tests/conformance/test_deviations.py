"""Each case of `deviations`: what the engine does, and that plain h2 still does otherwise."""

from __future__ import annotations

import pytest

from hbone_py.config import Http2Config
from hbone_py.connection import HboneConnection
from tests.conformance.deviations import KINDER, OTHER_CODE, STRICTER, Deviation, of_exception
from tests.support.frames import PREFACE, connect, pairs, settings, wire
from tests.support.plain_h2 import PlainH2
from tests.support.playbook import tell

CONFIG = Http2Config(
    stream_window=65_535,
    connection_window=262_140,
    max_frame_size=16_384,
    max_concurrent_streams=3,
    max_header_list_server=2000,
    max_header_list_client=2000,
)


def hear(engine: HboneConnection | PlainH2, case: Deviation) -> list[object]:
    """What the engine reports of a case."""
    if case.role == "client":
        engine.receive_data(wire(settings()))
        for _ in range(2):
            if isinstance(engine, PlainH2):
                engine.open_tunnel(pairs(":method CONNECT", ":authority 10.1.0.2:8080"))
            else:
                engine.open_tunnel(connect(0).payload)
    else:
        engine.receive_data(wire(PREFACE, *([settings()] if case.role == "server" else [])))
    engine.events()
    engine.receive_data(wire(*case.heard))
    return [tell(event) for event in engine.events()]


@pytest.mark.parametrize("case", [*KINDER, *OTHER_CODE, *STRICTER], ids=lambda case: f"{case.name} ({case.why})")
def test_the_engine_does_otherwise(case: Deviation) -> None:
    engine = HboneConnection(client=case.role == "client", config=CONFIG)
    assert hear(engine, case) == list(case.ours)


@pytest.mark.parametrize("case", [*KINDER, *OTHER_CODE], ids=lambda case: case.name)
def test_plain_h2_ends_the_connection(case: Deviation) -> None:
    """If a newer h2 mends one of these, its row may go."""
    plain = PlainH2(client=case.role == "client", config=CONFIG)
    hear(plain, case)
    assert plain.death is not None
    assert case in of_exception(plain.death)


@pytest.mark.parametrize("case", STRICTER, ids=lambda case: case.name)
def test_plain_h2_finds_no_fault(case: Deviation) -> None:
    plain = PlainH2(client=case.role == "client", config=CONFIG)
    assert hear(plain, case) == list(case.h2_reports)
    assert plain.death is None
