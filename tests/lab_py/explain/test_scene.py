"""Which hop a request has not reached."""

from __future__ import annotations

import pytest

from lab_py.evidence.checks import Logs, Observed, Part, SeesPackets
from lab_py.explain.scene import broken_hop, without_repeats
from lab_py.hops.base import Hop, judge
from tests.lab_py.explain.scenes import ACK, FLOW, HOPS, SYN, WHOLE, scene, seen


@pytest.mark.parametrize(
    ("observed", "broken"),
    [
        pytest.param(WHOLE, None, id="all of it"),
        pytest.param(Observed(), 0, id="nothing"),
        pytest.param(seen(counters={"node-a": {}}), 0, id="no rule"),
        pytest.param(seen(node_a__istioout=[]), 1, id="no SYN in the tunnel"),
        pytest.param(seen(node_a__istioout=[SYN, ACK]), 1, id="more than the SYN in the tunnel"),
        pytest.param(seen(logs={}), 2, id="ztunnel says nothing"),
        pytest.param(seen(node_a__v_sleep=[SYN], logs={}), 2, id="a SYN that was refused later was there all the same"),
        pytest.param(
            seen(logs={"zt-node-a": [{"message": "connection complete", "error": "refused"}]}),
            2, id="reached, and not as it should be",
        ),
    ],
)  # fmt: skip
def test_the_first_hop_that_is_missed(observed: Observed, broken: int | None) -> None:
    assert broken_hop(scene(observed).found) == broken


def test_a_proxy_that_says_nothing_is_known_by_what_comes_out_of_it() -> None:
    quiet = Hop("2", "through a proxy that writes when it is done", (Logs("waypoint", {"status": "200"}),))
    beyond = Hop("3", "out of it", (SeesPackets("node-a", "istioout", FLOW, Part.ONLY_SYN),))
    for packets, broken in (([], 0), ([SYN, ACK], 1)):
        observed = seen(node_a__istioout=packets)
        assert broken_hop(judge([quiet, beyond], observed)) == broken
    assert broken_hop(judge([beyond, quiet], seen())) == 1, "nothing is behind it"


def test_a_syn_sent_again_is_the_same_request() -> None:
    """Also from another port: a proxy that tries anew. What follows a SYN counts as often as it comes."""
    again = SYN._replace(source=(SYN.source[0], 40001))
    repeated = seen(node_a__istioout=[SYN, SYN, again], counters={"node-a": {"P15": 3}})
    judged = without_repeats(HOPS, repeated)
    assert judged.packets["node-a", "istioout"] == [SYN]
    assert judged.counters == {"node-a": {"P15": 1}}
    assert without_repeats(HOPS, seen(node_a__v_sleep=[SYN, ACK, ACK])).packets["node-a", "v-sleep"] == [SYN, ACK, ACK]


def test_a_rule_that_counts_too_often_by_itself_is_missed() -> None:
    """Everything goes through the tunnel, and no SYN was sent twice."""
    assert broken_hop(scene(seen(counters={"node-a": {"P15": 5}})).found) == 0


def test_where_hops_take_place() -> None:
    assert scene().namespaces(0) == {"node-a"}
    assert scene().namespaces(1) == {"node-a", "zt-node-a"}
