"""One rule of an AuthorizationPolicy in Envoy's words: what is called (permissions), and by whom (principals) [pure].

An entry is all of its fields, a field any of its values; several entries are alternatives. A field that its place
cannot judge is None until the end: where `strict` (ALLOW) the whole rule is given up, else (DENY) only the field, and
the rule denies more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from istiod_py.envoy.extension import Json, extension
from istiod_py.envoy.names import PEER_PRINCIPAL, TUNNEL_CLIENT
from mesh_py.model.address import Cidr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mesh_py.manifests.security import Condition, Operation, Rule, Source

URI_TEMPLATE_TYPE = "envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig"
ANY: Json = {"any": True}
Value = TypeVar("Value", str, int)
Field = Json | None
"""A permission or a principal; None where it cannot be judged here."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Where a policy is judged: what is known there."""

    by_tunnel: bool = False
    """The client is the one that opened the tunnel, told in filter state; else who showed a certificate here."""
    sees_requests: bool = True
    """Whether it is HTTP."""

    def without_requests(self) -> Judge:
        """The same place for a plain connection."""
        return replace(self, sees_requests=False)

    def client(self, matcher: Json) -> Json:
        """A principal whose SPIFFE URI a string matcher fits."""
        if self.by_tunnel:
            return {"filter_state": {"key": PEER_PRINCIPAL, "string_match": matcher}}
        return {"authenticated": {"principal_name": matcher}}

    def client_address(self, block: Json) -> Json:
        """A principal whose own address lies in a block. Inside a tunnel a connection comes from the proxy itself."""
        if self.by_tunnel:
            return {"filter_state": {"key": TUNNEL_CLIENT, "address_match": {"ranges": [block]}}}
        return {"direct_remote_ip": block}

    def request(self, field: Json) -> Field:
        """A field of requests."""
        return field if self.sees_requests else None


def permissions(rule: Rule, judge: Judge, *, strict: bool) -> Json | None:
    """What the rule is about: its `to`, and the conditions on the destination. None if it can never match."""
    entries = [list(_operation(one, judge)) for one in rule.to]
    conditions = [
        field for one in rule.when if _is_destination(one) for field in _both(one, _destination(one), "rules")
    ]
    return _joined(entries, conditions, "rules", strict=strict)


def principals(rule: Rule, namespace: str, judge: Judge, *, strict: bool) -> Json | None:
    """Whom the rule is about: its `from`, and the other conditions. None if it can never match."""
    entries = [list(_source(one, namespace, judge)) for one in rule.from_]
    conditions = [
        field
        for one in rule.when
        if not _is_destination(one)
        for field in _both(one, _attribute(one.key, namespace, judge), "ids")
    ]
    return _joined(entries, conditions, "ids", strict=strict)


def _operation(one: Operation, judge: Judge) -> Iterator[Field]:
    def header(name: str) -> Callable[[str], Field]:
        return lambda value: judge.request(_header(name, value))

    def path(value: str) -> Field:
        return judge.request(_path(value))

    yield from _field(one.hosts, one.not_hosts, header(":authority"), "rules")
    yield from _field(one.methods, one.not_methods, header(":method"), "rules")
    yield from _field(one.paths, one.not_paths, path, "rules")
    yield from _field(one.ports, one.not_ports, lambda port: {"destination_port": port}, "rules")


def _source(one: Source, namespace: str, judge: Judge) -> Iterator[Field]:
    def attribute(key: str) -> Callable[[str], Field]:
        return _attribute(key, namespace, judge)

    yield from _field(one.principals, one.not_principals, attribute("source.principal"), "ids")
    yield from _field(one.namespaces, one.not_namespaces, attribute("source.namespace"), "ids")
    yield from _field(one.service_accounts, one.not_service_accounts, attribute("source.serviceAccount"), "ids")
    yield from _field(one.request_principals, one.not_request_principals, attribute("request.auth.principal"), "ids")
    yield from _field(_texts(one.ip_blocks), _texts(one.not_ip_blocks), attribute("source.ip"), "ids")
    yield from _field(_texts(one.remote_ip_blocks), _texts(one.not_remote_ip_blocks), attribute("remote.ip"), "ids")


def _is_destination(one: Condition) -> bool:
    return one.key.startswith("destination.") or one.key == "connection.sni"


def _destination(one: Condition) -> Callable[[str], Field]:
    match one.key:
        case "destination.port":
            return lambda value: {"destination_port": int(value)} if value.isdigit() else None
        case "destination.ip":
            return _address(lambda block: {"destination_ip": block})
        case "connection.sni":
            return lambda value: {"requested_server_name": string_match(value)}
        case _:
            return lambda _: None


def _attribute(key: str, namespace: str, judge: Judge) -> Callable[[str], Field]:
    """How one value of an attribute of the client or of the request is matched."""
    header = re.fullmatch(r"request\.headers\[(.+)\]", key)
    if header is not None:
        name = header[1]
        return lambda value: judge.request(_header(name, value))
    match key:
        case "source.principal":
            return lambda value: judge.client(string_match(value, scheme="spiffe://"))
        case "source.namespace":
            return lambda value: judge.client(_regex(f".*/ns/{_glob(value)}/.*"))
        case "source.serviceAccount":
            return lambda value: judge.client(_service_account(value, namespace))
        case "source.ip":
            return _address(judge.client_address)
        case "remote.ip" if judge.sees_requests:
            return _address(lambda block: {"remote_ip": block})
        case _:
            return lambda _: None  # what a token says, and keys we do not know


def string_match(value: str, scheme: str = "") -> Json:
    """`*` present, `*suffix`, `prefix*`, else exact; `scheme` stands in front of what the value names."""
    if value == "*":
        return _regex(".+")
    if value.startswith("*"):
        return {"suffix": value[1:]}
    if value.endswith("*"):
        return {"prefix": scheme + value[:-1]}
    return {"exact": scheme + value}


def _header(name: str, value: str) -> Json:
    if value == "*":
        return {"header": {"name": name, "present_match": True}}
    matcher = string_match(value) | ({"ignore_case": True} if name == ":authority" else {})
    return {"header": {"name": name, "string_match": matcher}}


def _path(value: str) -> Json:
    if "{*}" in value or "{**}" in value:
        template = value.replace("{**}", "**").replace("{*}", "*")
        return {"uri_template": extension("uri-template", URI_TEMPLATE_TYPE, {"path_template": template})}
    return {"url_path": {"path": string_match(value)}}


def _service_account(value: str, namespace: str) -> Json:
    of_namespace, slash, account = value.rpartition("/")
    owner = of_namespace if slash else namespace
    return _regex(f"spiffe://.+/ns/{re.escape(owner)}/sa/{re.escape(account)}")


def _address(field: Callable[[Json], Json]) -> Callable[[str], Field]:
    """A field that holds a block of addresses; what is none cannot be judged."""

    def match(text: str) -> Field:
        try:
            block = Cidr.parse(text)
        except ValueError:
            return None
        return field({"address_prefix": block.ip, "prefix_len": block.length})

    return match


def _regex(pattern: str) -> Json:
    return {"safe_regex": {"regex": pattern}}


def _glob(value: str) -> str:
    return ".*".join(re.escape(part) for part in value.split("*"))


def _texts(blocks: Iterable[Cidr]) -> tuple[str, ...]:
    return tuple(str(block) for block in blocks)


def _both(one: Condition, match: Callable[[str], Field], kind: str) -> Iterator[Field]:
    return _field(one.values, one.not_values, match, kind)


def _field(
    values: Sequence[Value], not_values: Sequence[Value], match: Callable[[Value], Field], kind: str
) -> Iterator[Field]:
    """Any of the values, and none of the others."""
    if values:
        yield _any_of([match(value) for value in values], kind)
    if not_values:
        excluded = _any_of([match(value) for value in not_values], kind)
        yield None if excluded is None else {f"not_{kind[:-1]}": excluded}


def _any_of(fields: Sequence[Field], kind: str) -> Field:
    known = [one for one in fields if one is not None]
    if len(known) < len(fields):
        return None
    return known[0] if len(known) == 1 else {f"or_{kind}": {kind: known}}


def _joined(entries: Sequence[Sequence[Field]], conditions: Sequence[Field], kind: str, *, strict: bool) -> Json | None:
    """Any of the entries, and all of the conditions."""
    if strict and any(one is None for one in [*conditions, *(field for entry in entries for field in entry)]):
        # An entry that cannot be judged allows nobody, and the others are not worth guessing which were meant.
        return None
    alternatives = [_all_of(entry, kind) for entry in entries]
    joined = [] if not alternatives else [_any_of(alternatives, kind)]
    return _all_of([*joined, *conditions], kind)


def _all_of(fields: Sequence[Field], kind: str) -> Json:
    known = [one for one in fields if one is not None]
    if not known:
        return ANY
    return known[0] if len(known) == 1 else {f"and_{kind}": {kind: known}}
