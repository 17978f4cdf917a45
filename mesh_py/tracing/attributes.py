"""What a span says of a request or a tunnel: OpenTelemetry's names for HTTP, and Istio's for the rest [pure].

https://opentelemetry.io/docs/specs/semconv/http/http-spans/ has the former; the latter are the tags of Istio's
proxies, and its metric labels under `istio.` for what those leave out: the two workloads and who they proved to be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mesh_py.model.address import parse_ip

if TYPE_CHECKING:
    from mesh_py.model.workload import Workload
    from mesh_py.telemetry.facts import ConnectionFacts, Party
    from mesh_py.telemetry.requests import RequestRecord
    from mesh_py.tracing.span import Attributes

LONGEST = 256
"""Characters of a text that a peer chose (Istio's own bound for the path)."""
_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})


def method_name(method: str) -> str:
    """The method if it is a known one; what else peers send would be names without end."""
    return method if method in _METHODS else "_OTHER"


def of_request(record: RequestRecord, scheme: str) -> Attributes:
    """A request that has come in and is over."""
    path, _, query = record.path.partition("?")
    host, port = _split(record.authority)
    client, client_port = _split(record.downstream_remote)
    found: Attributes = {
        **of_method(record.method),
        "url.scheme": scheme,
        "url.path": path[:LONGEST],
        "url.query": query[:LONGEST],
        "server.address": host[:LONGEST],
        "server.port": port,
        "client.address": client,
        "client.port": client_port,
        "network.protocol.name": "http",
        "network.protocol.version": record.protocol.partition("/")[2],
        "user_agent.original": record.user_agent[:LONGEST],
        "http.response.status_code": record.status,
        "http.request.body.size": record.received,
        "http.response.body.size": record.sent,
        "rpc.grpc.status_code": record.grpc_status[:LONGEST],
        "guid:x-request-id": record.request_id,
        "upstream_cluster.name": record.cluster,
        "istio.route": record.route,
        "response_flags": record.flags,
        **of_facts(record.facts),
    }
    sizes = ("http.request.body.size", "http.response.body.size")
    return {key: value for key, value in found.items() if value or key in sizes}


def of_method(method: str) -> Attributes:
    """The method, and what was really sent where nobody knows it."""
    found: Attributes = {"http.request.method": method_name(method)}
    return found if method in _METHODS else found | {"http.request.method_original": method[:LONGEST]}


def of_bytes(
    facts: ConnectionFacts | None,
    client: tuple[str, int],
    there: tuple[str, int],
    authority: str | None,
    received: int,
    sent: int,
    flag: str,
) -> Attributes:
    """A connection whose bytes nobody looks into, and that is over: `received` from client to server, `sent` back."""
    found = {} if facts is None else of_facts(facts)
    found |= of_address(there)
    found |= {"client.address": client[0], "client.port": client[1], "response_flags": flag}
    found |= {"hbone.bytes_received": received, "hbone.bytes_sent": sent}
    return found | ({"hbone.authority": authority} if authority else {})


def of_facts(facts: ConnectionFacts) -> Attributes:
    """The two ends of a connection, as the proxy knows them."""
    service = facts.service
    destination = facts.destination
    found: Attributes = {
        "component": "proxy",
        "istio.reporter": facts.reporter,
        **_party("source", facts.source),
        "istio.source_principal": facts.source_principal,
        **_party("destination", destination),
        "istio.destination_principal": destination.identity if destination is not None and facts.mutual_tls else "",
        "istio.destination_service": "" if service is None else service.hostname,
        "istio.connection_security_policy": "mutual_tls" if facts.mutual_tls else "none",
    }
    return {key: value for key, value in found.items() if value}


def _party(end: str, party: Party | None) -> Attributes:
    if party is None:
        return {}
    return {
        f"istio.{end}_workload": party.workload or party.name,
        f"istio.{end}_workload_namespace": party.namespace,
        f"istio.{end}_canonical_service": party.canonical_service,
        f"istio.{end}_canonical_revision": party.canonical_revision,
        f"istio.{end}_cluster": party.cluster,
    }


def of_workload(end: str, workload: Workload) -> Attributes:
    """One end, as discovery knows it: `source` or `destination`."""
    return {
        f"istio.{end}_workload": workload.workload_name or workload.name,
        f"istio.{end}_workload_namespace": workload.namespace,
    }


def of_address(address: tuple[str, int]) -> Attributes:
    """Whom a connection goes to."""
    host, port = address
    where: Attributes = {"server.address": host, "server.port": port}
    try:
        parse_ip(host)
    except ValueError:  # a name, which is looked up when it is connected to
        return where
    return where | {"network.peer.address": host, "network.peer.port": port}


def failure_of(status: int, *, is_client: bool) -> str:
    """What makes an answer a failed span: 5xx on both sides, 4xx for who asked; empty if it is none."""
    return str(status) if status >= (400 if is_client else 500) else ""


def _split(address: str) -> tuple[str, int]:
    """Host and port of `host:port`; port 0 where there is none."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit() and (":" not in host or host.startswith("[")):
        return host.strip("[]"), int(port)
    return address.strip("[]"), 0
