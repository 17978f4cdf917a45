"""The requests of one tunnel: filters, route, forwarding, answer; each with its line and its numbers."""

from __future__ import annotations

import asyncio
import logging
import time
from email.utils import formatdate
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from hbone_py.aio.tcp import show
from mesh_py.exchange.passage import Plan
from mesh_py.http.authorizer import Allowed, as_answer, refusal
from mesh_py.http.client_cert import ClientCert
from mesh_py.http.errors import AuthorizerDenied, HttpError
from mesh_py.http.filters.base import Ask, Delay, Respond
from mesh_py.http.filters.stream_info import StreamInfo
from mesh_py.http.forwarding import (
    ClientCertRule,
    count_attempts,
    forward_client_cert,
    mark_request,
    mark_response,
    refuse_connect,
    remote_address,
)
from mesh_py.http.grpc_reply import grpc_reply, is_grpc
from mesh_py.http.messages import HttpResponse
from mesh_py.http.paths import normalize
from mesh_py.http.router import Respond as RouteAnswer
from mesh_py.http.session import remember_endpoint
from mesh_py.model.address import parse_ip
from mesh_py.proxy.journal import Journal, as_http_error
from mesh_py.proxy.mesh_cache import MeshCache
from mesh_py.telemetry.facts import ConnectionFacts, ServiceFacts
from mesh_py.tracing.trace_context import TRACEPARENT
from waypoint_py.attached import describe
from waypoint_py.forward import session_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hbone_py.errors import HboneError
    from mesh_py.exchange.exchange import Exchange
    from mesh_py.exchange.passage import Later
    from mesh_py.http.authorizer import Decision as AuthorizerDecision
    from mesh_py.http.authorizer import Provider
    from mesh_py.http.messages import HttpRequest
    from mesh_py.http.router import Forward
    from mesh_py.manifests.route_filters import ExternalAuth
    from mesh_py.model.address import IpAddress
    from mesh_py.proxy.cluster import Pick
    from waypoint_py.attached import Target
    from waypoint_py.callers import Caller
    from waypoint_py.forward import Forwarding, Rules

log = logging.getLogger("policy")

_PICKS_KEPT = 64


class HttpProxy:
    """Handles the requests of one tunnel. `first`: the pod that was reached for it already gets the first of them."""

    def __init__(self, forwarding: Forwarding, caller: Caller, target: Target, first: Pick | None = None) -> None:
        self._forwarding, self._caller, self._target = forwarding, caller, target
        self._first = first
        self.client, self.address = show(caller.client), describe(target)
        """Who calls, and what it asks for, for the log."""
        self._facts: MeshCache[Pick, ConnectionFacts] = MeshCache(forwarding.context, _PICKS_KEPT)
        self._rules: MeshCache[None, Rules] = MeshCache(forwarding.context, 1)

    def passage(self, exchange: Exchange) -> _Passage:
        """One request."""
        first, self._first = self._first, None
        return _Passage(self, self._forwarding, self._caller, self._target, exchange, first)

    def rules(self) -> Rules:
        """What every request passes. Raises AccessDenied while nothing is known yet."""
        return self._rules.get(None) or self._rules.keep(None, self._forwarding.rules(self._target))

    def facts(self, pick: Pick | None) -> ConnectionFacts:
        """Who talks to whom, where a request went to an endpoint, or to none."""
        if pick is None or pick.host is None:
            return self._facts_of(pick)
        return self._facts.get(pick) or self._facts.keep(pick, self._facts_of(pick))

    def _facts_of(self, pick: Pick | None) -> ConnectionFacts:
        parties, meant = self._forwarding.context.parties, self._target.meant
        served = None if pick is None else pick.endpoint.workload
        return ConnectionFacts(
            "waypoint",
            self._caller.party,
            parties.of_known(served or meant.workload),
            None if meant.record is None else ServiceFacts.of_service(meant.record.service),
            True,
            self._caller.principal,
        )


class _Passage:
    """One request on its way through."""

    def __init__(
        self,
        handler: HttpProxy,
        forwarding: Forwarding,
        caller: Caller,
        target: Target,
        exchange: Exchange,
        reached: Pick | None,
    ) -> None:
        self._handler = handler
        self._forwarding, self._caller, self._target, self._reached = forwarding, caller, target, reached
        self._exchange = exchange
        context = forwarding.context
        self._journal = Journal(context.requests, "waypoint", exchange, handler.client, handler.address)
        self._journal.record.route = "default"
        if context.tracer is not None:
            self._journal.join(context.tracer, caller.traceparent)
        self._decision: Forward | None = None
        self._wanted: str | None = None
        self._rules: Rules | None = None
        self._told: list[tuple[str, str]] = []  # headers for the client, beside the answer's own
        hops = context.settings.trusted_proxies
        self._info = StreamInfo(
            caller.client[0],
            *target.meant.address,
            time.time,
            context.dice.random,
            identity=caller.identity,
            remote_ip=_remote_ip(exchange.request, caller.client[0], hops) if hops else None,
            service=target.name,
        )

    def decide(self) -> Plan[Pick] | Later | None:
        """See `Passage`."""
        request, forwarding = self._exchange.request, self._forwarding
        refuse_connect(request)
        request.path = normalize(request.path, forwarding.context.settings.path_normalization)
        mark_request(request)
        count_attempts(request)
        if self._caller.traceparent and TRACEPARENT not in request.headers:
            request.headers.set(TRACEPARENT, self._caller.traceparent)
        rules = self._rules = self._handler.rules()
        self._say_who_calls(request)
        return self._filter(rules, 0)

    def _filter(self, rules: Rules, position: int) -> Plan[Pick] | Later | None:
        """The filters from `position` on, and what is behind them; or what one of them wants waited for."""
        step, position = rules.chain.run(self._exchange.request, self._info, position)
        if step is None:
            return self._route(rules)
        if isinstance(step, Respond):
            self._answer(step.response, step.body)
            return None
        return partial(self._wait, step, rules, position)

    async def _wait(self, step: Delay | Ask, rules: Rules, position: int) -> Plan[Pick] | None:
        if isinstance(step, Delay):
            await asyncio.sleep(step.seconds)
        elif await self._asked(step.providers):
            return None
        found = self._filter(rules, position)
        return found if found is None or isinstance(found, Plan) else await found()

    def _route(self, rules: Rules) -> Plan[Pick] | Later | None:
        decision = self._forwarding.route(self._exchange.request, self._target, rules)
        if decision is not None:
            self._info.route = self._journal.record.route = decision.rule.name
        if isinstance(decision, RouteAnswer):
            self._answer(decision.response)
            return None
        self._decision = decision
        if decision is not None and decision.filters and decision.authorizer is not None:
            return partial(self._route_asked, decision.authorizer)
        return self._plan()

    def _plan(self) -> Plan[Pick]:
        wanted = self._wanted = session_endpoint(self._exchange.request, self._decision)
        if not wanted and self._reached is not None:
            wanted = self._reached.name
        return self._forwarding.plan(
            self._exchange, self._journal, self._target, self._decision, self._caller.client[0], wanted, self._told
        )

    def close(self) -> None:
        """See `Passage`."""
        self._note()
        self._journal.record.facts = self._handler.facts(self._journal.outcome.target)
        self._journal.close()

    def _say_who_calls(self, request: HttpRequest) -> None:
        """Policies judge by the tunnel's proof; what a header says of it would be anybody's word (9.6)."""
        if not self._forwarding.chains.tells_identity:
            forward_client_cert(request, ClientCertRule.SANITIZE, "")
            return
        own = str(self._forwarding.context.workload.identity)
        element = "" if self._caller.identity is None else ClientCert(self._caller.principal, own).element()
        forward_client_cert(request, ClientCertRule.SANITIZE_SET, element)

    async def _asked(self, providers: Iterable[str]) -> bool:
        """Whether an external authorizer has refused, in its own words. Raises AuthorizerDenied."""
        for name in providers:
            provider, decision = await self._forwarding.authorizers.ask(name, self._exchange.request)
            if self._judged(provider, decision):
                return True
        return False

    async def _route_asked(self, asked: ExternalAuth) -> Plan[Pick] | None:
        """The plan, once the authorizer that a route names agrees."""
        provider = self._forwarding.provider_of(asked, self._info.route)
        decision = await self._forwarding.authorizers.ask_provider(provider, self._exchange.request)
        return None if self._judged(provider, decision) else self._plan()

    def _judged(self, provider: Provider, decision: AuthorizerDecision) -> bool:
        if isinstance(decision, Allowed):
            decision.apply(self._exchange.request)
            self._told += decision.response_headers.fields
            return False
        self._info.flags.append(AuthorizerDenied.flag)
        self._info.details = str(refusal(provider, decision)).replace(" ", "_")
        response, body = as_answer(decision, self._exchange.request)
        self._journal.record.grpc_status = response.headers.get("grpc-status") or ""
        self._answer(response, body)
        return True

    # Answers --------------------------------------------------------------------------------------------------

    def seen(self, response: HttpResponse, target: Pick) -> None:
        """See `Passage`."""
        decision = self._decision
        session = None if decision is None else decision.rule.session
        if session is not None and self._wanted != target.name:
            remember_endpoint(response, session, target.name)
        self._journal.answered(response)
        self._finish(response)

    def _finish(self, response: HttpResponse) -> None:
        if self._decision is not None and self._decision.filters:
            self._decision.finish(self._exchange.request, response)
        for name, value in self._told:
            if name == "set-cookie":  # beside the application's own
                response.headers.add(name, value)
            else:
                response.headers.set(name, value)
        if self._rules is not None:
            self._rules.chain.finish(response, self._info)
        mark_response(response, date=_date(int(time.time())))

    def _answer(self, response: HttpResponse, body: bytes = b"") -> None:
        """One of our own."""
        self._journal.record.details = "direct_response"
        self._finish(response)
        self._exchange.answer(response.status, body, response.headers)

    def failed(self, error: HboneError) -> None:
        """See `Passage`."""
        self._fail(as_http_error(error))

    def _fail(self, error: HttpError) -> None:
        self._journal.failed(error)
        exchange = self._exchange
        exchange.error = exchange.error or error
        if exchange.is_answered or exchange.is_over:
            exchange.fail(error)
            return
        is_call = is_grpc(exchange.request)
        response = grpc_reply(error.grpc_answer, error.text) if is_call else HttpResponse(error.answer)
        try:
            self._finish(response)
        except HttpError as worse:  # a filter that breaks on the way back
            response = HttpResponse(worse.answer)
        self._journal.record.grpc_status = response.headers.get("grpc-status") or ""
        exchange.answer(response.status, "" if is_call else error.text, response.headers)

    def _note(self) -> None:
        """What the filters have said goes into the log's line."""
        record, info, outcome = self._journal.record, self._info, self._journal.outcome
        if not (info.notes or info.details or info.flags or outcome.flags):
            return
        for note in info.notes:
            log.info("%s %s: %s", record.method, record.path, note)
        if info.details:
            record.details = info.details
        told = [flag for flag in record.flags.split(",") if flag != "-"]
        flags = list(dict.fromkeys([*told, *outcome.flags, *info.flags]))
        record.flags = ",".join(flags) or "-"


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    """RFC 9110 5.6.7."""
    return formatdate(second, usegmt=True)


def _remote_ip(request: HttpRequest, peer: IpAddress, hops: int) -> IpAddress:
    """The client's address by proxies that are trusted; what is no address counts as the peer's."""
    try:
        return parse_ip(remote_address(request, peer, hops))
    except ValueError:
        return peer
