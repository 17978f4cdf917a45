"""An inbound connection under policy: let in by it, and ended by it when it changes (hbone-dataplane 3.7, 3.8).

A policy that the workload names and nobody knows is waited for, then it denies (unlike ztunnel, which lets through
what a late DENY would have stopped).
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from hbone_py.aio.tcp import Connecting, SocketAddress, connect_soon, outgoing_socket, reset
from hbone_py.errors import ConnectionFailed, HboneError
from mesh_py.discovery.missing import missing_caller
from mesh_py.model.address import parse_ip
from mesh_py.model.errors import PolicyChanged, PolicyDenied
from mesh_py.policy.explain import explain
from mesh_py.policy.rbac import NO_ALLOW_POLICIES, authorize
from ztunnel_py.connections import Connection
from ztunnel_py.held import Held
from ztunnel_py.on_demand_wait import ask_beside, ask_for, is_asking_needed

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from mesh_py.model.workload import Workload
    from mesh_py.policy.match import ConnectionFacts as PolicyFacts
    from mesh_py.policy.rbac import PolicySet, Verdict
    from ztunnel_py.context import ProxyContext

log = logging.getLogger("inbound")
rbac_log = logging.getLogger("rbac")


class JudgedConnection(Connection):
    """Once `opened`: `judge` it. Subclasses say how it is `let_in`, `turned_away` and `cut`."""

    __slots__ = ("_connecting", "_is_admitted", "_is_waiting", "_local", "_policies", "policy_facts")

    reporter = "destination"

    def __init__(self, context: ProxyContext, src: SocketAddress, local: SocketAddress, src_text: str = "") -> None:
        super().__init__(context, src, local, src_text)
        self.policy_facts: PolicyFacts
        self._local = local
        self._policies: PolicySet | None = None  # those that judged it last
        self._is_admitted = False
        self._is_waiting = False  # for a policy that is named and unknown
        self._connecting: Connecting | None = None

    def when_workload_known(self, go_on: Callable[[], None]) -> None:
        """Go on at once, or when discovery has brought the workload or is not hoped for any more (2.1, 3.2)."""
        context = self.context
        if not context.may_grow or context.destination_workload(self._local) is not None:
            go_on()
            return
        held = Held(context.connections, self.cut)
        context.when(
            lambda: context.destination_workload(self._local) is not None,
            context.settings.state_wait,
            lambda _: held.go_on(lambda: None if self.is_closed else go_on()),
        )

    def when_known(self, missing: Callable[[Workload], Sequence[str]], go_on: Callable[[], None]) -> None:
        """Go on once our workload is known and, on demand, what else its connection needs (hbone-controlplane 2.7)."""
        self.when_workload_known(lambda: self._when_named(missing, go_on))

    def _when_named(self, missing: Callable[[Workload], Sequence[str]], go_on: Callable[[], None]) -> None:
        context, names = self.context, self.context.names
        workload = context.destination_workload(self._local)
        if names is None or workload is None:
            go_on()
            return
        ask_beside(names, partial(missing_caller, context.state, parse_ip(self.src[0])))
        wanted = partial(missing, workload)
        if not is_asking_needed(names, wanted):
            go_on()
            return
        held = Held(context.connections, self.cut)
        ask_for(names, wanted, lambda: held.go_on(lambda: None if self.is_closed else go_on()))

    def judge(self, policies: PolicySet, verdict: Verdict) -> None:
        """Go on as the first verdict says, or wait for what it misses."""
        self._policies = policies
        if verdict.missing:
            self._wait_for_policies()
            return
        if rbac_log.isEnabledFor(self.context.verdict_level):
            self._tell(policies, verdict)
        if verdict.allowed:
            self._is_admitted = True
            self.let_in()
        else:
            self.turned_away(PolicyDenied(verdict.reason))

    def recheck(self) -> None:
        """The mesh has changed: an open connection that policy no longer allows ends (3.8).

        The policies that apply are one object until one of them changes or the workload names others.
        """
        current = self.context.destination_workload(self._local)
        if current is not None:
            self.workload = current
        if not self._is_waiting and self._current_policies() is not self._policies:
            self._judge_again()

    def _judge_again(self) -> None:
        policies, verdict = self._verdict()
        self._policies = policies
        if verdict.missing:
            self._wait_for_policies()
        elif not verdict.allowed:
            log.info("connection %s closed because it's no longer allowed after a policy update", self.src_text)
            self.cut(PolicyChanged())

    def _wait_for_policies(self) -> None:
        context = self.context
        self._is_waiting = True
        context.when(lambda: not self._verdict()[1].missing, context.settings.policy_wait, self._waited)

    def _waited(self, _: bool) -> None:
        self._is_waiting = False
        if self.is_closed:
            return
        policies, verdict = self._verdict()
        if verdict.missing:
            self._policies = policies
            end = self.cut if self._is_admitted else self.turned_away
            end(PolicyDenied(verdict.reason))
        elif self._is_admitted:
            self._judge_again()
        else:
            self.judge(policies, verdict)

    def _current_policies(self) -> PolicySet:
        assert self.workload is not None, "judged after it was found"
        return self.context.state.policies.applicable(self.workload)

    def _verdict(self) -> tuple[PolicySet, Verdict]:
        policies = self._current_policies()
        return policies, authorize(policies, self.policy_facts)

    def _tell(self, policies: PolicySet, verdict: Verdict) -> None:
        """Log what was decided and why (7.6)."""
        level = self.context.verdict_level
        for note in verdict.notes:
            rbac_log.log(level, "%s: %s", note, self.policy_facts)
        why = explain(verdict, policies, self.policy_facts)
        rbac_log.log(level, "%s: %s: %s", _outcome(verdict), self.policy_facts, why)

    # The application ---------------------------------------------------------------

    def let_in(self) -> None:
        """Policy allows it: connect to the application."""
        raise NotImplementedError

    def turned_away(self, error: HboneError) -> None:
        """It ends before it has carried anything."""
        raise NotImplementedError

    def connect_to(self, address: SocketAddress, source: str | None) -> None:
        """Connect to the application, from the address `source` if one is given."""
        context = self.context
        try:
            sock = outgoing_socket(address, context.socket_options, source, near=True, keepalive=False)
        except OSError as error:
            self.turned_away(ConnectionFailed(f"connection failed: {error.strerror}"))
            return
        context.keepalive.watch(sock)
        self._connecting = connect_soon(context.reactor, sock, address, self, context.settings.deadlines.connect)

    def connected(self, sock: socket.socket) -> None:
        """The application answered."""
        self._connecting = None
        if self.is_closed:
            reset(sock)
        else:
            self.carry(sock)

    def carry(self, sock: socket.socket) -> None:
        """Join the two."""
        raise NotImplementedError

    def connect_failed(self, error: HboneError) -> None:
        """The application did not answer."""
        self._connecting = None
        self.turned_away(error)

    def stop_connecting(self) -> None:
        """Whatever the application answers, nobody wants it any more."""
        if self._connecting is not None:
            self._connecting.cancel()
            self._connecting = None

    def flag_of(self, error: HboneError) -> str:
        """Neither a handshake nor a network policy explains what fails behind us (3.2)."""
        return "CONNECT" if error.flag in ("H2_HANDSHAKE_FAILURE", "NETWORK_POLICY") else error.flag


def _outcome(verdict: Verdict) -> str:
    """In ztunnel's words."""
    if verdict.policy is not None:
        return "allow policy match" if verdict.allowed else "deny policy match"
    return NO_ALLOW_POLICIES if verdict.allowed else "no allow policies matched"
