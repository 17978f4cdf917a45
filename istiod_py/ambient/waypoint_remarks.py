"""What is wrong with the waypoint that an object, or its namespace, asks for [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from istiod_py.ambient.notices import Notice, notice
from istiod_py.ambient.vocabulary import CANARY_WEIGHT

if TYPE_CHECKING:
    from istiod_py.ambient.waypoints import Waypoint
    from mesh_py.manifests.metadata import Metadata

OTHER_TRAFFIC = "waypoint-traffic"


class Subject(NamedTuple):
    """Whom a remark is about."""

    kind: str
    metadata: Metadata


def unknown(who: Subject, key: str) -> Notice:
    """Its Gateway is not written."""
    what = f"waypoint {key} is not there, so traffic does not go through it"
    return notice(*who, "waypoint-unknown", what, "write a Gateway of that name, or mend the label")


def denied(who: Subject, key: str, namespace: str) -> Notice:
    """It does not admit the namespace."""
    what = f"waypoint {key} does not take traffic of namespace {namespace}"
    return notice(*who, "waypoint-denied", what, "allow the namespace in allowedRoutes of its HBONE listener")


def other_traffic(who: Subject, waypoint: Waypoint, traffic: str) -> Notice:
    """It is for traffic of another kind."""
    what = f"waypoint {waypoint.key} is for {waypoint.takes}, not for {traffic} traffic"
    return notice(*who, OTHER_TRAFFIC, what, "change its label istio.io/waypoint-for")


def useless_canary(who: Subject, key: str) -> Notice:
    """It cannot take a share."""
    what = f"canary waypoint {key} is passed over: it is the waypoint itself, or its weight is no percentage"
    return notice(*who, "waypoint-canary", what, f"name another waypoint, and write {CANARY_WEIGHT} from 0 to 100")
