"""Which modules are compiled: those that every byte, every tunnel or every request passes through. Pure values.

Left out are the events and the plans of inbound tunnels, which are dataclasses: mypyc evaluates the types of their
fields, whose names are imported for type checkers only; the pool, which is asked once per tunnel and whose owners are
told of a peer that never was; and every coroutine that waits while an exception passes (`mesh_py.exchange.lifetimes`,
`attempts`, `pool`): compiled, it would end with somebody else's.
"""

from __future__ import annotations

GROUP = "hbone"
"""One shared library holds them all, so that they call each other directly."""

MODULES = (
    "hbone_py.aio.first_bytes",
    "hbone_py.aio.keepalive",
    "hbone_py.aio.original_dst",
    "hbone_py.aio.outbox",
    "hbone_py.aio.peer",
    "hbone_py.aio.peer_life",
    "hbone_py.aio.peer_output",
    "hbone_py.aio.pieces",
    "hbone_py.aio.reactor",
    "hbone_py.aio.relay",
    "hbone_py.aio.transport",
    "hbone_py.aio.watch",
    "hbone_py.aio.way",
    "hbone_py.aio.wheel",
    "hbone_py.connection",
    "hbone_py.data_lane",
    "hbone_py.flow",
    "hbone_py.frame_reader",
    "hbone_py.frames",
    "hbone_py.header_blocks",
    "hbone_py.header_lane",
    "hbone_py.header_reader",
    "hbone_py.incoming",
    "hbone_py.openings",
    "hbone_py.past_streams",
    "hbone_py.stream_table",
    "hbone_py.streams",
    "hbone_py.tls.buffers",
    "hbone_py.tls.direct",
    "hbone_py.tls.public",
    "hbone_py.tls.records",
    "hbone_py.tls.session",
    "mesh_py.exchange.body",
    "mesh_py.exchange.deadline",
    "mesh_py.exchange.downstream",
    "mesh_py.exchange.exchange",
    "mesh_py.exchange.flow",
    "mesh_py.exchange.lane",
    "mesh_py.exchange.reading",
    "mesh_py.exchange.replay",
    "mesh_py.exchange.upstream",
    "mesh_py.exchange.wire",
    "mesh_py.http.codec_h1",
    "mesh_py.http.h1_body",
    "mesh_py.http.h1_connection",
    "mesh_py.http.h1_quick",
    "mesh_py.http.h1_write",
    "mesh_py.http.headers",
    "mesh_py.http.paths",
    "mesh_py.http.route_index",
    "mesh_py.http.route_match",
    "mesh_py.proxy.backends",
    "mesh_py.telemetry.access_log",
    "mesh_py.telemetry.connection_log",
    "mesh_py.telemetry.traffic",
    "sidecar_py.inbound_http",
    "sidecar_py.outbound_http",
    "waypoint_py.http_proxy",
    "ztunnel_py.connections",
    "ztunnel_py.inbound_passthrough",
    "ztunnel_py.inbound_tunnel",
    "ztunnel_py.judged",
    "ztunnel_py.kind",
    "ztunnel_py.outbound_connection",
    "ztunnel_py.outbound_nested",
    "ztunnel_py.outbound_tunnel",
    "ztunnel_py.plans",
)

WRITTEN_IN_C = ("hbone_py.aio._way",)
"""Whose source is C, beside the plain Python that it does the work of."""
