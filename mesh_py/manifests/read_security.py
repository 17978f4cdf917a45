"""Reading PeerAuthentication, AuthorizationPolicy and RequestAuthentication [pure].

As strict as Istio's own validation where a slip would change who may call: empty lists, empty sources and unknown
attributes are faults, not conditions that silently never or always hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mesh_py.discovery.problems import suggest
from mesh_py.discovery.yaml_reader import Fault, Field, Schema, boolean, choice, list_of, map_of, port, scalar, sequence
from mesh_py.manifests.decoders import block, duration, ignored, object_name, text_not_empty, texts
from mesh_py.manifests.kinds import STATUS, Kind, KindName, part, required_part
from mesh_py.manifests.references import GATEWAY_GROUP, ISTIO_NETWORKING_GROUP, TargetReference
from mesh_py.manifests.security import (
    Action,
    AuthorizationPolicy,
    ClaimHeader,
    Condition,
    JwtRule,
    MutualTls,
    Operation,
    PeerAuthentication,
    RequestAuthentication,
    Rule,
    Source,
    TokenHeader,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import yaml

    from mesh_py.manifests.decoders import ManifestReader
    from mesh_py.manifests.metadata import Labels, Metadata

_GROUP, _VERSIONS = "security.istio.io", ("v1", "v1beta1")

KINDS: Mapping[str, KindName] = {
    "PeerAuthentication": KindName(_GROUP, _VERSIONS),
    "AuthorizationPolicy": KindName(_GROUP, _VERSIONS),
    "RequestAuthentication": KindName(_GROUP, _VERSIONS),
}

TARGET_GROUPS = {
    "Service": "",
    "ServiceEntry": ISTIO_NETWORKING_GROUP,
    "Gateway": GATEWAY_GROUP,
    "GatewayClass": GATEWAY_GROUP,
}
"""What a policy may be attached to, and the group of each."""

ATTRIBUTES = (
    "source.ip",
    "source.namespace",
    "source.principal",
    "source.serviceAccount",
    "source.trustDomain",
    "remote.ip",
    "destination.ip",
    "destination.port",
    "connection.sni",
    "request.auth.principal",
    "request.auth.audiences",
    "request.auth.presenter",
)
"""Keys of conditions, beside those that take a name in brackets."""

BRACKETED_ATTRIBUTES = ("request.headers", "request.auth.claims")


class SecurityKinds:
    """Decoders for the objects of one file."""

    def __init__(self, reader: ManifestReader) -> None:
        self._reader = reader

    def peer_authentication(self) -> Kind:
        """A PeerAuthentication."""
        mode = self._reader.record(_mode, Schema("mtls", {"mode": Field(choice(MutualTls), "mode")}))
        spec = {
            "selector": Field(self._reader.workload_selector(), "selector"),
            "mtls": Field(mode, "mtls"),
            "portLevelMtls": Field(map_of(port, mode), "port_level_mtls"),
        }
        return Kind(
            _peer_authentication, {"spec": part(self._reader, "the spec of a PeerAuthentication", spec), **STATUS}
        )

    def authorization_policy(self) -> Kind:
        """An AuthorizationPolicy."""
        read = self._reader
        rule = read.placed(Rule, Schema("rule", self._rule_fields()))
        provider = Schema("provider", {"name": Field(text_not_empty, "name", required=True)})
        spec = {
            **self._attachment(),
            "action": Field(choice(Action), "action"),
            "provider": Field(lambda node: read.fields(node, provider).get("name"), "provider"),
            "rules": Field(read.each(rule), "rules"),
        }
        return Kind(_authorization_policy, {"spec": part(read, "the spec of an AuthorizationPolicy", spec), **STATUS})

    def request_authentication(self) -> Kind:
        """A RequestAuthentication."""
        jwt_rule = self._reader.placed(_jwt_rule, Schema("JWT rule", self._jwt_fields()))
        spec = {**self._attachment(), "jwtRules": Field(self._reader.each(jwt_rule), "jwt_rules")}
        thing = "the spec of a RequestAuthentication"
        return Kind(_request_authentication, {"spec": required_part(self._reader, thing, spec), **STATUS})

    def _attachment(self) -> dict[str, Field]:
        target = self._reader.placed(_target, Schema("targetRef", _TARGET))
        return {
            "selector": Field(self._reader.workload_selector(), "selector"),
            "targetRef": Field(target, "target_ref"),
            "targetRefs": Field(self._reader.each(target), "target_refs"),
        }

    def _rule_fields(self) -> dict[str, Field]:
        source = self._reader.placed(_source, Schema("source", _both_ways(_SOURCE)))
        operation = self._reader.placed(_operation, Schema("operation", _both_ways(_OPERATION)))
        condition = self._reader.placed(
            _condition,
            Schema(
                "condition",
                {
                    "key": Field(_attribute, "key", required=True),
                    "values": Field(_some(text_not_empty), "values"),
                    "notValues": Field(_some(text_not_empty), "not_values"),
                },
            ),
        )
        return {
            "from": Field(self._wrapped("from", "source", source), "from_"),
            "to": Field(self._wrapped("to", "operation", operation), "to"),
            "when": Field(self._not_empty("when", condition), "when"),
        }

    def _wrapped(
        self, key: str, inner: str, decode: Callable[[yaml.Node], Any]
    ) -> Callable[[yaml.Node], tuple[Any, ...]]:
        """A list of mappings with one key each, `- source: {...}`."""
        schema = Schema(f"entry of {key!r}", {inner: Field(decode, "value", required=True)})
        return self._not_empty(key, self._reader.record(lambda value: value, schema))

    def _not_empty(self, key: str, decode: Callable[[yaml.Node], Any]) -> Callable[[yaml.Node], tuple[Any, ...]]:
        read = self._reader.each(decode)

        def decode_list(node: yaml.Node) -> tuple[Any, ...]:
            if not sequence(node):
                raise Fault(node, f"an empty {key!r} matches nothing", f"remove {key!r} to match everything")
            return read(node)

        return decode_list

    def _jwt_fields(self) -> dict[str, Field]:
        read = self._reader
        header = Schema("header", {"name": Field(text_not_empty, "name", True), "prefix": Field(scalar, "prefix")})
        claim = Schema(
            "claim", {"header": Field(text_not_empty, "header", True), "claim": Field(text_not_empty, "claim", True)}
        )
        return {
            "issuer": Field(text_not_empty, "issuer", required=True),
            "audiences": Field(texts, "audiences"),
            "jwksUri": Field(_uri, "jwks_uri"),
            "jwks_uri": Field(_uri, "jwks_uri"),
            "jwks": Field(text_not_empty, "jwks"),
            "fromHeaders": Field(read.each(read.record(TokenHeader, header)), "from_headers"),
            "fromParams": Field(texts, "from_params"),
            "fromCookies": Field(texts, "from_cookies"),
            "outputPayloadToHeader": Field(scalar, "output_payload_to_header"),
            "outputClaimToHeaders": Field(read.each(read.record(ClaimHeader, claim)), "output_claim_to_headers"),
            "forwardOriginalToken": Field(boolean, "forward_original_token"),
            "timeout": Field(duration, "timeout"),
            **ignored("spaceDelimitedClaims"),
        }


def _some(decode: Callable[[yaml.Node], Any]) -> Callable[[yaml.Node], tuple[Any, ...]]:
    """A list that is not empty: an empty one would be no condition at all."""
    read = list_of(decode)

    def decode_list(node: yaml.Node) -> tuple[Any, ...]:
        values = read(node)
        if not values:
            raise Fault(node, "an empty list is no condition", "name a value, or remove the key")
        return values

    return decode_list


def _both_ways(fields: Mapping[str, tuple[str, Callable[[yaml.Node], Any]]]) -> dict[str, Field]:
    """Each key, and its opposite with `not` in front."""
    found = {}
    for key, (argument, decode) in fields.items():
        found[key] = Field(_some(decode), argument)
        found[f"not{key[0].upper()}{key[1:]}"] = Field(_some(decode), f"not_{argument}")
    return found


def _path(node: yaml.Node) -> str:
    text = text_not_empty(node)
    if text[0] not in "/*" and "{*" not in text:
        raise Fault(node, f"path {text!r} matches no request", f"paths begin with '/': write '/{text}'")
    return text


def _attribute(node: yaml.Node) -> str:
    """The key of a condition."""
    text = text_not_empty(node)
    name, bracket, rest = text.partition("[")
    if bracket and name in BRACKETED_ATTRIBUTES:
        if not rest.endswith("]") or len(rest) < len("x]"):
            raise Fault(node, f"key {text!r} names nothing", f"write {name}[name]")
        return text
    if text.startswith("experimental.envoy.filters.") or text in ATTRIBUTES:
        return text
    known = (*ATTRIBUTES, *(f"{one}[name]" for one in BRACKETED_ATTRIBUTES))
    raise Fault(node, f"unknown attribute {text!r}", suggest(text, known))


def _uri(node: yaml.Node) -> str:
    text = text_not_empty(node)
    if not text.startswith(("https://", "http://")):
        raise Fault(node, f"{text!r} is no address of a key set", "write https://host/path")
    return text


def _mode(mode: MutualTls = MutualTls.UNSET) -> MutualTls:
    return mode


def _peer_authentication(
    metadata: Metadata,
    selector: Labels | None = None,
    port_level_mtls: Mapping[int, MutualTls] | None = None,
    **fields: Any,
) -> PeerAuthentication:
    if port_level_mtls and not selector:
        raise ValueError("portLevelMtls needs a selector: ports are those of workloads", "add selector.matchLabels")
    return PeerAuthentication(metadata, selector, port_level_mtls=port_level_mtls or {}, **fields)


def _targets(
    target_ref: TargetReference | None, target_refs: tuple[TargetReference, ...], selector: Labels | None
) -> tuple[TargetReference, ...]:
    if target_ref is not None and target_refs:
        raise ValueError("targetRef and targetRefs exclude each other", "put all into targetRefs")
    targets = (target_ref,) if target_ref is not None else target_refs
    if targets and selector is not None:
        raise ValueError("selector and targetRefs exclude each other", "select workloads, or name targets")
    return targets


def _authorization_policy(
    metadata: Metadata,
    selector: Labels | None = None,
    target_ref: TargetReference | None = None,
    target_refs: tuple[TargetReference, ...] = (),
    action: Action = Action.ALLOW,
    provider: str = "",
    **fields: Any,
) -> AuthorizationPolicy:
    targets = _targets(target_ref, target_refs, selector)
    if action is Action.CUSTOM and not provider:
        raise ValueError("action CUSTOM needs a provider", "add provider.name")
    if action is not Action.CUSTOM and provider:
        raise ValueError(f"action {action.value} takes no provider", "remove 'provider', or use CUSTOM")
    return AuthorizationPolicy(metadata, selector, targets, action, provider, **fields)


def _request_authentication(
    metadata: Metadata,
    selector: Labels | None = None,
    target_ref: TargetReference | None = None,
    target_refs: tuple[TargetReference, ...] = (),
    **fields: Any,
) -> RequestAuthentication:
    return RequestAuthentication(metadata, selector, _targets(target_ref, target_refs, selector), **fields)


def _target(kind: str, name: str, place: Any, group: str = "", namespace: str = "") -> TargetReference:
    if kind not in TARGET_GROUPS:
        raise ValueError(f"a policy cannot target a {kind}", suggest(kind, TARGET_GROUPS))
    wanted = TARGET_GROUPS[kind]
    if (group if group != "core" else "") != wanted:
        raise ValueError(f"kind {kind} is not of group {group!r}", f"write group: {wanted!r}")
    return TargetReference(kind, name, wanted, namespace, place)


def _source(**fields: Any) -> Source:
    source = Source(**fields)
    if source == Source():
        raise ValueError("an empty source matches nothing", "add a condition, or remove 'from' to match everybody")
    accounts = source.service_accounts or source.not_service_accounts
    named = source.principals or source.not_principals or source.namespaces or source.not_namespaces
    if accounts and named:
        raise ValueError(
            "serviceAccounts excludes principals and namespaces", "an account names its namespace: namespace/name"
        )
    return source


def _operation(**fields: Any) -> Operation:
    operation = Operation(**fields)
    if operation == Operation():
        raise ValueError("an empty operation matches nothing", "add a condition, or remove 'to' to match everything")
    return operation


def _condition(values: tuple[str, ...] = (), not_values: tuple[str, ...] = (), **fields: Any) -> Condition:
    if not values and not not_values:
        raise ValueError("a condition needs values", "add 'values' or 'notValues'")
    return Condition(values=values, not_values=not_values, **fields)


def _jwt_rule(jwks_uri: str = "", jwks: str = "", **fields: Any) -> JwtRule:
    if jwks_uri and jwks:
        raise ValueError("jwksUri and jwks exclude each other", "remove one of them")
    return JwtRule(jwks_uri=jwks_uri, jwks=jwks, **fields)


_TARGET = {
    "kind": Field(text_not_empty, "kind", required=True),
    "name": Field(object_name, "name", required=True),
    "group": Field(scalar, "group"),
    "namespace": Field(scalar, "namespace"),
    **ignored("sectionName"),
}
_SOURCE: dict[str, tuple[str, Callable[[yaml.Node], Any]]] = {
    "principals": ("principals", text_not_empty),
    "requestPrincipals": ("request_principals", text_not_empty),
    "namespaces": ("namespaces", text_not_empty),
    "serviceAccounts": ("service_accounts", text_not_empty),
    "ipBlocks": ("ip_blocks", block),
    "remoteIpBlocks": ("remote_ip_blocks", block),
    "trustDomains": ("trust_domains", text_not_empty),
}
_OPERATION: dict[str, tuple[str, Callable[[yaml.Node], Any]]] = {
    "hosts": ("hosts", text_not_empty),
    "ports": ("ports", port),
    "methods": ("methods", text_not_empty),
    "paths": ("paths", _path),
}
