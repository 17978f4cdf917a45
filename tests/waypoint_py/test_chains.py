"""The filters of a destination: which, in which order, and for how long."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from mesh_py.http.errors import AccessDenied
from tests.waypoint_py.manifests import manifests, methods, policy
from tests.waypoint_py.waypoints import PORT, V2_HOST, Addresses, waypoint
from waypoint_py.attached import find_target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from mesh_py.http.filters.base import HttpFilter
    from tests.support.certificates import CertificateFiles
    from tests.waypoint_py.waypoints import WaypointUnderTest
    from waypoint_py.attached import Target

    Certificates = Mapping[str, CertificateFiles]


class Scene:
    """A waypoint that nobody calls."""

    def __init__(self, one: WaypointUnderTest, at: Addresses) -> None:
        self.one, self.at = one, at

    def take(self, further: str) -> None:
        self.one.take(self.at.mesh(further=further))

    def filters(self, authority: str = "") -> list[HttpFilter]:
        """What a request to httpbin passes, or to another."""
        return list(self.one.plane.chains.of(self.target(authority)).filters)

    def target(self, authority: str = "") -> Target:
        context = self.one.plane.context
        return find_target(context.state, context.workload, authority or f"{self.at.vip}:{PORT}")


@contextlib.asynccontextmanager
async def scene(certificates: Certificates, further: str = "") -> AsyncIterator[Scene]:
    at = Addresses()
    async with waypoint(at.mesh(further=further), at.waypoint, certificates["waypoint"]) as one:
        yield Scene(one, at)


def kinds(filters: list[HttpFilter]) -> list[str]:
    return [type(one).__name__ for one in filters]


LIMIT = {"service": "default/httpbin", "maxTokens": 10, "tokensPerFill": 1, "fillInterval": "1s"}
FAULT = {"service": "default/httpbin", "delay": {"fixedDelay": "10ms"}, "abort": {"httpStatus": 418}}


async def test_the_order_is_tokens_policies_limits_faults(certificates: Certificates) -> None:
    async with scene(certificates, manifests(faults=[FAULT], rateLimits=[LIMIT])) as one:
        assert kinds(one.filters()) == ["Tokens", "Rbac", "RateLimit", "DelayFault", "AbortFault"]
        assert kinds(one.filters(f"{V2_HOST}:{PORT}")) == ["Tokens", "Rbac"], "another service has none of that"


async def test_a_chain_is_made_once_for_each_version_of_the_mesh(certificates: Certificates) -> None:
    async with scene(certificates) as one:
        first = one.one.plane.chains.of(one.target())
        assert one.one.plane.chains.of(one.target()) is first
        one.take(manifests(policy(methods("GET"))))
        assert one.one.plane.chains.of(one.target()) is not first


async def test_a_bucket_that_stays_is_as_full_as_it_was(certificates: Certificates) -> None:
    async with scene(certificates, manifests(rateLimits=[LIMIT])) as one:
        [*_, bucket] = one.filters()
        one.take(manifests(policy(methods("GET")), rateLimits=[LIMIT]))
        assert one.filters()[-1] is bucket
        one.take(manifests(rateLimits=[LIMIT | {"maxTokens": 11}]))
        assert one.filters()[-1] is not bucket


@pytest.mark.parametrize(
    ("further", "expected"),
    [
        ("", False),
        (manifests(policy(methods("GET"))), True),
        (manifests(rateLimits=[LIMIT]), True),
        (manifests(faults=[FAULT]), True),
        (manifests(policy(methods("GET"), target="Service/v2")), False),
    ],
    ids=["nothing", "a policy", "a limit", "a fault", "a policy of another's"],
)
async def test_what_only_requests_can_be_asked(certificates: Certificates, further: str, expected: bool) -> None:
    async with scene(certificates, further) as one:
        assert one.one.plane.chains.has_rules_for_requests(one.target()) is expected


async def test_before_policies_are_told_nobody_passes(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scene(certificates) as one:
        monkeypatch.setattr(type(one.one.plane.context.directory), "is_complete", False)
        with pytest.raises(AccessDenied, match="has not told any policies yet"):
            one.filters()
