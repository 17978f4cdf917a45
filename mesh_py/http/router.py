"""Where a request goes: HTTPRoutes and GRPCRoutes compiled once, asked for every request [pure].

`RouteTable` holds the routes of one parent: a port of a Service, a listener of a Gateway. `route` answers `Forward`,
which says where and how, or `Respond`, which is an answer of the route's own; no match raises NoRoute, a backend that
is none InvalidBackend. Chance comes in as an argument.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from mesh_py.http.cors import mark_response, preflight
from mesh_py.http.errors import InvalidBackend, NoRoute
from mesh_py.http.regex_syntax import UnsupportedRegex
from mesh_py.http.retry import RetryPolicy
from mesh_py.http.route_changes import change_headers, redirect, rewrite
from mesh_py.http.route_index import PathIndex, host_rank, is_of_host
from mesh_py.http.route_match import compile_match
from mesh_py.manifests.route_filters import (
    Cors,
    ExtensionFilter,
    ExternalAuth,
    RequestHeaderModifier,
    RequestMirror,
    RequestRedirect,
    ResponseHeaderModifier,
    RouteFilter,
    UrlRewrite,
    is_subset,
)
from mesh_py.manifests.routes import NO_TIMEOUTS, GRPCRoute, HTTPRoute, HTTPRouteRule, TCPRoute, Timeouts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mesh_py.http.messages import HttpRequest, HttpResponse
    from mesh_py.manifests.references import BackendReference
    from mesh_py.manifests.routes import GRPCRouteRule, PathMatch, SessionPersistence, WeightedBackend
    from mesh_py.model.route import Random

AnyRoute = HTTPRoute | GRPCRoute
MayRefer = Callable[[AnyRoute, "BackendReference"], bool]
"""Whether a route may name a backend (ReferenceGrant)."""


@dataclass(frozen=True, slots=True)
class Forward:
    """Send the request to a backend. Call `prepare` once, before the first try; `finish` on the response."""

    rule: RouteRule
    match: PathMatch
    backend: BackendReference
    filters: tuple[RouteFilter, ...]
    """The rule's, then the backend's."""
    mirrors: tuple[BackendReference, ...]

    @property
    def timeouts(self) -> Timeouts:
        """Limits in seconds; zero and None: none."""
        return self.rule.timeouts

    @property
    def retry(self) -> RetryPolicy:
        """What is tried again."""
        return self.rule.retry

    @property
    def session(self) -> SessionPersistence | None:
        """How clients are kept with an endpoint."""
        return self.rule.session

    @property
    def subset(self) -> str:
        """Of the backend's endpoints; empty: all of them. The backend's own filter is asked before the rule's."""
        return next((one.name for one in reversed(self.filters) if isinstance(one, ExtensionFilter)), "")

    @property
    def authorizer(self) -> ExternalAuth | None:
        """Whom to ask first."""
        return next((one for one in self.filters if isinstance(one, ExternalAuth)), None)

    def prepare(self, request: HttpRequest) -> None:
        """Change the request as the filters say."""
        for one in self.filters:
            if isinstance(one, RequestHeaderModifier):
                change_headers(request.headers, one.changes)
            elif isinstance(one, UrlRewrite):
                rewrite(request, one, self.match)

    def finish(self, request: HttpRequest, response: HttpResponse) -> None:
        """Change the response as the filters say."""
        for one in self.filters:
            if isinstance(one, ResponseHeaderModifier):
                change_headers(response.headers, one.changes)
            elif isinstance(one, Cors):
                mark_response(request, response, one)


class Respond(NamedTuple):
    """Answer without asking anybody."""

    response: HttpResponse
    rule: RouteRule


Decision = Forward | Respond


@dataclass(frozen=True, slots=True)
class RouteRule:
    """One rule of a route, ready for use."""

    name: str
    """`namespace/route` and the rule's name or number: for logs."""
    filters: tuple[RouteFilter, ...]
    backends: tuple[WeightedBackend, ...]
    sums: tuple[int, ...]
    timeouts: Timeouts
    retry: RetryPolicy
    session: SessionPersistence | None
    refused: frozenset[BackendReference] = frozenset()
    """Backends that it may not name, for want of a ReferenceGrant."""
    answers: bool = field(init=False)
    """Whether some filter may answer by itself."""

    def __post_init__(self) -> None:
        kinds = (RequestRedirect, Cors, ExtensionFilter)
        object.__setattr__(self, "answers", any(isinstance(one, kinds) for one in self.filters))

    def choose(self, random: Random) -> WeightedBackend:
        """A backend in proportion to weight.

        Raises:
            InvalidBackend: there is none, or none with any weight.
        """
        sums = self.sums
        if not sums or not sums[-1]:
            raise InvalidBackend(f"route {self.name} has no backend")
        if len(sums) == 1:
            return self.backends[0]
        return self.backends[bisect_right(sums, int(random() * sums[-1]))]


class RouteTable:
    """The routes of one parent. `problems` says which matches cannot be used and never match."""

    def __init__(
        self, routes: Iterable[AnyRoute], *, by_hostname: bool = False, may_refer: MayRefer | None = None
    ) -> None:
        """Compile `routes`; `by_hostname` for a Gateway's, whose hostnames count (a Service's are ignored).

        `may_refer`: for a Gateway's, which need grants to lead into other namespaces. None: all may.
        """
        self.problems: list[str] = []
        self._may_refer = may_refer
        self.is_empty = True
        """Whether no route is attached: then requests are forwarded plainly."""
        self._plain: dict[tuple[int, int], Forward] = {}
        """Decisions without filters, which are the same each time."""
        by_host: dict[str, PathIndex[RouteRule]] = {}
        for route in sorted(routes, key=_age):
            self.is_empty = False
            for host in (route.hostnames if by_hostname else ()) or ("",):
                self._add(route, by_host.setdefault(host.lower(), PathIndex()))
        self._by_host = sorted(by_host.items(), key=lambda pair: host_rank(pair[0]))
        for _, index in self._by_host:
            index.close()

    def _add(self, route: AnyRoute, index: PathIndex[RouteRule]) -> None:
        rules: Sequence[HTTPRouteRule | GRPCRouteRule] = route.rules
        for number, rule in enumerate(rules):
            compiled = _compile_rule(route, number, rule, self._may_refer)
            for match in rule.matches:
                try:
                    index.add(compile_match(match), compiled)
                except UnsupportedRegex as error:
                    self.problems.append(f"{compiled.name}: {error}")

    def __bool__(self) -> bool:
        return not self.is_empty

    def claims(self, request: HttpRequest) -> bool:
        """Whether any route is for the request's host, whatever else it asks for."""
        return any(not host or is_of_host(request.authority, host) for host, _ in self._by_host)

    def find(self, request: HttpRequest) -> tuple[RouteRule, PathMatch] | None:
        """The rule for a request, and how it matched the path. The more specific hostname is asked first."""
        for host, index in self._by_host:
            if not host or is_of_host(request.authority, host):
                found = index.find(request)
                if found is not None:
                    return found
        return None

    def route(self, request: HttpRequest, random: Random, port: int = 80) -> Decision:
        """What to do with a request that came in at `port`.

        Raises:
            NoRoute: nothing matches.
            InvalidBackend: the rule has no backend, or a filter that nobody knows.
        """
        found = self.find(request)
        if found is None:
            raise NoRoute(f"no route matches {request.method} {request.authority}{request.path}")
        rule, match = found
        if rule.answers:
            response = _own_answer(rule, request, match, port)
            if response is not None:
                return Respond(response, rule)
        chosen = rule.choose(random)
        filters = rule.filters
        if chosen.filters:
            _refuse_unknown(rule, chosen.filters)
            filters += chosen.filters
        if rule.refused:
            asked = [one.backend_ref for one in filters if isinstance(one, ExternalAuth)]
            _refuse_ungranted(rule, [chosen.backend_ref, *asked])
        if filters:
            return Forward(rule, match, chosen.backend_ref, filters, _mirrors(rule, filters, random))
        key = (id(match), id(chosen))  # both are ours, and live as long as we do
        plain = self._plain.get(key)
        if plain is None or plain.rule is not rule:
            plain = self._plain[key] = Forward(rule, match, chosen.backend_ref, (), ())
        return plain


def _age(route: AnyRoute | TCPRoute) -> tuple[object, ...]:
    """The oldest first, then by name (Gateway API)."""
    metadata = route.metadata
    return (not metadata.creation_timestamp, metadata.creation_timestamp, metadata.key)


def _compile_rule(
    route: AnyRoute, number: int, rule: HTTPRouteRule | GRPCRouteRule, may_refer: MayRefer | None
) -> RouteRule:
    timeouts, retry = (rule.timeouts, rule.retry) if isinstance(rule, HTTPRouteRule) else (NO_TIMEOUTS, None)
    return RouteRule(
        f"{route.metadata.key}/{rule.name or number}",
        rule.filters,
        rule.backend_refs,
        tuple(accumulate(backend.weight for backend in rule.backend_refs)),
        timeouts,
        RetryPolicy.of(retry),
        rule.session_persistence,
        _refused(route, rule, may_refer) if may_refer is not None else frozenset(),
    )


def _refused(route: AnyRoute, rule: HTTPRouteRule | GRPCRouteRule, may_refer: MayRefer) -> frozenset[BackendReference]:
    filters = [*rule.filters, *(one for backend in rule.backend_refs for one in backend.filters)]
    named = [backend.backend_ref for backend in rule.backend_refs]
    named += [one.backend_ref for one in filters if isinstance(one, RequestMirror | ExternalAuth)]
    return frozenset(one for one in named if not may_refer(route, one))


def _own_answer(rule: RouteRule, request: HttpRequest, match: PathMatch, port: int) -> HttpResponse | None:
    _refuse_unknown(rule, rule.filters)
    for one in rule.filters:
        if isinstance(one, Cors) and (answer := preflight(request, one)) is not None:
            return answer
        if isinstance(one, RequestRedirect):
            return redirect(request, one, match, port)
    return None


def _refuse_unknown(rule: RouteRule, filters: Iterable[RouteFilter]) -> None:
    for one in filters:
        if isinstance(one, ExtensionFilter) and not is_subset(one):
            raise InvalidBackend(f"route {rule.name} has a filter of the unknown kind {one.group}/{one.kind}")


def _refuse_ungranted(rule: RouteRule, named: Iterable[BackendReference]) -> None:
    for one in named:
        if one in rule.refused:
            raise InvalidBackend(f"route {rule.name}: no ReferenceGrant lets it name {one.namespace}/{one.name}")


def _mirrors(rule: RouteRule, filters: Sequence[RouteFilter], random: Random) -> tuple[BackendReference, ...]:
    mirrors = [one for one in filters if isinstance(one, RequestMirror) and one.backend_ref not in rule.refused]
    return tuple(one.backend_ref for one in mirrors if one.fraction >= 1 or random() < one.fraction)


def tcp_backend(routes: Iterable[TCPRoute], random: Random) -> tuple[TCPRoute, BackendReference]:
    """Where a connection goes, and by whose word: a backend of the oldest route's first rule, in proportion to weight.

    Raises:
        InvalidBackend: there is none, or none with any weight.
    """
    oldest = min(routes, key=_age, default=None)
    backends = oldest.rules[0].backend_refs if oldest is not None and oldest.rules else ()
    sums = tuple(accumulate(backend.weight for backend in backends))
    if oldest is None or not sums or not sums[-1]:
        raise InvalidBackend(f"TCP route {oldest.metadata.key if oldest else '(none)'} has no backend")
    return oldest, backends[bisect_right(sums, int(random() * sums[-1]))].backend_ref


NO_ROUTES = RouteTable(())
