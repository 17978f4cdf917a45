"""Access log lines read back: by those who show or judge them, such as the demonstrations [pure]."""

from __future__ import annotations

import re

_FIELD = re.compile(r'(\S+?)=(?:"((?:[^"\\]|\\.)*)"|(\S+))')
_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"|\[([^\]]*)\]|(\S+)')
_REQUEST_FIELDS = (
    "start_time", "request", "response_code", "response_flags", "response_code_details",
    "connection_termination_details", "upstream_transport_failure_reason", "bytes_received", "bytes_sent", "duration",
    "upstream_service_time", "x_forwarded_for", "user_agent", "request_id", "authority", "upstream_host",
    "upstream_cluster", "upstream_local_address", "downstream_local_address", "downstream_remote_address",
    "requested_server_name", "route_name",
)  # fmt: skip
"""In the order of Istio's plain format (`mesh_py.telemetry.requests`); the request is method, path and protocol."""


def connection_fields(line: str) -> dict[str, str]:
    """The fields of a line about a connection, and its `message`; empty if it is none."""
    head = line.split("\t", 4)
    if len(head) < 5 or head[2] != "access":
        return {}
    found = {match[1]: match[2] if match[3] is None else match[3] for match in _FIELD.finditer(head[4])}
    return {"message": head[3], **found}


def request_fields(line: str) -> dict[str, str]:
    """The fields of a line about a request, by Istio's names; empty if it is none."""
    if not line.startswith("["):
        return {}
    words = [next(group for group in match.groups() if group is not None) for match in _WORD.finditer(line)]
    request = words[1].split(" ") if len(words) == len(_REQUEST_FIELDS) else []
    if len(request) != 3:
        return {}
    method, path, protocol = request
    found = dict(zip(_REQUEST_FIELDS, words, strict=True))
    del found["request"]
    return {"method": method, "path": path, "protocol": protocol, **found}
