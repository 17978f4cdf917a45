"""Access log lines as golden text (hbone-dataplane 7.1, 7.3)."""

from __future__ import annotations

import json
import re

import pytest

from mesh_py.telemetry import connection_log
from mesh_py.telemetry.connection_log import ConnectionLines, Ended, JsonLines, PlainLines
from mesh_py.telemetry.facts import ConnectionFacts, Party, ServiceFacts
from mesh_py.telemetry.log_lines import connection_fields

TIME = "2026-08-11T00:00:00.000001Z"
SLEEP_ID = "spiffe://cluster.local/ns/default/sa/sleep"
WEB_ID = "spiffe://cluster.local/ns/shop/sa/web"
SLEEP = Party(name="sleep-1", workload="sleep", namespace="default", cluster="Kubernetes", identity=SLEEP_ID)
WEB = Party(name="web-7", workload="web", namespace="shop", cluster="Kubernetes", identity=WEB_ID)
SERVICE = ServiceFacts("web.shop.svc.cluster.local", "shop", "web")

OUTBOUND = ConnectionFacts("source", SLEEP, WEB, SERVICE, mutual_tls=True, source_principal=SLEEP_ID)
INBOUND = ConnectionFacts("destination", SLEEP, WEB, SERVICE, mutual_tls=True, source_principal=SLEEP_ID)
REQUEST_11_RESPONSE_22 = Ended(received_bytes=11, sent_bytes=22, milliseconds=5)

COMPLETE = [
    pytest.param(
        OUTBOUND,
        ("127.0.1.1:40000", "127.0.2.1:15008", "127.0.2.1:8080"),
        REQUEST_11_RESPONSE_22,
        f"{TIME}\tinfo\taccess\tconnection complete\t"
        'src.addr=127.0.1.1:40000 src.workload="sleep-1" src.namespace="default" '
        f'src.identity="{SLEEP_ID}" src.cluster="Kubernetes" dst.addr=127.0.2.1:15008 '
        'dst.hbone_addr=127.0.2.1:8080 dst.service="web.shop.svc.cluster.local" dst.workload="web-7" '
        f'dst.namespace="shop" dst.identity="{WEB_ID}" dst.cluster="Kubernetes" direction="outbound" '
        'bytes_sent=11 bytes_recv=22 duration="5ms"\n',
        id="outbound over HBONE: sent is what the application sent",
    ),
    pytest.param(
        INBOUND,
        ("127.0.1.1:41000", "127.0.2.1:15008", "127.0.2.1:8080"),
        REQUEST_11_RESPONSE_22,
        f"{TIME}\tinfo\taccess\tconnection complete\t"
        'src.addr=127.0.1.1:41000 src.workload="sleep-1" src.namespace="default" '
        f'src.identity="{SLEEP_ID}" src.cluster="Kubernetes" dst.addr=127.0.2.1:15008 '
        'dst.hbone_addr=127.0.2.1:8080 dst.service="web.shop.svc.cluster.local" dst.workload="web-7" '
        f'dst.namespace="shop" dst.identity="{WEB_ID}" dst.cluster="Kubernetes" direction="inbound" '
        'bytes_sent=22 bytes_recv=11 duration="5ms"\n',
        id="inbound over HBONE: sent is what the application sent, here the response",
    ),
    pytest.param(
        ConnectionFacts("source", SLEEP, WEB),
        ("127.0.1.1:40000", "127.0.2.1:80", None),
        Ended(0, 0, 0, "io error: connection refused"),
        f"{TIME}\terror\taccess\tconnection complete\t"
        'src.addr=127.0.1.1:40000 src.workload="sleep-1" src.namespace="default" src.cluster="Kubernetes" '
        'dst.addr=127.0.2.1:80 dst.workload="web-7" dst.namespace="shop" dst.cluster="Kubernetes" '
        'direction="outbound" bytes_sent=0 bytes_recv=0 duration="0ms" '
        'error="io error: connection refused"\n',
        id="plain TCP names no identity, a failure names its error",
    ),
    pytest.param(
        ConnectionFacts("source", SLEEP, None),
        ("[fd00::1]:40000", "[fd00::2]:80", None),
        Ended(1, 2, 3),
        f"{TIME}\tinfo\taccess\tconnection complete\t"
        'src.addr=[fd00::1]:40000 src.workload="sleep-1" src.namespace="default" src.cluster="Kubernetes" '
        'dst.addr=[fd00::2]:80 direction="outbound" bytes_sent=1 bytes_recv=2 duration="3ms"\n',
        id="passthrough: the destination is an address and no more",
    ),
    pytest.param(
        ConnectionFacts("destination", None, WEB, mutual_tls=True, source_principal=SLEEP_ID),
        ("127.0.1.1:1", "127.0.2.1:15008", "web.shop:80"),
        Ended(1, 2, 3),
        f"{TIME}\tinfo\taccess\tconnection complete\t"
        f'src.addr=127.0.1.1:1 src.identity="{SLEEP_ID}" dst.addr=127.0.2.1:15008 dst.hbone_addr=web.shop:80 '
        f'dst.workload="web-7" dst.namespace="shop" dst.identity="{WEB_ID}" dst.cluster="Kubernetes" '
        'direction="inbound" bytes_sent=2 bytes_recv=1 duration="3ms"\n',
        id="of the source only its proved identity is known",
    ),
]


def opened(lines: ConnectionLines) -> str:
    return lines.opened(TIME, "127.0.1.1:1", lines.ends(OUTBOUND, "127.0.2.1:15008", "127.0.2.1:80"))


def complete(
    lines: ConnectionLines, facts: ConnectionFacts, src: str, dst: str, hbone_addr: str | None, ended: Ended
) -> str:
    return lines.complete(TIME, src, lines.ends(facts, dst, hbone_addr), ended)


@pytest.mark.parametrize(("facts", "addresses", "ended", "line"), COMPLETE)
def test_connection_complete(facts: ConnectionFacts, addresses: tuple[str, str, str | None], ended: Ended, line: str):
    lines = PlainLines()
    assert complete(lines, facts, *addresses, ended) == line
    assert complete(lines, facts, *addresses, ended) == line  # the same from what is kept


@pytest.mark.parametrize(("facts", "addresses", "ended", "line"), COMPLETE)
def test_json_tells_the_same_in_the_same_order(
    facts: ConnectionFacts, addresses: tuple[str, str, str | None], ended: Ended, line: str
):
    pairs = json.loads(complete(JsonLines(), facts, *addresses, ended), object_pairs_hook=list)
    time, level, scope, message, fields = line.rstrip("\n").split("\t")
    assert pairs[:4] == [("level", level), ("time", time), ("scope", scope), ("message", message)]
    assert pairs[4:] == [(key, _plain_value(value)) for key, value in _split(fields)]


def test_a_json_line_letter_by_letter():
    facts = ConnectionFacts("source", Party(name="sleep-1"), None, mutual_tls=True, source_principal=SLEEP_ID)
    assert complete(JsonLines(), facts, "1.1.1.1:1", "2.2.2.2:2", "3.3.3.3:3", Ended(1, 2, 3, 'a "b"\n')) == (
        f'{{"level":"error","time":"{TIME}","scope":"access","message":"connection complete",'
        f'"src.addr":"1.1.1.1:1","src.workload":"sleep-1","src.identity":"{SLEEP_ID}","dst.addr":"2.2.2.2:2",'
        '"dst.hbone_addr":"3.3.3.3:3","direction":"outbound","bytes_sent":1,"bytes_recv":2,"duration":"3ms",'
        '"error":"a \\"b\\"\\n"}\n'
    )


def test_connection_opened_stops_at_the_direction():
    plain = opened(PlainLines())
    head, fields = plain.rsplit("\t", 1)
    assert head == f"{TIME}\tdebug\taccess\tconnection opened"
    assert fields.startswith("src.addr=127.0.1.1:1 src.workload=")
    assert fields.endswith('dst.cluster="Kubernetes" direction="outbound"\n')
    read = json.loads(opened(JsonLines()))
    assert (read["level"], read["message"], list(read)[-1]) == ("debug", "connection opened", "direction")


def test_connection_failed_has_four_fields():
    plain = PlainLines().failed(TIME, "source", "127.0.1.1:1", "127.0.2.1:80", "unknown source")
    assert plain == (
        f"{TIME}\twarn\taccess\tconnection failed\tsrc.addr=127.0.1.1:1 dst.addr=127.0.2.1:80 "
        'direction="outbound" error="unknown source"\n'
    )
    assert JsonLines().failed(TIME, "destination", "127.0.1.1:1", "127.0.2.1:80", "no") == (
        f'{{"level":"warn","time":"{TIME}","scope":"access","message":"connection failed",'
        '"src.addr":"127.0.1.1:1","dst.addr":"127.0.2.1:80","direction":"inbound","error":"no"}\n'
    )


@pytest.mark.parametrize("name", ["a b", "a\nwarn\taccess", 'a" error="none'], ids=["blank", "line end", "quote"])
def test_a_name_that_was_asked_for_stays_one_field_of_one_line(name: str):
    plain = PlainLines().failed(TIME, "source", "127.0.1.1:1", f"{name}:80", "no")
    assert plain.count("\n") == 1
    assert list(connection_fields(plain)) == ["message", "src.addr", "dst.addr", "direction", "error"]
    assert json.loads(JsonLines().failed(TIME, "source", "127.0.1.1:1", f"{name}:80", "no"))["dst.addr"] == f"{name}:80"


def test_what_is_not_known_is_left_out():
    plain = PlainLines().failed(TIME, "source", "127.0.1.1:1", "", "no")
    assert list(connection_fields(plain)) == ["message", "src.addr", "direction", "error"]
    assert "dst.addr" not in json.loads(JsonLines().failed(TIME, "source", "127.0.1.1:1", "", "no"))


@pytest.mark.parametrize("lines", [PlainLines(), JsonLines()], ids=["plain", "json"])
def test_what_a_peer_says_makes_no_second_line(lines: ConnectionLines):
    facts = ConnectionFacts("destination", Party(name='x"\n2026 info'), WEB)
    line = complete(lines, facts, "1.1.1.1:1", "2.2.2.2:2", 'a b\n"', Ended(1, 2, 3, "e\nf\x1b"))
    assert line.count("\n") == 1
    assert line.endswith("\n")
    assert line[:-1].replace("\t", "").isprintable()


@pytest.mark.parametrize("lines", [PlainLines(), JsonLines()], ids=["plain", "json"])
def test_shared_text_is_bounded(lines, monkeypatch):
    monkeypatch.setattr(connection_log, "_PAIRS_KEPT", 10)
    for number in range(100):
        facts = ConnectionFacts("source", Party(name=str(number)), None)
        assert str(number) in complete(lines, facts, "1.1.1.1:1", "2.2.2.2:2", None, Ended(1, 2, 3))
    assert len(lines._shared._texts) <= 10


def _split(fields: str) -> list[tuple[str, str]]:
    return re.findall(r'(\S+?)=("(?:[^"\\]|\\.)*"|\S+)', fields)


def _plain_value(text: str) -> str | int:
    if text.isdigit():
        return int(text)
    return text.strip('"')
