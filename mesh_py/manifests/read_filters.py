"""Reading the filters of HTTPRoute and GRPCRoute [pure].

A filter has a `type` and, under the key of that type, what it does. A key of another type is a fault: the filter
would do something else than it looks like.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from mesh_py.discovery.problems import suggest
from mesh_py.discovery.yaml_reader import Fault, Field, Schema, boolean, integer, is_null, pairs, port, scalar
from mesh_py.manifests.decoders import dns_name, entry, text_not_empty, texts, word
from mesh_py.manifests.route_filters import (
    Cors,
    ExtensionFilter,
    ExternalAuth,
    Header,
    HeaderChanges,
    PathModifier,
    RequestHeaderModifier,
    RequestMirror,
    RequestRedirect,
    ResponseHeaderModifier,
    RouteFilter,
    UrlRewrite,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import yaml

    from mesh_py.manifests.decoders import ManifestReader
    from mesh_py.manifests.metadata import Place
    from mesh_py.manifests.references import BackendReference


class _Type(NamedTuple):
    """One type of filter: its key, and how what stands there is read."""

    key: str
    decode: Callable[[yaml.Node], Any]


class FilterDecoder:
    """Decodes filters; `grpc` leaves out the types that gRPC routes do not have."""

    def __init__(
        self, reader: ManifestReader, backend: Callable[[yaml.Node], BackendReference | None], *, grpc: bool = False
    ) -> None:
        self._reader = reader
        self._backend = backend
        changes = reader.record(HeaderChanges, Schema("header changes", self._header_fields()))
        self._types = {
            "RequestHeaderModifier": _Type("requestHeaderModifier", self._modifier(RequestHeaderModifier, changes)),
            "ResponseHeaderModifier": _Type("responseHeaderModifier", self._modifier(ResponseHeaderModifier, changes)),
            "RequestMirror": _Type("requestMirror", self._mirror()),
            "ExtensionRef": _Type("extensionRef", reader.placed(ExtensionFilter, Schema("extensionRef", _EXTENSION))),
        }
        if not grpc:
            self._types |= {
                "RequestRedirect": _Type("requestRedirect", self._redirect()),
                "URLRewrite": _Type("urlRewrite", self._rewrite()),
                "CORS": _Type("cors", reader.placed(Cors, Schema("cors", _CORS))),
                "ExternalAuth": _Type("externalAuth", self._external_auth()),
            }

    def __call__(self, node: yaml.Node) -> RouteFilter | None:
        """One filter."""
        kind = entry(node, "type")
        if kind is None:
            raise Fault(node, "a filter has no 'type'", f"known are {', '.join(self._types)}")
        name = scalar(kind)
        if name not in self._types:
            raise Fault(kind, f"unknown type of filter {name!r}", suggest(name, self._types))
        wanted = self._types[name]
        self._refuse_other_keys(node, name, wanted.key)
        value = entry(node, wanted.key)
        if value is None:
            raise Fault(node, f"filter {name} says nothing", f"add {wanted.key!r}")
        found: RouteFilter | None = wanted.decode(value)
        return found

    def _refuse_other_keys(self, node: yaml.Node, name: str, wanted: str) -> None:
        for key_node, value in pairs(node):
            key = str(key_node.value)
            if key not in ("type", wanted) and not is_null(value):
                advice = suggest(key, ("type", wanted))
                raise Fault(key_node, f"key {key!r} does not belong to a filter of type {name}", advice)

    def _header_fields(self) -> dict[str, Field]:
        header = Schema("header", {"name": Field(header_name, "name", True), "value": Field(scalar, "value", True)})
        headers = self._reader.each(self._reader.record(Header, header))
        return {"set": Field(headers, "set"), "add": Field(headers, "add"), "remove": Field(texts, "remove")}

    def _modifier(
        self, make: Callable[..., RouteFilter], changes: Callable[[yaml.Node], HeaderChanges | None]
    ) -> Callable[[yaml.Node], RouteFilter | None]:
        def decode(node: yaml.Node) -> RouteFilter | None:
            found = changes(node)
            if found == HeaderChanges():
                raise Fault(node, "no header is changed", "add 'set', 'add' or 'remove'")
            return make(found, self._reader.place(node)) if found is not None else None

        return decode

    def _mirror(self) -> Callable[[yaml.Node], RouteFilter | None]:
        fraction = self._reader.record(_fraction, Schema("fraction", _FRACTION))
        fields = {
            "backendRef": Field(self._backend, "backend_ref", required=True),
            "percent": Field(integer(0, 100), "percent"),
            "fraction": Field(fraction, "fraction"),
        }
        return self._reader.placed(_mirror, Schema("requestMirror", fields))

    def _path(self, node: yaml.Node) -> PathModifier | None:
        return self._reader.record(_path_modifier, Schema("path", _PATH))(node)

    def _redirect(self) -> Callable[[yaml.Node], RouteFilter | None]:
        fields = {
            "scheme": Field(word("http", "https"), "scheme"),
            "hostname": Field(_precise_hostname, "hostname"),
            "path": Field(self._path, "path"),
            "port": Field(port, "port"),
            "statusCode": Field(_redirect_status, "status_code"),
        }
        return self._reader.placed(RequestRedirect, Schema("requestRedirect", fields))

    def _rewrite(self) -> Callable[[yaml.Node], RouteFilter | None]:
        fields = {"hostname": Field(_precise_hostname, "hostname"), "path": Field(self._path, "path")}
        return self._reader.placed(UrlRewrite, Schema("urlRewrite", fields))

    def _external_auth(self) -> Callable[[yaml.Node], RouteFilter | None]:
        read = self._reader
        http = Schema(
            "http",
            {
                "path": Field(scalar, "path"),
                "allowedHeaders": Field(texts, "allowed_headers"),
                "allowedResponseHeaders": Field(texts, "allowed_response_headers"),
            },
        )
        grpc = Schema("grpc", {"allowedHeaders": Field(texts, "allowed_headers")})
        body = Schema("forwardBody", {"maxSize": Field(integer(0, 65535), "max_body_size", required=True)})
        fields = {
            "protocol": Field(word("HTTP", "GRPC"), "protocol", required=True),
            "backendRef": Field(self._backend, "backend_ref", required=True),
            "http": Field(lambda node: read.fields(node, http), "http"),
            "grpc": Field(lambda node: read.fields(node, grpc), "grpc"),
            "forwardBody": Field(lambda node: read.fields(node, body), "body"),
        }
        return read.placed(_external_auth, Schema("externalAuth", fields))


def header_name(node: yaml.Node) -> str:
    """The name of a header, kept in the case it is written in."""
    text = text_not_empty(node)
    if not all(character.isalnum() or character in "!#$%&'*+-.^_`|~" for character in text) or not text.isascii():
        raise Fault(node, f"{text!r} is no header name")
    return text


def _precise_hostname(node: yaml.Node) -> str:
    text = text_not_empty(node)
    try:
        return dns_name(text)
    except ValueError:
        raise Fault(node, f"{text!r} is no host name (lower case, no wildcard)") from None


def _redirect_status(node: yaml.Node) -> int:
    text = scalar(node)
    if text not in ("301", "302", "303", "307", "308"):
        raise Fault(node, f"{text!r} is no status of a redirect", "known are 301, 302, 303, 307, 308")
    return int(text)


def _path_modifier(type: str, full: str | None = None, prefix: str | None = None) -> PathModifier:
    replaces_prefix = type == "ReplacePrefixMatch"
    wanted, other = (prefix, full) if replaces_prefix else (full, prefix)
    if wanted is None or other is not None:
        key = "replacePrefixMatch" if replaces_prefix else "replaceFullPath"
        raise ValueError(f"a path of type {type} takes {key!r} and nothing else", f"write {key}: /path")
    return PathModifier(wanted, replaces_prefix)


def _fraction(numerator: int, denominator: int = 100) -> float:
    if numerator > denominator:
        raise ValueError("a fraction above 1", "the numerator is at most the denominator (100 if none is written)")
    return numerator / denominator


def _mirror(
    backend_ref: BackendReference, place: Place, percent: int | None = None, fraction: float | None = None
) -> RequestMirror:
    if percent is not None and fraction is not None:
        raise ValueError("percent and fraction exclude each other", "remove one of them")
    share = percent / 100 if percent is not None else fraction if fraction is not None else 1.0
    return RequestMirror(backend_ref, share, place)


def _external_auth(
    http: dict[str, Any] | None = None,
    grpc: dict[str, Any] | None = None,
    body: dict[str, Any] | None = None,
    **fields: Any,
) -> ExternalAuth:
    chosen, other = (http, grpc) if fields["protocol"] == "HTTP" else (grpc, http)
    if other:
        raise ValueError(f"settings of another protocol than {fields['protocol']}", "remove them")
    return ExternalAuth(**fields, **(chosen or {}), **(body or {}))


_EXTENSION = {
    "group": Field(scalar, "group", required=True),
    "kind": Field(text_not_empty, "kind", required=True),
    "name": Field(text_not_empty, "name", required=True),
}
_FRACTION = {
    "numerator": Field(integer(0, 2**31 - 1), "numerator", required=True),
    "denominator": Field(integer(1, 2**31 - 1), "denominator"),
}
_PATH = {
    "type": Field(word("ReplaceFullPath", "ReplacePrefixMatch"), "type", required=True),
    "replaceFullPath": Field(scalar, "full"),
    "replacePrefixMatch": Field(scalar, "prefix"),
}
_CORS = {
    "allowOrigins": Field(texts, "allow_origins"),
    "allowCredentials": Field(boolean, "allow_credentials"),
    "allowMethods": Field(texts, "allow_methods"),
    "allowHeaders": Field(texts, "allow_headers"),
    "exposeHeaders": Field(texts, "expose_headers"),
    "maxAge": Field(integer(1, 2**31 - 1), "max_age"),
}
