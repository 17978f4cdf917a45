"""The requests of one tunnel: filters, route, forwarding, answer; each with its line and its numbers."""

from __future__ import annotations

import asyncio
import logging
import time
from email.utils import formatdate
from typing import TYPE_CHECKING

from hbone_py.errors import HboneError
from mesh_py.http.authorizer import Allowed, refusal
from mesh_py.http.errors import AuthorizerDenied, HttpError
from mesh_py.http.filters.base import Ask, Delay, Respond, StreamInfo
from mesh_py.http.forwarding import (
    ClientCert,
    ClientCertRule,
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
from mesh_py.model.address import parse_ip
from mesh_py.proxy.journal import Journal, as_http_error
from mesh_py.telemetry.facts import ConnectionFacts, ServiceFacts
from mesh_py.tracing.trace_context import TRACEPARENT
from waypoint_py.attached import describe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mesh_py.exchange.downstream import Exchange
    from mesh_py.http.authorizer import Decision as AuthorizerDecision
    from mesh_py.http.authorizer import Provider
    from mesh_py.http.filters.base import FilterChain
    from mesh_py.http.messages import HttpRequest
    from mesh_py.http.router import Forward
    from mesh_py.manifests.route_filters import ExternalAuth
    from mesh_py.model.address import IpAddress
    from mesh_py.proxy.clusters import Pick
    from waypoint_py.attached import Target
    from waypoint_py.callers import Caller
    from waypoint_py.forward import Forwarding

log = logging.getLogger("policy")


class HttpProxy:
    """Handles the requests of one tunnel. `first`: the pod that was reached for it already gets the first of them."""

    def __init__(self, forwarding: Forwarding, caller: Caller, target: Target, first: Pick | None = None) -> None:
        self._forwarding, self._caller, self._target = forwarding, caller, target
        self._first = first

    async def handle(self, exchange: Exchange) -> None:
        """One request."""
        context, caller = self._forwarding.context, self._caller
        journal = Journal(context.requests, "waypoint", exchange, caller.client, describe(self._target))
        journal.record.route = "default"
        first, self._first = self._first, None
        journal.join(context.tracer, caller.traceparent)
        try:
            await _Passage(self._forwarding, caller, self._target, exchange, journal, first).run()
        finally:
            journal.record.facts = self._facts(journal)
            journal.close()

    def _facts(self, journal: Journal) -> ConnectionFacts:
        context, record = self._forwarding.context, self._target.meant.record
        reached = None if journal.upstream is None else journal.upstream.workload
        served = reached or self._target.meant.workload
        return ConnectionFacts(
            "waypoint",
            self._caller.party,
            context.parties.of_known(served),
            None if record is None else ServiceFacts.of_service(record.service),
            True,
            self._caller.principal,
        )


class _Passage:
    """One request on its way through."""

    def __init__(
        self,
        forwarding: Forwarding,
        caller: Caller,
        target: Target,
        exchange: Exchange,
        journal: Journal,
        reached: Pick | None,
    ) -> None:
        self._forwarding, self._caller, self._target, self._reached = forwarding, caller, target, reached
        self._exchange, self._journal = exchange, journal
        self._decision: Forward | None = None
        self._chain: FilterChain | None = None
        self._told: list[tuple[str, str]] = []  # what authorizers want the client to be told
        context = forwarding.context
        hops = context.settings.trusted_proxies
        self._info = StreamInfo(
            caller.client[0],
            *target.address,
            time.time,
            context.dice.random,
            identity=caller.identity,
            remote_ip=_remote_ip(exchange.request, caller.client[0], hops) if hops else None,
            service=target.name,
        )

    async def run(self) -> None:
        """To its end, whatever that is."""
        try:
            await self._pass()
        except HboneError as error:
            self._fail(as_http_error(error))
        finally:
            self._note()

    async def _pass(self) -> None:
        request, forwarding = self._exchange.request, self._forwarding
        refuse_connect(request)
        request.path = normalize(request.path, forwarding.context.settings.path_normalization)
        mark_request(request, "")
        if self._caller.traceparent and TRACEPARENT not in request.headers:
            request.headers.set(TRACEPARENT, self._caller.traceparent)
        self._chain = forwarding.chains.of(self._target)
        self._say_who_calls(request)
        if await self._filtered(self._chain):
            return
        decision = forwarding.route(request, self._target)
        if decision is not None:
            self._info.route = self._journal.record.route = decision.rule.name
        if isinstance(decision, RouteAnswer):
            self._answer(decision.response)
            return
        self._decision = decision
        if decision is not None and decision.authorizer is not None and await self._route_asked(decision.authorizer):
            return
        await forwarding.send(self._exchange, self._journal, self._target, decision, self._seen, self._reached)

    def _say_who_calls(self, request: HttpRequest) -> None:
        """Policies judge by the tunnel's proof; what a header says of it would be anybody's word (9.6)."""
        if not self._forwarding.chains.tells_identity:
            forward_client_cert(request, ClientCertRule.SANITIZE, None)
            return
        own = str(self._forwarding.context.workload.identity)
        cert = ClientCert(self._caller.principal, own) if self._caller.identity is not None else None
        forward_client_cert(request, ClientCertRule.SANITIZE_SET, cert)

    async def _filtered(self, chain: FilterChain) -> bool:
        """Whether a filter has answered."""
        position, request = 0, self._exchange.request
        while True:
            step, position = chain.run(request, self._info, position)
            match step:
                case None:
                    return False
                case Delay(seconds):
                    await asyncio.sleep(seconds)
                case Ask(providers):
                    if await self._asked(providers):
                        return True
                case Respond(response, body):
                    self._answer(response, body)
                    return True

    async def _asked(self, providers: Iterable[str]) -> bool:
        """Whether an external authorizer has refused, in its own words. Raises AuthorizerDenied."""
        for name in providers:
            provider, decision = await self._forwarding.authorizers.ask(name, self._exchange.request)
            if self._judged(provider, decision):
                return True
        return False

    async def _route_asked(self, asked: ExternalAuth) -> bool:
        """The same for one that a route names."""
        provider = self._forwarding.provider_of(asked, self._info.route)
        decision = await self._forwarding.authorizers.ask_provider(provider, self._exchange.request)
        return self._judged(provider, decision)

    def _judged(self, provider: Provider, decision: AuthorizerDecision) -> bool:
        if isinstance(decision, Allowed):
            decision.apply(self._exchange.request)
            self._told += decision.response_headers.fields
            return False
        self._info.flags.append(AuthorizerDenied.flag)
        self._info.details = str(refusal(provider, decision)).replace(" ", "_")
        self._answer(decision.response, decision.body)
        return True

    # Answers --------------------------------------------------------------------------------------------------

    def _seen(self, response: HttpResponse) -> None:
        """Upstream's answer, before the client has it."""
        self._journal.answered(response)
        self._finish(response)

    def _finish(self, response: HttpResponse) -> None:
        if self._decision is not None:
            self._decision.finish(self._exchange.request, response)
        for name, value in self._told:
            response.headers.set(name, value)
        if self._chain is not None:
            self._chain.finish(response, self._info)
        mark_response(response, date=formatdate(usegmt=True))

    def _answer(self, response: HttpResponse, body: bytes = b"") -> None:
        """One of our own."""
        self._journal.record.details = "direct_response"
        self._finish(response)
        self._exchange.answer(response.status, body, response.headers)

    def _fail(self, error: HttpError) -> None:
        self._journal.failed(error)
        exchange = self._exchange
        exchange.error = exchange.error or error
        if exchange.is_answered or exchange.is_over:
            exchange.fail(error)
            return
        is_call = is_grpc(exchange.request)
        response = grpc_reply(error.answer, error.text) if is_call else HttpResponse(error.answer)
        try:
            self._finish(response)
        except HttpError as worse:  # a filter that breaks on the way back
            response = HttpResponse(worse.answer)
        self._journal.record.grpc_status = response.headers.get("grpc-status") or ""
        exchange.answer(response.status, "" if is_call else error.text, response.headers)

    def _note(self) -> None:
        """What the filters have said goes into the log's line."""
        record, info = self._journal.record, self._info
        for note in info.notes:
            log.info("%s %s: %s", record.method, record.path, note)
        if info.details:
            record.details = info.details
        told = [flag for flag in record.flags.split(",") if flag != "-"]
        flags = list(dict.fromkeys([*told, *self._journal.outcome.flags, *info.flags]))
        record.flags = ",".join(flags) or "-"


def _remote_ip(request: HttpRequest, peer: IpAddress, hops: int) -> IpAddress:
    """The client's address by proxies that are trusted; what is no address counts as the peer's."""
    try:
        return parse_ip(remote_address(request, peer, hops))
    except ValueError:
        return peer
