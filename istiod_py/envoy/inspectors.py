"""Listener filters that look at a connection's first bytes, and the ports where they must not [pure].

Whoever waits for the client's first bytes on a port where the server speaks first makes both wait, until the time for
it is over. So a port that is known to carry no HTTP, or no TLS, is passed on at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.envoy.extension import Json, extension

if TYPE_CHECKING:
    from collections.abc import Iterable

HTTP_INSPECTOR: Json = extension(
    "envoy.filters.listener.http_inspector", "envoy.extensions.filters.listener.http_inspector.v3.HttpInspector"
)
TLS_INSPECTOR: Json = extension(
    "envoy.filters.listener.tls_inspector", "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"
)

PATIENCE: Json = {"listener_filters_timeout": "5s", "continue_on_listener_filters_timeout": True}
"""A client that has said nothing by then speaks neither HTTP nor TLS, and is taken for what it is."""


def not_on(inspector: Json, ports: Iterable[int]) -> Json:
    """The inspector, idle on these destination ports."""
    rules = [{"destination_port_range": {"start": port, "end": port + 1}} for port in sorted(set(ports))]
    if not rules:
        return inspector
    return inspector | {"filter_disabled": rules[0] if len(rules) == 1 else {"or_match": {"rules": rules}}}
