"""DestinationRule, as far as one host's whole traffic is concerned: how a client spreads and bounds it [pure].

Of `trafficPolicy` without subsets and ports. A file gives it to sidecars and waypoints; the control plane does not yet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from mesh_py.discovery.yaml_reader import Fault, Field, Schema, boolean, choice, integer, scalar
from mesh_py.manifests.decoders import MetadataDecoder, duration, entry

if TYPE_CHECKING:
    import yaml

    from mesh_py.manifests.decoders import ManifestReader
    from mesh_py.manifests.metadata import Metadata

KIND = "DestinationRule"
_MOST = 2**31 - 1


class Balancing(Enum):
    """`loadBalancer.simple`."""

    UNSPECIFIED = "UNSPECIFIED"
    ROUND_ROBIN = "ROUND_ROBIN"
    LEAST_REQUEST = "LEAST_REQUEST"
    RANDOM = "RANDOM"


@dataclass(frozen=True, slots=True)
class ConsistentHash:
    """`loadBalancer.consistentHash`: exactly one is set."""

    header: str = ""
    cookie: str = ""
    query_parameter: str = ""
    source_ip: bool = False


@dataclass(frozen=True, slots=True)
class ConnectionPool:
    """`connectionPool`; None: no limit. `max_requests_per_connection` 0: none either."""

    max_connections: int | None = None
    max_pending: int | None = None
    max_requests: int | None = None
    max_retries: int | None = None
    max_requests_per_connection: int = 0


@dataclass(frozen=True, slots=True)
class OutlierDetection:
    """`outlierDetection`, with Istio's defaults. Times are seconds."""

    consecutive_5xx: int = 5
    consecutive_gateway_errors: int = 0
    interval: float = 10.0
    base_ejection_time: float = 30.0
    max_ejection_percent: int = 10


@dataclass(frozen=True, slots=True)
class DestinationRule:
    """One rule for one host."""

    kind: ClassVar[str] = KIND
    metadata: Metadata
    host: str
    """A full name, or a short one of the rule's own namespace."""
    balancing: Balancing = Balancing.UNSPECIFIED
    hash: ConsistentHash | None = None
    pool: ConnectionPool = field(default_factory=ConnectionPool)
    outliers: OutlierDetection | None = None
    """None: nobody is ejected."""


def is_destination_rule(node: yaml.Node) -> bool:
    """Whether a manifest is one."""
    kind = entry(node, "kind")
    return kind is not None and getattr(kind, "value", "") == KIND


class DestinationRuleReader:
    """Reads those of one file. Faults go to the reader."""

    def __init__(self, reader: ManifestReader) -> None:
        self._reader = reader
        self._order = 0

    def read(self, node: yaml.Node) -> DestinationRule | None:
        """One manifest."""
        metadata_node = entry(node, "metadata")
        if metadata_node is None:
            raise Fault(node, f"{KIND} has no 'metadata'", "add metadata.name")
        self._order += 1
        metadata = MetadataDecoder(self._reader).of_object(
            metadata_node, namespaced=True, place=self._reader.place(node), order=self._order
        )
        head = {key: Field(lambda _: None, "") for key in ("apiVersion", "kind", "metadata", "status")}
        spec = Field(self._spec(), "spec", required=True)
        found = self._reader.fields(node, Schema(KIND, {**head, "spec": spec})).get("spec")
        return None if metadata is None or found is None else DestinationRule(metadata, **found)

    def _spec(self) -> Any:
        read = self._reader
        policy = {
            "loadBalancer": Field(self._record(dict, "load balancer", self._balancer()), "balancer"),
            "connectionPool": Field(self._pool(), "pool"),
            "outlierDetection": Field(self._record(OutlierDetection, "outlier detection", _OUTLIERS), "outliers"),
        }

        def make(host: str, policy: dict[str, Any] | None = None) -> dict[str, Any]:
            found = dict(policy or {})
            return {"host": host, **found.pop("balancer", {}), **found}

        fields = {
            "host": Field(scalar, "host", required=True),
            "trafficPolicy": Field(self._record(dict, "traffic policy", policy), "policy"),
            "exportTo": Field(lambda _: None, ""),
        }
        return read.record(make, Schema(f"the spec of a {KIND}", fields))

    def _record(self, make: Any, thing: str, fields: dict[str, Field]) -> Any:
        return self._reader.record(make, Schema(thing, fields))

    def _balancer(self) -> dict[str, Field]:
        cookie = self._record(lambda name: name, "cookie", {"name": Field(scalar, "name", required=True)})
        consistent = {
            "httpHeaderName": Field(scalar, "header"),
            "httpCookie": Field(cookie, "cookie"),
            "httpQueryParameterName": Field(scalar, "query_parameter"),
            "useSourceIp": Field(boolean, "source_ip"),
        }
        return {
            "simple": Field(choice(Balancing), "balancing"),
            "consistentHash": Field(self._record(_one_of, "consistent hash", consistent), "hash"),
        }

    def _pool(self) -> Any:
        count = integer(1, _MOST)
        http = {
            "http1MaxPendingRequests": Field(count, "max_pending"),
            "http2MaxRequests": Field(count, "max_requests"),
            "maxRetries": Field(integer(0, _MOST), "max_retries"),
            "maxRequestsPerConnection": Field(integer(0, _MOST), "max_requests_per_connection"),
        }
        fields = {
            "tcp": Field(self._record(dict, "TCP pool", {"maxConnections": Field(count, "max_connections")}), "tcp"),
            "http": Field(self._record(dict, "HTTP pool", http), "http"),
        }

        def make(tcp: dict[str, Any] | None = None, http: dict[str, Any] | None = None) -> ConnectionPool:
            return ConnectionPool(**(tcp or {}), **(http or {}))

        return self._record(make, "connection pool", fields)


_OUTLIERS = {
    "consecutive5xxErrors": Field(integer(0, _MOST), "consecutive_5xx"),
    "consecutiveGatewayErrors": Field(integer(0, _MOST), "consecutive_gateway_errors"),
    "interval": Field(duration, "interval"),
    "baseEjectionTime": Field(duration, "base_ejection_time"),
    "maxEjectionPercent": Field(integer(0, 100), "max_ejection_percent"),
}


def _one_of(**given: Any) -> ConsistentHash:
    if len([value for value in given.values() if value]) != 1:
        raise ValueError("a consistent hash is by one thing", "name a header, a cookie, a parameter, or the source")
    return ConsistentHash(**given)
