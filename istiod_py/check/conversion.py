"""The remarks of the conversion for node proxies, under the linter's codes [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.check import codes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from istiod_py.ambient.notices import Notice
    from istiod_py.check.checked_mesh import CheckedMesh
    from istiod_py.check.codes import Code, Finding

CODE_OF_NOTICE: Mapping[str, Code] = {
    "endpoint-unusable": codes.ENDPOINT,
    "local-conflict": codes.LOCAL_CONFLICT,
    "local-endpoint": codes.LOCAL_CONFLICT,
    "peer-authentication-without-effect": codes.MODE_WITHOUT_EFFECT,
    "policy-allows-less": codes.RULE_LEFT_OUT,
    "policy-denies-more": codes.RULE_WIDENED,
    "policy-not-sent": codes.NOT_SENT,
    "policy-without-effect": codes.RULE_DEAD,
    "service-duplicate": codes.DUPLICATE_HOST,
    "service-visibility": codes.VISIBILITY,
    "waypoint-canary": codes.CANARY,
    "waypoint-denied": codes.WAYPOINT_SHUT,
    "waypoint-traffic": codes.OTHER_TRAFFIC,
    "waypoint-unknown": codes.NO_WAYPOINT,
}
"""What a notice is called here; one that is not named is `CONVERSION`."""


def check(mesh: CheckedMesh) -> Iterator[Finding]:
    """Every notice, once for each place: a Deployment's pods share theirs."""
    seen: set[tuple[object, str]] = set()
    for notice in mesh.mesh.notices:
        if (notice.place, notice.what) not in seen:
            seen.add((notice.place, notice.what))
            yield of_notice(notice)


def of_notice(notice: Notice) -> Finding:
    """One notice as a finding."""
    code = CODE_OF_NOTICE.get(notice.code, codes.CONVERSION)
    return code.at(notice.place, f"{notice.subject}: {notice.what}", notice.advice)
