"""Reading HTTPRoute, GRPCRoute and TCPRoute [pure]."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mesh_py.discovery.yaml_reader import Field, Schema, choice, integer, list_of, port, scalar
from mesh_py.manifests.decoders import (
    duration,
    hostname,
    ignored,
    object_name,
    text_not_empty,
    word,
)
from mesh_py.manifests.kinds import STATUS, Kind, KindName, required_part
from mesh_py.manifests.read_filters import FilterDecoder, header_name
from mesh_py.manifests.references import GATEWAY_GROUP, BackendReference, ParentReference
from mesh_py.manifests.routes import (
    GRPCMethodMatch,
    GRPCRoute,
    GRPCRouteMatch,
    GRPCRouteRule,
    HTTPRoute,
    HTTPRouteMatch,
    HTTPRouteRule,
    PathMatch,
    PathMatchType,
    Retry,
    SessionPersistence,
    TCPRoute,
    TCPRouteRule,
    Timeouts,
    ValueMatch,
    ValueMatchType,
    WeightedBackend,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import yaml

    from mesh_py.manifests.decoders import ManifestReader
    from mesh_py.manifests.metadata import Metadata

KINDS: Mapping[str, KindName] = {
    "HTTPRoute": KindName(GATEWAY_GROUP, ("v1", "v1beta1")),
    "GRPCRoute": KindName(GATEWAY_GROUP, ("v1",)),
    "TCPRoute": KindName(GATEWAY_GROUP, ("v1alpha2", "v1")),
}

# Escapes that only RE2 has, and what Python warns of inside sets.
_RE2_ONLY = re.compile(r"\\[pPzQEC]|\[\[|--|&&|\|\||~~")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
MOST_WEIGHT = 1_000_000


class RouteKinds:
    """Decoders for the objects of one file."""

    def __init__(self, reader: ManifestReader) -> None:
        self._reader = reader

    def http_route(self) -> Kind:
        """An HTTPRoute."""
        read = self._reader
        filters = read.each(FilterDecoder(read, self._backend()))
        matches = read.each(read.record(HTTPRouteMatch, Schema("match", self._http_match_fields())))
        retry = Schema(
            "retry",
            {
                "codes": Field(list_of(integer(400, 599)), "codes"),
                "attempts": Field(integer(0, 1000), "attempts"),
                "backoff": Field(duration, "backoff"),
            },
        )
        rule = {
            "name": Field(object_name, "name"),
            "matches": Field(lambda node: matches(node) or None, "matches"),
            "filters": Field(filters, "filters"),
            "backendRefs": Field(self._weighted(filters), "backend_refs"),
            "timeouts": Field(read.record(_timeouts, Schema("timeouts", _TIMEOUTS)), "timeouts"),
            "retry": Field(read.record(Retry, retry), "retry"),
            "sessionPersistence": Field(self._persistence(), "session_persistence"),
        }
        rules = read.each(read.placed(HTTPRouteRule, Schema("rule", rule)))
        return self._route(HTTPRoute, rules, (HTTPRouteRule(),), with_hostnames=True)

    def grpc_route(self) -> Kind:
        """A GRPCRoute."""
        read = self._reader
        filters = read.each(FilterDecoder(read, self._backend(), grpc=True))
        method = read.record(_method, Schema("method", _METHOD))
        match = {"method": Field(method, "method"), "headers": Field(self._values(header_name), "headers")}
        matches = read.each(read.record(GRPCRouteMatch, Schema("match", match)))
        rule = {
            "name": Field(object_name, "name"),
            "matches": Field(lambda node: matches(node) or None, "matches"),
            "filters": Field(filters, "filters"),
            "backendRefs": Field(self._weighted(filters), "backend_refs"),
            "sessionPersistence": Field(self._persistence(), "session_persistence"),
        }
        rules = read.each(read.placed(GRPCRouteRule, Schema("rule", rule)))
        return self._route(GRPCRoute, rules, (GRPCRouteRule(),), with_hostnames=True)

    def tcp_route(self) -> Kind:
        """A TCPRoute."""
        rule = {
            "name": Field(object_name, "name"),
            "backendRefs": Field(self._weighted(None), "backend_refs", required=True),
        }
        rules = self._reader.each(self._reader.placed(TCPRouteRule, Schema("rule", rule)))
        return self._route(TCPRoute, rules, (), with_hostnames=False)

    def _route(
        self,
        make: Callable[..., Any],
        rules: Callable[[yaml.Node], Any],
        default: tuple[Any, ...],
        *,
        with_hostnames: bool,
    ) -> Kind:
        parent = self._reader.placed(self._parent, Schema("parentRef", _PARENT))
        spec = {
            "parentRefs": Field(self._reader.each(parent), "parent_refs"),
            **ignored("useDefaultGateways"),
            "rules": Field(lambda node: rules(node) or None, "rules", required=not default),
        }
        if with_hostnames:
            spec["hostnames"] = Field(list_of(hostname), "hostnames")

        def route(metadata: Metadata, rules: tuple[Any, ...] = default, **fields: Any) -> Any:
            return make(metadata, rules=rules, **fields)

        return Kind(route, {"spec": required_part(self._reader, "the spec of a route", spec), **STATUS})

    def _parent(self, namespace: str = "", **fields: Any) -> ParentReference:
        return ParentReference(namespace=namespace or self._reader.namespace, **fields)

    def _backend(self) -> Callable[[yaml.Node], BackendReference | None]:
        return self._reader.placed(self._make_backend, Schema("backendRef", _BACKEND))

    def _make_backend(
        self, namespace: str = "", kind: str = "Service", group: str = "", **fields: Any
    ) -> BackendReference:
        if kind == "Service" and not group and fields.get("port") is None:
            raise ValueError("a Service as a backend needs a 'port'", "add the port of the Service")
        return BackendReference(namespace=namespace or self._reader.namespace, kind=kind, group=group, **fields)

    def _weighted(
        self, filters: Callable[[yaml.Node], Any] | None
    ) -> Callable[[yaml.Node], tuple[WeightedBackend, ...]]:
        fields = {**_BACKEND, "weight": Field(integer(0, MOST_WEIGHT), "weight")}
        if filters is not None:
            fields["filters"] = Field(filters, "filters")

        def make(weight: int = 1, filters: tuple[Any, ...] = (), **backend: Any) -> WeightedBackend:
            return WeightedBackend(self._make_backend(**backend), weight, filters)

        return self._reader.each(self._reader.placed(make, Schema("backendRef", fields)))

    def _persistence(self) -> Callable[[yaml.Node], SessionPersistence | None]:
        cookie = Schema("cookieConfig", {"lifetimeType": Field(word("Session", "Permanent"), "lifetime")})
        fields = {
            "sessionName": Field(text_not_empty, "session_name"),
            "type": Field(word("Cookie", "Header"), "type"),
            "absoluteTimeout": Field(duration, "absolute_timeout"),
            "idleTimeout": Field(duration, "idle_timeout"),
            "cookieConfig": Field(lambda node: self._reader.fields(node, cookie).get("lifetime"), "cookie_lifetime"),
        }
        return self._reader.record(_session_persistence, Schema("sessionPersistence", fields))

    def _http_match_fields(self) -> dict[str, Field]:
        path = Schema("path", {"type": Field(choice(PathMatchType), "type"), "value": Field(scalar, "value")})
        return {
            "path": Field(self._reader.record(_path_match, path), "path"),
            "headers": Field(self._values(header_name), "headers"),
            "queryParams": Field(self._values(text_not_empty), "query_params"),
            "method": Field(word(*METHODS), "method"),
        }

    def _values(self, name: Callable[[yaml.Node], str]) -> Callable[[yaml.Node], tuple[ValueMatch, ...]]:
        fields = {
            "name": Field(name, "name", required=True),
            "value": Field(scalar, "value", required=True),
            "type": Field(choice(ValueMatchType), "type"),
        }
        return self._reader.each(self._reader.record(_value_match, Schema("match", fields)))


def _path_match(type: PathMatchType = PathMatchType.PATH_PREFIX, value: str = "/") -> PathMatch:
    if type is PathMatchType.REGULAR_EXPRESSION:
        return PathMatch(type, _expression(value))
    if not value.startswith("/"):
        raise ValueError(f"path {value!r} matches no request", f"paths begin with '/': write '/{value}'")
    return PathMatch(type, value)


def _value_match(name: str, value: str, type: ValueMatchType = ValueMatchType.EXACT) -> ValueMatch:
    return ValueMatch(name, _expression(value) if type is ValueMatchType.REGULAR_EXPRESSION else value, type)


def _method(service: str = "", method: str = "", type: ValueMatchType = ValueMatchType.EXACT) -> GRPCMethodMatch:
    if not service and not method:
        raise ValueError("a method match names neither service nor method", "add one of them")
    if type is ValueMatchType.REGULAR_EXPRESSION:
        _expression(service)
        _expression(method)
    return GRPCMethodMatch(service, method, type)


def _expression(text: str) -> str:
    """A regular expression in RE2's syntax, which is Python's but for a few forms: those are left to the proxies."""
    if not _RE2_ONLY.search(text):
        try:
            re.compile(text)
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"{text!r} is no regular expression: {error}") from None
    return text


def _timeouts(request: float | None = None, backend_request: float | None = None) -> Timeouts:
    if request and backend_request and backend_request > request:
        raise ValueError("backendRequest is longer than request", "one try cannot take longer than all of them")
    return Timeouts(request, backend_request)


def _session_persistence(**fields: Any) -> SessionPersistence:
    found = SessionPersistence(**fields)
    if found.cookie_lifetime == "Permanent" and found.absolute_timeout is None:
        raise ValueError("a permanent cookie needs an end", "add absoluteTimeout")
    return found


_PARENT = {
    "name": Field(object_name, "name", required=True),
    "namespace": Field(object_name, "namespace"),
    "kind": Field(text_not_empty, "kind"),
    "group": Field(scalar, "group"),
    "sectionName": Field(object_name, "section_name"),
    "port": Field(port, "port"),
}
_BACKEND = {
    "name": Field(object_name, "name", required=True),
    "namespace": Field(object_name, "namespace"),
    "kind": Field(text_not_empty, "kind"),
    "group": Field(scalar, "group"),
    "port": Field(port, "port"),
}
_METHOD = {
    "service": Field(text_not_empty, "service"),
    "method": Field(text_not_empty, "method"),
    "type": Field(choice(ValueMatchType), "type"),
}
_TIMEOUTS = {"request": Field(duration, "request"), "backendRequest": Field(duration, "backend_request")}
