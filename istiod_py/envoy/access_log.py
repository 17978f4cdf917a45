"""A line of JSON for every request and connection, into a file that the proxy names: Istio's keys, as our own proxies
write them [pure].

A proxy asks for it in its node's metadata (`ACCESS_LOG`, ours); the mesh has no say in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from istiod_py.envoy.connection_manager import MANAGER_TYPE, TCP_PROXY_TYPE
from istiod_py.envoy.extension import TYPE_PREFIX, Json, extension

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LOG_TYPE = "envoy.extensions.access_loggers.file.v3.FileAccessLog"
FORMAT = {
    "start_time": "%START_TIME%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "protocol": "%PROTOCOL%",
    "response_code": "%RESPONSE_CODE%",
    "response_flags": "%RESPONSE_FLAGS%",
    "response_code_details": "%RESPONSE_CODE_DETAILS%",
    "connection_termination_details": "%CONNECTION_TERMINATION_DETAILS%",
    "upstream_transport_failure_reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration": "%DURATION%",
    "authority": "%REQ(:AUTHORITY)%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_cluster": "%UPSTREAM_CLUSTER%",
    "upstream_local_address": "%UPSTREAM_LOCAL_ADDRESS%",
    "downstream_local_address": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "downstream_peer_uri_san": "%DOWNSTREAM_PEER_URI_SAN%",
    "requested_server_name": "%REQUESTED_SERVER_NAME%",
    "route_name": "%ROUTE_NAME%",
}
_LOGGING = (TYPE_PREFIX + MANAGER_TYPE, TYPE_PREFIX + TCP_PROXY_TYPE)


def logged(listeners: Iterable[Json], path: str) -> list[Json]:
    """The listeners, their HTTP and TCP filters writing into a file; no path: as they are."""
    return [_with_log(one, path) for one in listeners] if path else list(listeners)


def _with_log(listener: Json, path: str) -> Json:
    return listener | dict(_chains(listener, path))


def _chains(listener: Json, path: str) -> Iterator[tuple[str, object]]:
    if "filter_chains" in listener:
        yield "filter_chains", [_chain(chain, path) for chain in listener["filter_chains"]]
    if "default_filter_chain" in listener:
        yield "default_filter_chain", _chain(listener["default_filter_chain"], path)


def _chain(chain: Json, path: str) -> Json:
    return chain | {"filters": [_filter(one, path) for one in chain["filters"]]}


def _filter(one: Json, path: str) -> Json:
    configuration = one.get("typed_config", {})
    if configuration.get("@type") not in _LOGGING:
        return one
    return one | {"typed_config": configuration | {"access_log": [_log(path)]}}


def _log(path: str) -> Json:
    form = {"json_format": FORMAT, "omit_empty_values": True}
    return extension("envoy.access_loggers.file", LOG_TYPE, {"path": path, "log_format": form})
