"""What a HTTPRoute's rule does with a request, in Envoy's words: backends, filters, limits [pure]."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from istiod_py.envoy.cors import cors_of_route
from istiod_py.envoy.extension import Json, extension, percent_free, seconds
from mesh_py.manifests.route_filters import (
    Cors,
    ExtensionFilter,
    RequestHeaderModifier,
    RequestMirror,
    RequestRedirect,
    ResponseHeaderModifier,
    UrlRewrite,
    is_subset,
)
from mesh_py.manifests.routes import PathMatchType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from istiod_py.envoy.rules import Lead
    from mesh_py.manifests.references import BackendReference
    from mesh_py.manifests.route_filters import HeaderChanges, PathModifier, RouteFilter
    from mesh_py.manifests.routes import HTTPRouteMatch, HTTPRouteRule, Retry, WeightedBackend

NO_BACKEND: Json = {"direct_response": {"status": 500}}
"""A rule that leads nowhere, by the Gateway API; and one whose filter we do not know: never without it."""

KNOWN_FILTERS = (RequestHeaderModifier, ResponseHeaderModifier, RequestRedirect, UrlRewrite, RequestMirror, Cors)
KNOWN_FOR_BACKEND = (RequestHeaderModifier, ResponseHeaderModifier)

RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
DEFAULT_RETRIES = 2
_REDIRECT_CODES = {
    301: "MOVED_PERMANENTLY",
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}
_DEFAULT_PORTS = {"http": 80, "https": 443}
_PREVIOUS_HOSTS = extension(
    "envoy.retry_host_predicates.previous_hosts",
    "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
)


def default_route(cluster: str, hash_policies: Sequence[Json] = ()) -> Json:
    """Everything goes on."""
    action = {"cluster": cluster, "timeout": "0s", "retry_policy": retry_policy(None, None), **_hashed(hash_policies)}
    return {"name": "default", "match": {"prefix": "/"}, "route": action}


def route_action(
    rule: HTTPRouteRule, match: HTTPRouteMatch, lead: Callable[[BackendReference, str], Lead], port: int
) -> Json:
    """What becomes of the requests of one match, which come in at `port`: fields of Envoy's `Route`.

    `lead` tells the way to a backend, or to a subset of it.
    """
    if not _are_known(rule.filters, KNOWN_FILTERS) or not _backends_are_known(rule):
        return NO_BACKEND
    common = header_changes(rule.filters)
    for one in rule.filters:
        common |= cors_of_route(one) if isinstance(one, Cors) else {}
    redirect = next((one for one in rule.filters if isinstance(one, RequestRedirect)), None)
    if redirect is not None:
        return {"redirect": _redirect(redirect, match, port)} | common
    backends = [one for one in rule.backend_refs if one.weight > 0]
    if not backends:
        return NO_BACKEND
    return {"route": _forward(rule, match, backends, lead)} | common


def header_changes(filters: Sequence[RouteFilter]) -> Json:
    """The header modifiers among filters, as fields of a route or of a weighted cluster."""
    found: Json = {}
    for one in filters:
        if isinstance(one, RequestHeaderModifier):
            found |= _headers("request", one.changes)
        elif isinstance(one, ResponseHeaderModifier):
            found |= _headers("response", one.changes)
    return found


def retry_policy(retry: Retry | None, try_timeout: float | None) -> Json:
    """When to try again: Istio's default unless the rule says otherwise."""
    policy: Json = {
        "retry_on": RETRY_ON,
        "num_retries": DEFAULT_RETRIES,
        "retry_host_predicate": [_PREVIOUS_HOSTS],
        "host_selection_retry_max_attempts": "5",
    }
    if try_timeout:
        policy["per_try_timeout"] = seconds(try_timeout)
    return policy if retry is None else policy | _asked_for(retry)


def _asked_for(retry: Retry) -> Json:
    """A rule that asks for retries also wants broken connections tried again (Gateway API)."""
    found: Json = {"retry_on": f"{RETRY_ON},reset"}
    if retry.attempts is not None:
        found["num_retries"] = retry.attempts
    if retry.codes:
        found["retriable_status_codes"] = list(retry.codes)
    if retry.backoff:
        found["retry_back_off"] = {"base_interval": seconds(retry.backoff)}
    return found


def _backends_are_known(rule: HTTPRouteRule) -> bool:
    return all(_are_known(backend.filters, KNOWN_FOR_BACKEND) for backend in rule.backend_refs)


def _are_known(filters: Sequence[RouteFilter], known: tuple[type, ...]) -> bool:
    return all(isinstance(one, known) or is_subset(one) for one in filters)


def _hashed(policies: Sequence[Json]) -> Json:
    once = [one for index, one in enumerate(policies) if one not in policies[:index]]
    return {"hash_policy": once} if once else {}


def _forward(
    rule: HTTPRouteRule,
    match: HTTPRouteMatch,
    backends: Sequence[WeightedBackend],
    lead: Callable[[BackendReference, str], Lead],
) -> Json:
    leads = [lead(one.backend_ref, _subset(rule, one)) for one in backends]
    action = {
        **_clusters(backends, leads),
        **_hashed([policy for one in leads for policy in one.hash_policies]),
        "cluster_not_found_response_code": "INTERNAL_SERVER_ERROR",
        "timeout": seconds(rule.timeouts.request or 0),
        "retry_policy": retry_policy(rule.retry, rule.timeouts.backend_request),
    }
    mirrors = [
        _mirror(one, lead(one.backend_ref, "").cluster) for one in rule.filters if isinstance(one, RequestMirror)
    ]
    if mirrors:
        action["request_mirror_policies"] = mirrors
    for one in rule.filters:
        if isinstance(one, UrlRewrite):
            action |= {"host_rewrite_literal": one.hostname} if one.hostname else {}
            action |= _new_path(one.path, match, full="path_rewrite_policy") if one.path is not None else {}
    return action


def _subset(rule: HTTPRouteRule, backend: WeightedBackend) -> str:
    """Of a backend's endpoints, empty for all; its own filter is asked before the rule's."""
    found = (one.name for one in (*backend.filters, *rule.filters) if isinstance(one, ExtensionFilter))
    return next(found, "")


def _clusters(backends: Sequence[WeightedBackend], leads: Sequence[Lead]) -> Json:
    changes = [header_changes(one.filters) for one in backends]
    if len(backends) == 1 and not changes[0]:
        return {"cluster": leads[0].cluster}
    weighted = [
        {"name": lead.cluster, "weight": one.weight, **changed}
        for one, lead, changed in zip(backends, leads, changes, strict=True)
    ]
    return {"weighted_clusters": {"clusters": weighted}}


def _mirror(one: RequestMirror, cluster: str) -> Json:
    share = {"numerator": round(one.fraction * 1_000_000), "denominator": "MILLION"}
    return {"cluster": cluster, "runtime_fraction": {"default_value": share}}


def _redirect(one: RequestRedirect, match: HTTPRouteMatch, port: int) -> Json:
    found: Json = {"response_code": _REDIRECT_CODES.get(one.status_code, "FOUND")}
    found |= {"scheme_redirect": one.scheme} if one.scheme else {}
    found |= {"host_redirect": one.hostname} if one.hostname else {}
    found |= _port_of_redirect(one, port)
    return found | (_new_path(one.path, match, full="path_redirect") if one.path is not None else {})


def _port_of_redirect(one: RequestRedirect, port: int) -> Json:
    """The Gateway API's order: as written, else the new scheme's own, else where the request came in.

    The scheme's own is not said. But where the Host that stays names another one, Envoy would keep that: then it is.
    """
    usual = _DEFAULT_PORTS.get(one.scheme or "http")
    chosen = one.port or (usual if one.scheme else None) or port
    is_in_host = not one.hostname and port != _DEFAULT_PORTS["http"]
    return {"port_redirect": chosen} if chosen != usual or is_in_host else {}


def _new_path(path: PathModifier, match: HTTPRouteMatch, *, full: str) -> Json:
    if not path.replaces_prefix:
        if full == "path_redirect":
            return {"path_redirect": path.value}
        return _rewritten("^.*$", path.value)
    prefix = match.path.value.rstrip("/") if match.path.type is PathMatchType.PATH_PREFIX else ""
    target = path.value.rstrip("/")
    if not prefix:
        return {"prefix_rewrite": target + "/"}
    if target:
        return {"prefix_rewrite": target}
    # Plain prefix rewriting would leave nothing of `/prefix`, and two slashes of `/prefix/rest`.
    return _rewritten(f"^{re.escape(prefix)}/?", "/")


def _rewritten(pattern: str, text: str) -> Json:
    substitution = text.replace("\\", "\\\\")
    return {"regex_rewrite": {"pattern": {"regex": pattern}, "substitution": substitution}}


def _headers(direction: str, changes: HeaderChanges) -> Json:
    rows = [_header(one.name, one.value, "OVERWRITE_IF_EXISTS_OR_ADD") for one in changes.set]
    rows += [_header(one.name, one.value, "APPEND_IF_EXISTS_OR_ADD") for one in changes.add]
    found: Json = {f"{direction}_headers_to_add": rows} if rows else {}
    return found | ({f"{direction}_headers_to_remove": list(changes.remove)} if changes.remove else {})


def _header(name: str, value: str, action: str) -> Json:
    return {"header": {"key": name, "value": percent_free(value)}, "append_action": action}
