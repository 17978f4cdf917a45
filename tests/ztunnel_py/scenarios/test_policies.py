"""Policy on 15008 and 15006: who is let in, who is cut when it changes, what is said of it (hbone-dataplane 3.7)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from mesh_py.model.authorization import Action, Match, MatchKind, Policy, Scope, StringMatch
from tests.interop.callers import read_to_end, talk
from tests.support.pods import unanswering
from tests.support.processes import eventually, loopback_address
from tests.support.raw_peer import Code, Kind, client_tls, connect_request, raw_client
from tests.support.tcp_apps import echo, reset_after

if TYPE_CHECKING:
    from tests.support.pods import Pods

SLEEP = Match(principals=(StringMatch(MatchKind.EXACT, "cluster.local/ns/default/sa/sleep"),))
NOBODY_KNOWN = Match(not_principals=(StringMatch(MatchKind.PRESENCE),))
FAILED = "istio_tcp_connections_failed_total"


def policy(name: str, action: Action, *matches: Match, scope: Scope = Scope.WORKLOAD_SELECTOR) -> Policy:
    """A policy of one rule: any of the matches."""
    return Policy(name, "default", scope, action, ((matches,),))


def deny_sleep(scope: Scope = Scope.NAMESPACE) -> Policy:
    return policy("no-sleep", Action.DENY, SLEEP, scope=scope)


def rejection(policy_name: str = "default/no-sleep") -> str:
    return f"connection closed due to policy rejection: explicitly denied by: {policy_name}"


CHANGED = "connection closed due to policy change"


async def test_a_denied_tunnel_is_answered_401(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    pods.tell(deny_sleep())
    async with server.app(echo) as app:
        async with sleep.call(app.authority) as caller:
            assert await read_to_end(caller) == (b"", "reset")
        source, destination = await sleep.its_proxy.line(), await server.its_proxy.line()
        assert app.connections == []
    assert source["error"] == "http status: 401 Unauthorized"
    assert (destination["level"], destination["error"]) == ("error", rejection())
    assert server.its_proxy.total(FAILED, response_flags="DENY") == 1
    assert sleep.its_proxy.total(FAILED, response_flags="CONNECT") == 1


async def test_the_raw_answer_is_a_bare_401(pods: Pods) -> None:
    """No header, no body; a client that could still talk hears NO_ERROR, and the connection goes on."""
    server = pods.add("server")
    pods.tell(deny_sleep())
    async with server.app(echo) as app, raw_client(server.ip, 15008, client_tls(pods.authority.of("sleep"))) as peer:
        stream = await peer.request(connect_request(app.authority))
        answer = await peer.expect(Kind.HEADERS, stream=stream)
        assert (answer.headers, answer.is_last) == (((":status", "401"),), True)
        assert (await peer.expect(Kind.RST_STREAM, stream=stream)).code == Code.NO_ERROR
        await peer.round_trip()


async def test_denied_plaintext_is_closed_without_a_byte(pods: Pods) -> None:
    stranger, server = loopback_address(), pods.add("server")
    pods.tell(policy("strict", Action.DENY, NOBODY_KNOWN, scope=Scope.NAMESPACE))
    async with server.app(echo) as app:
        async with server.call_plain(stranger, app.authority) as caller:
            assert (await read_to_end(caller)).data == b""
        line = await server.its_proxy.line()
        assert app.connections == []
    assert (line["level"], line["error"]) == ("error", rejection("default/strict"))
    assert server.its_proxy.total(FAILED, response_flags="DENY") == 1


async def test_strict_lets_tunnels_through(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    pods.tell(policy("strict", Action.DENY, NOBODY_KNOWN, scope=Scope.NAMESPACE))
    async with server.app(echo) as app, sleep.call(app.authority) as caller:
        await talk(caller, b"hello")


async def test_nobody_is_allowed_where_somebody_else_is(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    other = Match(principals=(StringMatch(MatchKind.EXACT, "cluster.local/ns/default/sa/other"),))
    pods.tell(policy("only-other", Action.ALLOW, other, scope=Scope.NAMESPACE))
    async with server.app(echo) as app, sleep.call(app.authority) as caller:
        await read_to_end(caller)
    error = (await server.its_proxy.line())["error"]
    assert error == "connection closed due to policy rejection: allow policies exist, but none allowed"


async def test_the_port_policy_sees_is_the_applications(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    async with server.app(echo) as denied, server.app(echo) as allowed:
        pods.tell(policy("port", Action.DENY, Match(destination_ports=(denied.port,)), scope=Scope.NAMESPACE))
        async with sleep.call(allowed.authority) as caller:
            await talk(caller, b"hello")
        async with sleep.call(denied.authority) as caller:
            await read_to_end(caller)
        assert denied.connections == []


@pytest.mark.parametrize("how", ["policy", "selector", "named before"])
async def test_a_change_cuts_whom_it_no_longer_allows_and_no_others(pods: Pods, how: str) -> None:
    """By a new policy of the namespace, and by a workload that comes to name one (which ztunnel misses)."""
    names = ("default/no-sleep",) if how == "named before" else ()
    sleep, awake = pods.add("sleep"), pods.add("awake")
    server = pods.add("server", authorization_policies=names)
    if how != "policy":
        pods.tell(policy("no-sleep", Action.DENY, Match(destination_ports=(1,))))
    async with (
        server.app(echo) as app,
        sleep.call(app.authority) as hit,
        awake.call(app.authority) as spared,
        server.call_plain(loopback_address(), app.authority) as plain,
    ):
        callers = (hit, spared, plain)
        for caller in callers:
            await talk(caller, b"hello")
        if how == "policy":
            pods.tell(deny_sleep())
        elif how == "selector":
            pods.tell(deny_sleep(Scope.WORKLOAD_SELECTOR))
            assert len(app.connections) == 3
            pods.change("server", authorization_policies=("default/no-sleep",))
        else:
            pods.tell(deny_sleep(Scope.WORKLOAD_SELECTOR))
        assert await read_to_end(hit) == (b"", "reset")
        assert await app.ended(0) == "reset"
        for caller in (spared, plain):
            await talk(caller, b"still here")
        line = await server.its_proxy.line()
        assert (line["error"], line["src.workload"]) == (CHANGED, "sleep")
        assert server.its_proxy.total(FAILED, response_flags="DENY") == 1


async def test_a_change_cuts_plaintext_too(pods: Pods) -> None:
    stranger, server = loopback_address(), pods.add("server")
    async with server.app(echo) as app, server.call_plain(stranger, app.authority) as caller:
        await talk(caller, b"hello")
        pods.tell(policy("strict", Action.DENY, NOBODY_KNOWN, scope=Scope.NAMESPACE))
        assert await read_to_end(caller) == (b"", "reset")
        assert (await server.its_proxy.line())["error"] == CHANGED


async def test_the_client_whose_tunnel_is_cut_hears_cancel(pods: Pods) -> None:
    server = pods.add("server")
    async with server.app(echo) as app, raw_client(server.ip, 15008, client_tls(pods.authority.of("sleep"))) as peer:
        stream = await peer.open_tunnel(app.authority)
        await app.connection()
        pods.tell(deny_sleep())
        assert (await peer.expect(Kind.RST_STREAM, stream=stream)).code == Code.CANCEL


async def test_a_change_that_comes_while_the_application_is_called(pods: Pods) -> None:
    """The verdict was given, the 200 was not."""
    server = pods.add("server")
    async with unanswering(server.ip) as authority:
        async with raw_client(server.ip, 15008, client_tls(pods.authority.of("sleep"))) as peer:
            stream = await peer.request(connect_request(authority))
            await eventually(lambda: server.its_proxy.open_connections == 1, "under way")
            pods.tell(deny_sleep())
            assert (await peer.expect(Kind.HEADERS, stream=stream)).status == "401"
        assert (await server.its_proxy.line())["error"] == CHANGED


async def test_a_change_that_allows_changes_nothing(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server")
    async with server.app(echo) as app, sleep.call(app.authority) as caller:
        await talk(caller, b"hello")
        pods.tell(policy("sleep", Action.ALLOW, SLEEP, scope=Scope.NAMESPACE))
        pods.change("server", canonical_name="another")
        await talk(caller, b"still here")


# Policies that are named and unknown ------------------------------------------------------------------------------


async def test_an_unknown_policy_is_waited_for(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server", authorization_policies=("default/late",))
    async with server.app(echo) as app, sleep.call(app.authority) as caller:
        await caller.send(b"hello")
        await eventually(lambda: server.its_proxy.open_connections == 1, "waiting")
        assert app.connections == []
        pods.tell(policy("late", Action.ALLOW, SLEEP))
        assert await caller.receive() == b"hello"


async def test_an_unknown_policy_that_never_comes_denies_by_name(pods: Pods) -> None:
    clock = pods.stop_the_clock()
    sleep, server = pods.add("sleep"), pods.add("server", authorization_policies=("default/late",))
    async with server.app(echo) as app, sleep.call(app.authority) as caller:
        await eventually(lambda: server.its_proxy.open_connections == 1, "waiting")
        clock.advance(server.its_proxy.plane.context.settings.policy_wait + 1)
        assert await read_to_end(caller) == (b"", "reset")
        assert app.connections == []
    error = (await server.its_proxy.line())["error"]
    assert error == "connection closed due to policy rejection: policy not known: default/late"
    assert server.its_proxy.total(FAILED, response_flags="DENY") == 1


async def test_a_late_denial_is_kept_to(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server", authorization_policies=("default/late",))
    async with server.app(echo) as app, sleep.call(app.authority) as caller:
        await eventually(lambda: server.its_proxy.open_connections == 1, "waiting")
        pods.tell(policy("late", Action.DENY, SLEEP))
        assert await read_to_end(caller) == (b"", "reset")
        assert app.connections == []
    assert (await server.its_proxy.line())["error"] == rejection("default/late")


async def test_a_known_denial_waits_for_nobody(pods: Pods) -> None:
    sleep, server = pods.add("sleep"), pods.add("server", authorization_policies=("default/late",))
    pods.tell(deny_sleep())
    async with server.app(echo) as app, sleep.call(app.authority) as caller:
        await read_to_end(caller)
    assert (await server.its_proxy.line())["error"] == rejection()


async def test_plaintext_waits_too(pods: Pods) -> None:
    clock, server = pods.stop_the_clock(), pods.add("server", authorization_policies=("default/late",))
    async with server.app(echo) as app, server.call_plain(loopback_address(), app.authority) as caller:
        await eventually(lambda: server.its_proxy.open_connections == 1, "waiting")
        clock.advance(server.its_proxy.plane.context.settings.policy_wait + 1)
        assert (await read_to_end(caller)).data == b""
    assert "policy not known: default/late" in (await server.its_proxy.line())["error"]


@pytest.mark.parametrize("arrives", ["allowing", "denying", "never"])
async def test_an_open_connection_whose_workload_names_an_unknown_policy(pods: Pods, arrives: str) -> None:
    """Workloads and policies come apart: the connection stays until it is known what to do, or the wait is over."""
    clock, sleep, server = pods.stop_the_clock(), pods.add("sleep"), pods.add("server")
    wait = server.its_proxy.plane.context.settings.policy_wait + 1
    async with server.app(echo) as app, sleep.call(app.authority) as caller:
        await talk(caller, b"hello")
        pods.change("server", authorization_policies=("default/late",))
        await talk(caller, b"still here")
        if arrives == "allowing":
            pods.tell(policy("late", Action.ALLOW, SLEEP))
            await talk(caller, b"and here")
            clock.advance(wait)
            await talk(caller, b"and now")
            return
        if arrives == "denying":
            pods.tell(policy("late", Action.DENY, SLEEP))
        else:
            clock.advance(wait)
        assert await read_to_end(caller) == (b"", "reset")
        expected = CHANGED if arrives == "denying" else "policy not known: default/late"
        assert expected in (await server.its_proxy.line())["error"]


async def test_whoever_leaves_while_it_waits_is_forgotten(pods: Pods) -> None:
    clock, server = pods.stop_the_clock(), pods.add("server", authorization_policies=("default/late",))
    async with server.app(reset_after(0)) as app:
        async with raw_client(server.ip, 15008, client_tls(pods.authority.of("sleep"))) as peer:
            await peer.request(connect_request(app.authority))
            await eventually(lambda: server.its_proxy.open_connections == 1, "waiting")
        await server.its_proxy.line()
        clock.advance(60)
        assert app.connections == []


# What is said ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        pytest.param([], "no allow policies, allow: ", id="no policies"),
        pytest.param([deny_sleep()], "deny policy match: ", id="denied"),
        pytest.param([policy("yes", Action.ALLOW, SLEEP, scope=Scope.NAMESPACE)], "allow policy match: ", id="allowed"),
        pytest.param(
            [policy("yes", Action.ALLOW, NOBODY_KNOWN, scope=Scope.NAMESPACE)],
            "no allow policies matched: ",
            id="none allows",
        ),
    ],
)
async def test_verdicts_are_logged_where_that_is_asked_for(
    pods: Pods, caplog: pytest.LogCaptureFixture, policies: list[Policy], expected: str
) -> None:
    caplog.set_level(logging.INFO, "rbac")
    sleep, server = pods.add("sleep"), pods.add("server", environment={"AUTHZ_POLICY_INFO_LOGGING": "true"})
    pods.tell(*policies)
    async with server.app(reset_after(0)) as app, sleep.call(app.authority) as caller:
        await read_to_end(caller)
    assert [record.getMessage()[: len(expected)] for record in caplog.records] == [expected]


async def test_verdicts_are_silent_otherwise(pods: Pods, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "rbac")
    sleep, server = pods.add("sleep"), pods.add("server")
    async with server.app(reset_after(0)) as app, sleep.call(app.authority) as caller:
        await read_to_end(caller)
    assert caplog.records == []
