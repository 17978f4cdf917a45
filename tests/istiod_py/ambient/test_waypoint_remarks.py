"""What authors are told about the waypoints they ask for."""

from __future__ import annotations

import pytest

from istiod_py.ambient import waypoint_remarks as remarks
from istiod_py.ambient.notices import Notice
from istiod_py.ambient.waypoints import Waypoint
from mesh_py.model.address import GatewayAddress, NamespacedHostname
from tests.istiod_py.ambient.folder import meta

WEB = remarks.Subject("Service", meta("web"))
WP = Waypoint("infra", "wp", GatewayAddress(NamespacedHostname("infra", "wp.infra"), 15008), "workload")


@pytest.mark.parametrize(
    ("remark", "text"),
    [
        (remarks.unknown(WEB, "infra/wp"), "waypoint infra/wp is not there"),
        (remarks.denied(WEB, "infra/wp", "shop"), "waypoint infra/wp does not take traffic of namespace shop"),
        (remarks.other_traffic(WEB, WP, "service"), "waypoint infra/wp is for workload, not for service traffic"),
        (remarks.useless_canary(WEB, "infra/wp"), "canary waypoint infra/wp is passed over"),
    ],
    ids=lambda value: value.code if isinstance(value, Notice) else "",
)
def test_a_remark_names_the_object_the_waypoint_and_what_to_do(remark: Notice, text: str) -> None:
    assert remark.subject == "Service shop/web"
    assert text in remark.what
    assert remark.advice
