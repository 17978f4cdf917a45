"""Rules of an AuthorizationPolicy compiled to plain functions of a request [pure].

What cannot be judged must not open a door: in an ALLOW it never holds, in a DENY it always does, and it is named among
the problems. The same goes for connections that are no HTTP: there a DENY is judged by what layer 4 knows of it, and an
ALLOW that asks for more does not hold (as Istio has it).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mesh_py.http.rbac_facts import RequestFacts, any_path, any_text
from mesh_py.model.address import Cidr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mesh_py.manifests.security import Condition, Operation, Rule, Source

_NESTED = re.compile(r"\[([^\]]*)\]")


class CannotJudge(ValueError):
    """A condition asks for what we do not know."""


def compile_rule(rule: Rule, namespace: str) -> Callable[[RequestFacts], bool]:
    """One test for a rule of a policy in that namespace: any source, any operation, all conditions.

    Raises:
        CannotJudge: a condition's key or value is none we know.
    """
    parts: list[Callable[[RequestFacts], bool]] = []
    if rule.from_:
        parts.append(_any([compile_source(source, namespace) for source in rule.from_]))
    if rule.to:
        parts.append(_any([compile_operation(operation) for operation in rule.to]))
    parts += [compile_condition(condition, namespace) for condition in rule.when]
    return _all(parts)


def compile_source(source: Source, namespace: str) -> Callable[[RequestFacts], bool]:
    """All fields that are given hold."""
    return _all(
        [
            *_pair(_principals, source.principals, source.not_principals),
            *_pair(_request_principals, source.request_principals, source.not_request_principals),
            *_pair(_namespaces, source.namespaces, source.not_namespaces),
            *_pair(
                lambda names: _service_accounts(names, namespace), source.service_accounts, source.not_service_accounts
            ),
            *_pair(_source_ips, source.ip_blocks, source.not_ip_blocks),
            *_pair(_remote_ips, source.remote_ip_blocks, source.not_remote_ip_blocks),
            *_pair(_trust_domains, source.trust_domains, source.not_trust_domains),
        ]
    )


def compile_operation(operation: Operation) -> Callable[[RequestFacts], bool]:
    """All fields that are given hold."""
    return _all(
        [
            *_pair(_hosts, operation.hosts, operation.not_hosts),
            *_pair(_ports, operation.ports, operation.not_ports),
            *_pair(_methods, operation.methods, operation.not_methods),
            *_pair(_paths, operation.paths, operation.not_paths),
        ]
    )


def _pair(make: Callable[[Any], Callable[[RequestFacts], bool]], wanted: Sequence[Any], unwanted: Sequence[Any]) -> Any:
    if wanted:
        yield make(wanted)
    if unwanted:
        yield _not(make(unwanted))


def _not(test: Callable[[RequestFacts], bool]) -> Callable[[RequestFacts], bool]:
    return lambda facts: not test(facts)


def _any(tests: Sequence[Callable[[RequestFacts], bool]]) -> Callable[[RequestFacts], bool]:
    if len(tests) == 1:
        return tests[0]
    return lambda facts: any(test(facts) for test in tests)


def _all(tests: Sequence[Callable[[RequestFacts], bool]]) -> Callable[[RequestFacts], bool]:
    if len(tests) == 1:
        return tests[0]
    return lambda facts: all(test(facts) for test in tests)


# Sources ------------------------------------------------------------------------


def _principals(patterns: Iterable[str]) -> Callable[[RequestFacts], bool]:
    holds = any_text(patterns)
    return lambda facts: facts.identity is not None and holds(facts.identity.principal)


def _request_principals(patterns: Iterable[str]) -> Callable[[RequestFacts], bool]:
    holds = any_text(patterns)
    return lambda facts: facts.request_principal != "" and holds(facts.request_principal)


def _namespaces(patterns: Iterable[str]) -> Callable[[RequestFacts], bool]:
    holds = any_text(patterns)
    return lambda facts: facts.identity is not None and holds(facts.identity.namespace)


def _trust_domains(patterns: Iterable[str]) -> Callable[[RequestFacts], bool]:
    holds = any_text(patterns)
    return lambda facts: facts.identity is not None and holds(facts.identity.trust_domain)


def _service_accounts(names: Iterable[str], namespace: str) -> Callable[[RequestFacts], bool]:
    accounts = frozenset(name if "/" in name else f"{namespace}/{name}" for name in names)

    def service_account(facts: RequestFacts) -> bool:
        identity = facts.identity
        return identity is not None and f"{identity.namespace}/{identity.service_account}" in accounts

    return service_account


def _source_ips(blocks: Iterable[Cidr]) -> Callable[[RequestFacts], bool]:
    return lambda facts: any(block.contains(facts.source_ip) for block in blocks)


def _remote_ips(blocks: Iterable[Cidr]) -> Callable[[RequestFacts], bool]:
    return lambda facts: any(block.contains(facts.client_ip) for block in blocks)


# Operations ---------------------------------------------------------------------


def _hosts(patterns: Iterable[str]) -> Callable[[RequestFacts], bool]:
    """As the client wrote it, but for letters' case: `a.b` is not `a.b:8080`, which `a.b:*` means (as in Istio)."""
    holds = any_text(patterns, fold=True)
    return lambda facts: holds(facts.request.authority)


def _ports(ports: Iterable[int]) -> Callable[[RequestFacts], bool]:
    wanted = frozenset(ports)
    return lambda facts: facts.destination_port in wanted


def _methods(patterns: Iterable[str]) -> Callable[[RequestFacts], bool]:
    holds = any_text(patterns)
    return lambda facts: holds(facts.request.method)


def _paths(patterns: Iterable[str]) -> Callable[[RequestFacts], bool]:
    holds = any_path(patterns)
    return lambda facts: holds(facts.path)


# Conditions ----------------------------------------------------------------------


def compile_condition(condition: Condition, namespace: str) -> Callable[[RequestFacts], bool]:
    """Any of the values, none of the others.

    Raises:
        CannotJudge: its key is none we know, or a value is no address or port.
    """
    make = _maker(condition.key, namespace)
    try:
        return _all(list(_pair(make, condition.values, condition.not_values)))
    except ValueError as error:
        raise CannotJudge(f"condition {condition.key}: {error}") from None


def _maker(key: str, namespace: str) -> Callable[[Any], Callable[[RequestFacts], bool]]:
    name, bracket, _ = key.partition("[")
    if bracket:
        inner = _NESTED.findall(key)
        if name == "request.headers" and len(inner) == 1:
            return lambda values: _header(inner[0].lower(), values)
        if name == "request.auth.claims" and inner:
            return lambda values: _claim(inner, values)
    elif key == "source.serviceAccount":
        return lambda values: _service_accounts(values, namespace)
    elif key in _MAKERS:
        return _MAKERS[key]
    raise CannotJudge(f"condition {key}: a key we do not know")


def _header(name: str, patterns: Iterable[str]) -> Callable[[RequestFacts], bool]:
    """Here `*` means that the field is there, be it empty."""
    patterns = list(patterns)
    holds, anything = any_text(patterns), "*" in patterns

    def header(facts: RequestFacts) -> bool:
        value = facts.request.authority if name == ":authority" else facts.request.headers.joined(name)
        return value is not None and (anything or holds(value))

    return header


def _claim(keys: Sequence[str], patterns: Iterable[str]) -> Callable[[RequestFacts], bool]:
    holds = any_text(patterns)
    return lambda facts: any(holds(text) for text in claim_texts(facts.claims, keys))


def claim_texts(claims: Mapping[str, Any], keys: Sequence[str]) -> Sequence[str]:
    """The texts of a claim, which may be nested: a list's elements; a text, and its words (as `scope` has them)."""
    value: Any = claims
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            return ()
        value = value[key]
    if isinstance(value, str):
        return [value, *value.split()] if " " in value else [value]
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, list):
        return [text for text in value if isinstance(text, str)]
    return [str(value)] if isinstance(value, int | float) else ()


def _addresses(values: Iterable[str]) -> list[Cidr]:
    return [Cidr.parse(value) for value in values]


def _destination_ips(values: Iterable[str]) -> Callable[[RequestFacts], bool]:
    blocks = _addresses(values)
    return lambda facts: any(block.contains(facts.destination_ip) for block in blocks)


def _sni(patterns: Iterable[str]) -> Callable[[RequestFacts], bool]:
    holds = any_text(patterns)
    return lambda facts: holds(facts.sni)


_MAKERS: dict[str, Callable[[Any], Callable[[RequestFacts], bool]]] = {
    "source.ip": lambda values: _source_ips(_addresses(values)),
    "remote.ip": lambda values: _remote_ips(_addresses(values)),
    "source.namespace": _namespaces,
    "source.principal": _principals,
    "request.auth.principal": _request_principals,
    "request.auth.audiences": lambda values: _claim(("aud",), values),
    "request.auth.presenter": lambda values: _claim(("azp",), values),
    "destination.ip": _destination_ips,
    "destination.port": lambda values: _ports(int(value) for value in values),
    "connection.sni": _sni,
}
