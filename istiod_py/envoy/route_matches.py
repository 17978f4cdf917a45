"""A HTTPRoute's conditions in Envoy's words, and which rule goes before which [pure]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.manifests.routes import PathMatchType, ValueMatchType

if TYPE_CHECKING:
    from istiod_py.envoy.extension import Json
    from mesh_py.manifests.routes import HTTPRouteMatch, PathMatch, ValueMatch

_PATH_RANK = {PathMatchType.EXACT: 0, PathMatchType.PATH_PREFIX: 1, PathMatchType.REGULAR_EXPRESSION: 2}

Precedence = tuple[int, int, bool, int, int]


def precedence(match: HTTPRouteMatch) -> Precedence:
    """Sorts as the Gateway API says: exact path, longest prefix, method, most headers, most query parameters.

    The specification leaves regular expressions open; they come last among paths, as with Istio.
    """
    path = match.path
    return (
        _PATH_RANK[path.type],
        -len(path.value),
        not match.method,
        -len(match.headers),
        -len(match.query_params),
    )


def route_match(match: HTTPRouteMatch) -> Json:
    """The conditions on one request."""
    headers = [_header(one) for one in _first_of_each_name(match.headers, fold_case=True)]
    if match.method:
        headers.append({"name": ":method", "string_match": {"exact": match.method}})
    parameters = [
        {"name": one.name, "string_match": _string_match(one)}
        for one in _first_of_each_name(match.query_params, fold_case=False)
    ]
    found = _path(match.path)
    found |= {"headers": headers} if headers else {}
    return found | ({"query_parameters": parameters} if parameters else {})


def _path(path: PathMatch) -> Json:
    match path.type:
        case PathMatchType.EXACT:
            return {"path": path.value}
        case PathMatchType.REGULAR_EXPRESSION:
            return {"safe_regex": {"regex": path.value}}
        case PathMatchType.PATH_PREFIX:
            prefix = path.value.rstrip("/")
            return {"path_separated_prefix": prefix} if prefix else {"prefix": "/"}


def _header(one: ValueMatch) -> Json:
    return {"name": one.name.lower(), "string_match": _string_match(one)}


def _string_match(one: ValueMatch) -> Json:
    if one.type is ValueMatchType.REGULAR_EXPRESSION:
        return {"safe_regex": {"regex": one.value}}
    return {"exact": one.value}


def _first_of_each_name(values: tuple[ValueMatch, ...], *, fold_case: bool) -> list[ValueMatch]:
    """Of several conditions on one name only the first counts, by the Gateway API."""
    found: dict[str, ValueMatch] = {}
    for one in values:
        found.setdefault(one.name.lower() if fold_case else one.name, one)
    return list(found.values())
