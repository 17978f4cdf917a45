"""Which surroundings a contestant gets."""

import pytest

from benchmarks.arenas import congestion_for
from benchmarks.plan import Contestant


@pytest.mark.parametrize(
    ("peer", "chosen", "found"),
    [
        pytest.param("ours", "", "", id="proxies live as the machine is set up"),
        pytest.param("direct", "", "reno", id="the machine's limit is not paced"),
        pytest.param("direct", "cubic", "cubic", id="a choice holds for all"),
    ],
)
def test_the_machine_s_limit_is_measured_without_pacing(peer: str, chosen: str, found: str) -> None:
    assert congestion_for(Contestant(peer), chosen) == found
