"""The OpenTelemetry collector's own code takes our spans, and has them as we meant them.

COLLECTOR_PEER names the program (tests/peers/README.md); without it this is skipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.real_collector import start_real_collector
from tests.waypoint_py.test_traces import APP, FOUR, TRACE, URL, chain

if TYPE_CHECKING:
    from pathlib import Path

    from tests.waypoint_py.test_traces import Certificates

pytestmark = pytest.mark.interop


async def test_one_trace_from_application_to_application(certificates: Certificates, tmp_path: Path) -> None:
    own = {"traceparent": f"00-{TRACE}-{APP}-01"}
    with start_real_collector(tmp_path) as there:
        async with chain(certificates, there) as (http, at):
            told = (await http.get(f"{URL}/headers?a=b", headers=own)).json()["headers"]["traceparent"]
            await there.received(4)
        spans = await there.received(5)  # the tunnel's own, once it has ended
        assert there.tree() == [f"{FOUR[0]} below {APP}", *FOUR[1:], "        ztunnel server"]
    assert {span.trace for span in spans} == {TRACE}
    by = {f"{span.service} {span.kind}": span for span in spans}
    assert told == f"00-{TRACE}-{by['waypoint.default client'].id}-01"
    assert all(span.seconds >= 0 and not span.failed for span in spans)
    served = by["waypoint.default server"].attributes
    assert (served["url.path"], served["http.response.status_code"]) == ("/headers", 200)
    assert served["istio.source_principal"] == "spiffe://cluster.local/ns/default/sa/sleep"
    assert by["ztunnel server"].attributes["hbone.authority"] == f"{at.v1}:{at.port}"
