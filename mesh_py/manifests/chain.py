"""What a file, or a FilterConfig, adds to the chains of filters: authorizers, own filters, faults, rate limits [pure].

extensionProviders:   external authorizers, by the names that CUSTOM policies use, as in Istio's mesh configuration
filters:              the user's own: file, class, settings (docs/filters.md)
faults, rateLimits:   by service, `namespace/name`
keySets:              files with the keys of issuers of tokens, where a RequestAuthentication has none inline

A FilterConfig is an object of our own with authorizers, faults and rate limits, so that a control plane can tell them.
The others name files, and those are the business of whoever starts the proxy.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from mesh_py.discovery.yaml_reader import (
    Fault,
    Field,
    Schema,
    boolean,
    integer,
    map_of,
    parsed,
    scalar,
    value_of,
)
from mesh_py.manifests.decoders import duration, texts
from mesh_py.manifests.kinds import STATUS, Kind, KindName, required_part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import yaml

    from mesh_py.manifests.decoders import ManifestReader
    from mesh_py.manifests.metadata import Metadata

KINDS: Mapping[str, KindName] = {"FilterConfig": KindName("hbone.mesh", ("v1",))}


@dataclass(frozen=True, slots=True)
class Provider:
    """One authorizer, by the names of Istio's mesh configuration. Header names may be patterns, `x-*`."""

    name: str
    service: str
    port: int
    timeout: float = 600.0
    """Seconds."""
    path_prefix: str = ""
    fail_open: bool = False
    status_on_error: int = 403
    include_request_headers: tuple[str, ...] = ()
    include_additional_headers: dict[str, str] = field(default_factory=dict)
    headers_to_upstream_on_allow: tuple[str, ...] = ()
    headers_to_downstream_on_deny: tuple[str, ...] = ()
    headers_to_downstream_on_allow: tuple[str, ...] = ()


class UserFilter(NamedTuple):
    """One of the user's own."""

    file: str
    name: str
    """The class in it."""
    settings: dict[str, Any]
    """Its keyword arguments."""


class Faults(NamedTuple):
    """Faults for a share of a service's requests. Percentages are 0 to 100."""

    service: str
    delay: float = 0.0
    """Seconds."""
    delay_percent: float = 0.0
    abort_status: int = 503
    abort_percent: float = 0.0


class RateLimit(NamedTuple):
    """A token bucket for a service's requests."""

    service: str
    max_tokens: int
    tokens_per_fill: int
    fill_interval: float
    """Seconds."""


class Chain(NamedTuple):
    """All of it."""

    providers: tuple[Provider, ...] = ()
    filters: tuple[UserFilter, ...] = ()
    faults: tuple[Faults, ...] = ()
    rate_limits: tuple[RateLimit, ...] = ()
    key_sets: tuple[tuple[str, str], ...] = ()
    """Issuer and file."""

    @property
    def services(self) -> frozenset[str]:
        """Those with faults or limits."""
        return frozenset(one.service for one in self.faults) | {one.service for one in self.rate_limits}

    def joined(self, other: Chain) -> Chain:
        """This and then the other."""
        return Chain(
            self.providers + other.providers,
            self.filters + other.filters,
            self.faults + other.faults,
            self.rate_limits + other.rate_limits,
            self.key_sets + other.key_sets,
        )


@dataclass(frozen=True, slots=True)
class FilterConfig:
    """Faults and rate limits for services of its namespace, and authorizers for the mesh if that is the root's."""

    kind: ClassVar[str] = "FilterConfig"
    metadata: Metadata
    chain: Chain


def filter_config(reader: ManifestReader) -> Kind:
    """The decoder of a FilterConfig."""
    keys = chain_keys(reader)
    spec = {key: Field(keys[key], argument) for key, argument in _TOLD.items()}
    return Kind(_filter_config, {"spec": required_part(reader, "the spec of a FilterConfig", spec), **STATUS})


_TOLD = {"extensionProviders": "providers", "faults": "faults", "rateLimits": "rate_limits"}


def _filter_config(metadata: Metadata, **told: Any) -> FilterConfig:
    chain = Chain(**told)
    for service in sorted(chain.services):
        if service.partition("/")[0] != metadata.namespace:
            what = f"service {service} is not of the FilterConfig's namespace {metadata.namespace}"
            raise ValueError(what, "write one in the namespace of the service")
    return FilterConfig(metadata, chain)


def told_by(configs: Iterable[FilterConfig], root_namespace: str = "") -> Chain:
    """What FilterConfigs say together. `root_namespace`: whose authorizers alone count; empty: everybody's do."""
    found = Chain()
    for one in configs:
        is_root = root_namespace in ("", one.metadata.namespace)
        found = found.joined(one.chain if is_root else one.chain._replace(providers=()))
    return found


def provider_keys(reader: ManifestReader) -> Mapping[str, Callable[[yaml.Node], Any]]:
    """The decoder of the key that sidecars know, too."""
    return {"extensionProviders": _each(reader, _provider(reader))}


def chain_keys(reader: ManifestReader) -> Mapping[str, Callable[[yaml.Node], Any]]:
    """Decoders of the file's keys."""
    kinds = {
        "filters": _filter(reader),
        "faults": _faults(reader),
        "rateLimits": _rate_limit(reader),
    }
    lists = {key: _each(reader, decode) for key, decode in kinds.items()}
    return {**provider_keys(reader), **lists, "keySets": lambda node: tuple(map_of(scalar, scalar)(node).items())}


def chain_of(further: Mapping[str, Any]) -> Chain:
    """What the decoders have found."""
    return Chain(*(further.get(key, ()) for key in _KEYS))


def _each(reader: ManifestReader, decode: Callable[[yaml.Node], Any]) -> Callable[[yaml.Node], Any]:
    return lambda node: reader.items(node, decode)


_KEYS = ("extensionProviders", "filters", "faults", "rateLimits", "keySets")
_COUNT = integer(1, 2**31 - 1)
_STATUS = integer(200, 599)
_PORT = integer(1, 65_535)


def _percentage(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 100:
        raise ValueError("a percentage is 0 to 100")
    return value


_percent = parsed(_percentage, "a percentage from 0 to 100")


def _service(node: yaml.Node) -> str:
    text = scalar(node)
    if len(parts := text.split("/")) != 2 or not all(parts):
        raise Fault(node, f"{text!r} is not namespace/name of a service", "write such as default/httpbin")
    return text


def _mapping(node: yaml.Node) -> dict[str, Any]:
    value = value_of(node)
    if not isinstance(value, dict):
        raise Fault(node, "settings are a mapping", "write such as {limit: 5}")
    return value


def _provider(reader: ManifestReader) -> Callable[[yaml.Node], Any]:
    http = {
        "service": Field(scalar, "service", required=True),
        "port": Field(_PORT, "port", required=True),
        "timeout": Field(duration, "timeout"),
        "pathPrefix": Field(scalar, "path_prefix"),
        "failOpen": Field(boolean, "fail_open"),
        "statusOnError": Field(_STATUS, "status_on_error"),
        "includeRequestHeadersInCheck": Field(texts, "include_request_headers"),
        "includeAdditionalHeadersInCheck": Field(map_of(scalar, scalar), "include_additional_headers"),
        "headersToUpstreamOnAllow": Field(texts, "headers_to_upstream_on_allow"),
        "headersToDownstreamOnDeny": Field(texts, "headers_to_downstream_on_deny"),
        "headersToDownstreamOnAllow": Field(texts, "headers_to_downstream_on_allow"),
    }
    asked: Callable[[yaml.Node], Any] = reader.record(dict, Schema("HTTP authorizer", http))
    fields = {
        "name": Field(scalar, "name", required=True),
        "envoyExtAuthzHttp": Field(asked, "asked", required=True),
    }

    def make(name: str, asked: dict[str, Any]) -> Provider:
        return Provider(name, **asked)

    return reader.record(make, Schema("extension provider", fields))


def _filter(reader: ManifestReader) -> Callable[[yaml.Node], Any]:
    fields = {
        "file": Field(scalar, "file", required=True),
        "name": Field(scalar, "name", required=True),
        "settings": Field(_mapping, "settings"),
    }

    def make(file: str, name: str, settings: dict[str, Any] | None = None) -> UserFilter:
        return UserFilter(file, name, settings or {})

    return reader.record(make, Schema("filter", fields))


def _faults(reader: ManifestReader) -> Callable[[yaml.Node], Any]:
    delay = {"fixedDelay": Field(duration, "delay", required=True), "percentage": Field(_percent, "delay_percent")}
    abort = {
        "httpStatus": Field(_STATUS, "abort_status", required=True),
        "percentage": Field(_percent, "abort_percent"),
    }
    fields = {
        "service": Field(_service, "service", required=True),
        "delay": Field(reader.record(lambda **got: {"delay_percent": 100.0, **got}, Schema("delay", delay)), "held"),
        "abort": Field(reader.record(lambda **got: {"abort_percent": 100.0, **got}, Schema("abort", abort)), "ended"),
    }

    def make(service: str, held: dict[str, Any] | None = None, ended: dict[str, Any] | None = None) -> Faults:
        return Faults(service, **(held or {}), **(ended or {}))

    return reader.record(make, Schema("fault", fields))


def _rate_limit(reader: ManifestReader) -> Callable[[yaml.Node], Any]:
    fields = {
        "service": Field(_service, "service", required=True),
        "maxTokens": Field(_COUNT, "max_tokens", required=True),
        "tokensPerFill": Field(_COUNT, "tokens_per_fill"),
        "fillInterval": Field(duration, "fill_interval", required=True),
    }

    def make(service: str, max_tokens: int, fill_interval: float, tokens_per_fill: int | None = None) -> RateLimit:
        if fill_interval <= 0:
            raise ValueError("a fill interval is longer than nothing")
        return RateLimit(service, max_tokens, tokens_per_fill or max_tokens, fill_interval)

    return reader.record(make, Schema("rate limit", fields))
