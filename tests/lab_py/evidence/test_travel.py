"""In what a request came, told by what was on the wire."""

from __future__ import annotations

import pytest

from lab_py.builtin import COEXISTENCE, load
from lab_py.evidence.checks import Observed
from lab_py.evidence.packets import HTTP, ISTIO_TLS, Packet
from lab_py.evidence.travel import Carriage, Refused, Travelled

TOPOLOGY = load(COEXISTENCE)
SOURCE, DESTINATION = TOPOLOGY.pod("ambient-a"), TOPOLOGY.pod("ambient-b")
TUNNEL = Packet((SOURCE.ip, 40000), (DESTINATION.ip, 15008), "S", 60)
PLAIN = Packet((SOURCE.ip, 40000), (DESTINATION.ip, 8000), "P.", 200, carries=HTTP)
HELLO = PLAIN._replace(carries=ISTIO_TLS)
OTHERS = PLAIN._replace(destination=("10.96.0.80", 8000))
KNOWN = {"zt-node-b": [{"direction": "inbound", "dst.hbone_addr": "10.244.2.80:8000"}]}


def seen(*packets: Packet, logs: dict[str, list[dict[str, str]]] | None = None) -> Observed:
    return Observed(packets={("zt-node-b", "eth0"): packets}, logs=logs or {})


@pytest.mark.parametrize(
    ("observed", "carriage"),
    [
        pytest.param(seen(), Carriage.NOTHING, id="nothing"),
        pytest.param(seen(OTHERS), Carriage.NOTHING, id="to a virtual address: not yet underway"),
        pytest.param(seen(PLAIN), Carriage.PLAIN, id="in the clear"),
        pytest.param(seen(PLAIN._replace(carries="")), Carriage.NOTHING, id="bytes that nobody can read"),
        pytest.param(seen(HELLO), Carriage.MTLS, id="a ClientHello with Istio's names"),
        pytest.param(seen(TUNNEL, PLAIN), Carriage.HBONE, id="a tunnel, and what its end makes of it"),
        pytest.param(seen(PLAIN, logs=KNOWN), Carriage.INSIDE, id="a tunnel without a packet"),
        pytest.param(seen(TUNNEL, logs=KNOWN), Carriage.HBONE, id="a tunnel that ztunnel tells of too"),
    ],
)
def test_how_it_travelled(observed: Observed, carriage: Carriage) -> None:
    finding = Travelled(SOURCE, DESTINATION, carriage).judge(observed)
    assert finding.is_so
    assert finding.observed.partition(":")[0] == carriage.value
    others = [one for one in Carriage if one is not carriage]
    assert not any(Travelled(SOURCE, DESTINATION, other).judge(observed).is_so for other in others)
    assert Travelled(SOURCE, DESTINATION, None).judge(observed).is_so


@pytest.mark.parametrize(
    ("status", "calls", "is_so"), [(0, (), True), (403, (), True), (200, (), False), (0, ({"peer": "x"},), False)]
)
def test_who_is_refused_is_not_heard_of(status: int, calls: tuple[dict[str, str], ...], is_so: bool) -> None:
    assert Refused("app").judge(Observed(status=status, calls=calls)).is_so is is_so
