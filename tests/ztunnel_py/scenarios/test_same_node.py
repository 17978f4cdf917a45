"""HBONE between pods of one node that stays in the process (redirection a.7): policy and identity count alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mesh_py.model.authorization import Action, Match, MatchKind, Policy, Scope, StringMatch
from tests.interop.callers import read_to_end, talk
from tests.support.tcp_apps import echo

if TYPE_CHECKING:
    from tests.support.pods import Pods

INSIDE = {"SAME_NODE_INSIDE": "true"}
SLEEP = (Match(principals=(StringMatch(MatchKind.EXACT, "cluster.local/ns/default/sa/sleep"),)),)


async def test_a_neighbour_is_reached_where_nobody_listens(pods: Pods) -> None:
    """The neighbour's 15008 is nobody's: a connection would be refused."""
    sleep = pods.add("sleep", environment=INSIDE)
    neighbour = pods.add("neighbour", proxied=False, node="sleep")
    async with neighbour.app(echo) as app:
        for word in (b"hello", b"again, on the same connection of ours"):
            async with sleep.call(app.authority) as caller:
                await talk(caller, word)
        assert (await app.connection()).peer[0] == sleep.ip
    lines = [await sleep.its_proxy.line(index) for index in range(4)]
    assert sorted(line["direction"] for line in lines) == ["inbound", "inbound", "outbound", "outbound"]
    for line in lines:
        assert line["src.identity"] == "spiffe://cluster.local/ns/default/sa/sleep"
        assert line["dst.identity"] == "spiffe://cluster.local/ns/default/sa/neighbour"
        assert line["dst.addr"] == f"{neighbour.ip}:15008"


async def test_without_the_setting_it_is_dialled(pods: Pods) -> None:
    sleep = pods.add("sleep")
    neighbour = pods.add("neighbour", proxied=False, node="sleep")
    async with neighbour.app(echo) as app, sleep.call(app.authority) as caller:
        assert await read_to_end(caller) == (b"", "reset")
    assert "refused" in (await sleep.its_proxy.line())["error"]


async def test_policy_judges_all_the_same(pods: Pods) -> None:
    sleep = pods.add("sleep", environment=INSIDE)
    neighbour = pods.add("neighbour", proxied=False, node="sleep")
    pods.tell(Policy("no-sleep", "default", Scope.NAMESPACE, Action.DENY, ((SLEEP,),)))
    async with neighbour.app(echo) as app, sleep.call(app.authority) as caller:
        assert await read_to_end(caller) == (b"", "reset")
    errors = [(await sleep.its_proxy.line(index)).get("error", "") for index in range(2)]
    assert any("401" in error for error in errors)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"node": "other", "proxied": True}, id="another node"),
        pytest.param({"node": "sleep", "proxied": False, "native_tunnel": True}, id="speaks HBONE by itself"),
    ],
)
async def test_others_are_dialled(pods: Pods, fields: dict[str, object]) -> None:
    sleep = pods.add("sleep", environment=INSIDE)
    other = pods.add("other", **fields)  # type: ignore[arg-type]
    async with other.app(echo) as app, sleep.call(app.authority) as caller:
        if other.proxy is None:
            assert await read_to_end(caller) == (b"", "reset")
            assert "refused" in (await sleep.its_proxy.line())["error"]
        else:
            await talk(caller, b"hello")
            assert len(other.its_proxy.plane.inbound.peers) == 1
